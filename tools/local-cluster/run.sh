#!/bin/bash
# Runs main.ts while holding a lock on the cluster's home, so that two at once take turns. The kernel frees the lock when
# we end, however we end.
set -eu
cd "$(dirname "$0")/../.."
home=${CLOUDLESS_HOME:-.cloudless}

if [ ! -x node_modules/.bin/node ]; then
  echo "Nothing was started from this checkout: its packages are not installed." >&2
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "Containers, their networks and cgroups need root. Run: sudo make ${1:-up}" >&2
  exit 1
fi
mkdir -p -m 700 "$home"
exec 9<"$home"
if ! flock --nonblock 9; then
  echo "Another make up or make down is at work on $home; waiting for it to end ..." >&2
  flock --timeout 180 9 || { echo "It has not ended after 3 minutes; look for it with: ps ax" >&2; exit 1; }
fi
# The lock is this shell's alone: what is started below goes on for days.
status=0
node_modules/.bin/node tools/local-cluster/main.ts "$@" 9<&- || status=$?
rmdir --ignore-fail-on-non-empty "$home" 2>/dev/null || true
exit "$status"

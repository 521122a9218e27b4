#!/bin/bash
# Installs the npm packages when they are absent or the lockfile has changed; silent when there is nothing to do.
set -eu
cd "$(dirname "$0")/../.."

stamp=node_modules/.cloudless-lockfile
if cmp -s package-lock.json "$stamp" && [ -x node_modules/.bin/node ]; then exit 0; fi

if ! command -v npm >/dev/null; then
  echo "npm is not installed, and the project's packages come through it." >&2
  echo "Install Node.js with npm: apt-get install npm, or from https://nodejs.org" >&2
  exit 1
fi
# One at a time: two installations into one directory spoil each other.
exec 9<package-lock.json
flock 9
if cmp -s package-lock.json "$stamp" && [ -x node_modules/.bin/node ]; then exit 0; fi

echo "Installing npm packages ..." >&2
export PATH="$PWD/node_modules/.bin:$PATH"
quiet=(--no-audit --no-fund --loglevel=error)
# `npm ci` refuses where the registry lacks the packages of some other platform; `npm install` takes the locked versions
# as well and minds only what this machine needs.
npm ci "${quiet[@]}" >/dev/null 2>&1 || npm install --no-save "${quiet[@]}" >&2 || {
  echo "npm could not install the packages (above). It needs to reach its registry; run it again when it can." >&2
  exit 1
}
if [ ! -x node_modules/.bin/node ]; then
  # No packaged Node for this platform: the user's own must do.
  major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
  if [ "${major:-0}" -lt 26 ]; then
    echo "There is no packaged Node.js for $(uname -sm), and the installed one is older than 26." >&2
    echo "Install Node.js 26 or later from https://nodejs.org" >&2
    exit 1
  fi
  mkdir -p node_modules/.bin && ln -sf "$(command -v node)" node_modules/.bin/node
fi
# Programs that find themselves compiled start sooner and stay smaller.
bin/coordinator precompile
bin/agent precompile
cp package-lock.json "$stamp"

#!/bin/bash
# The first process of a pretend machine, and the door to it.
#
#   host-init.sh power-on MARKER HOSTNAME DISK CGROUP...   joins the cgroups, makes the namespaces, stays as their first process
#   host-init.sh task NAME DIRECTORY COMMAND...       inside: becomes COMMAND, its pid in /run/tasks/NAME
#
# The machine has its own network, processes, mounts, host name and cgroup root, and a /run that a power cut empties.
# MARKER is how it is found again: it stands in this process's arguments.
set -eu
action=$1; shift

join_cgroups() {
  for directory; do echo $$ >"$directory/cgroup.procs"; done
}

case $action in
power-on)
  marker=$1 hostname=$2 disk=$3; shift 3
  join_cgroups "$@"
  exec unshare --mount --uts --pid --net --ipc --cgroup --fork --mount-proc --propagation private \
    bash "$0" first-process "$marker" "$hostname" "$disk"
  ;;

first-process)
  hostname "$2"
  # The machine's name servers, except one that only its own loopback reaches.
  resolv=$(readlink -m /etc/resolv.conf)
  upstream=/run/systemd/resolve/resolv.conf
  servers=$(cat "$([ -e $upstream ] && echo $upstream || echo "$resolv")" 2>/dev/null || true)
  mount -t tmpfs -o mode=755 tmpfs /run
  case $resolv in
  /run/*) mkdir -p "$(dirname "$resolv")" && echo "$servers" >"$resolv" ;;
  *) echo "$servers" >/run/resolv.conf && mount --bind /run/resolv.conf "$resolv" ;;
  esac
  mount -t sysfs sysfs /sys
  if [ "$(cut -d: -f1 /proc/self/cgroup)" = 0 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    unified=/sys/fs/cgroup
  else
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    unified=
    while IFS=: read -r _ controllers _; do
      directory=/sys/fs/cgroup/${controllers#name=}
      case $controllers in
      '') directory=/sys/fs/cgroup/unified; unified=$directory; options=() type=cgroup2 ;;
      name=*) type=cgroup options=(-o "none,$controllers") ;;
      *) type=cgroup options=(-o "$controllers") ;;
      esac
      mkdir -p "$directory"
      mount -t "$type" "${options[@]}" cgroup "$directory"
    done </proc/self/cgroup
  fi
  if [ -n "$unified" ]; then
    # Version 2: a group that hands controllers down holds no process itself.
    mkdir -p "$unified/system"
    echo 1 >"$unified/system/cgroup.procs"
    for controller in $(cat "$unified/cgroup.controllers"); do
      echo "+$controller" >"$unified/cgroup.subtree_control" 2>/dev/null || true
    done
  fi
  # Each boot has an id of its own, as on a real machine.
  cat /proc/sys/kernel/random/uuid >/run/boot-id
  mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
  ip link set lo up
  sysctl -qw net.ipv4.ip_forward=1
  mkdir -p /run/tasks
  touch /run/ready
  # Stays and reaps; a shell does both while it waits.
  while :; do sleep 86400 & wait $!; done
  ;;

task)
  name=$1 directory=$2; shift 2
  if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    echo $$ >/sys/fs/cgroup/system/cgroup.procs
  else
    for hierarchy in /sys/fs/cgroup/*; do
      if [ -d "$hierarchy/system" ]; then hierarchy=$hierarchy/system; fi
      echo $$ >"$hierarchy/cgroup.procs"
    done
  fi
  echo $$ >"/run/tasks/$name"
  cd "$directory"
  exec "$@"
  ;;
esac

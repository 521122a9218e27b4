#!/bin/bash
# Installs the Debian packages that are missing: `debian.sh cluster` for make up, `debian.sh tests` for the tests as well.
# Where it cannot (not root, not Debian) it says what is missing and how to get it.
set -eu

# program:package, or /path:package for what is not on PATH.
needed=(containerd:containerd ctr:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins
  ip:iproute2 tc:iproute2 iptables:iptables nsenter:util-linux sysctl:procps busybox:busybox-static)
if [ "${1:-cluster}" = tests ]; then needed+=(docker-registry:docker-registry script:bsdutils curl:curl strace:strace faketime:faketime etcd:etcd-server); fi

PATH=$PATH:/usr/sbin:/sbin
missing=()
for entry in "${needed[@]}"; do
  program=${entry%:*} package=${entry#*:}
  if [ "$program" = /usr/lib/cni/bridge ] && [ -x /opt/cni/bin/bridge ]; then continue; fi
  command -v "$program" >/dev/null || missing+=("$package")
done

if [ "${#missing[@]}" -gt 0 ]; then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  if [ ! -e /etc/debian_version ]; then
    echo "Missing: ${missing[*]} (Debian's names). This is not Debian:" >&2
    echo "install containerd, runc, the CNI plugins, iproute2, iptables and a static busybox your system's way." >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "Missing: ${missing[*]}. Not root, so nothing was installed. Run:" >&2
    echo "  sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "Installing Debian packages: ${missing[*]} ..." >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >/dev/null || true # An old list may still do; the installation says when it does not.
  apt-get install -q -y --no-install-recommends "${missing[@]}" >/dev/null || {
    echo "apt-get could not install ${missing[*]} (above)." >&2
    exit 1
  }
  # Agents run containerds of their own, the tests a registry and etcds: Debian's services are not needed.
  if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
    for service in containerd docker-registry etcd; do
      if printf '%s\n' "${missing[@]}" | grep -qx "$service"; then
        systemctl disable --now "$service" >/dev/null 2>&1 || true
      fi
    done
  fi
fi

if [ "$(id -u)" != 0 ]; then
  echo "Containers, their networks and cgroups need root. Run: sudo make ${MAKE_GOAL:-up}" >&2
  exit 1
fi

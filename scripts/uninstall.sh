#!/bin/sh
# Stops k3ts with all its containers and removes everything that it made on this machine. Debian packages stay.
set -u
bin_dir=/usr/local/bin
[ "$(id -u)" = 0 ] || { echo "k3ts-uninstall.sh: must run as root" >&2; exit 1; }
say() { printf '==> %s\n' "$*"; }

for service in k3ts k3ts-agent; do
  say "stopping $service"
  if [ -f "/etc/systemd/system/$service.service" ]; then
    systemctl disable -q --now "$service" 2>/dev/null
    rm -f "/etc/systemd/system/$service.service"
    systemctl daemon-reload 2>/dev/null
  fi
  if [ -f "/etc/init.d/$service" ]; then
    rc-service "$service" stop 2>/dev/null
    rc-update -q del "$service" 2>/dev/null
    rm -f "/etc/init.d/$service"
  fi
  if [ -x "/usr/local/lib/k3ts/$service-service" ]; then "/usr/local/lib/k3ts/$service-service" stop; fi
  rm -f "/run/$service.pid" "/etc/rancher/k3ts/$service.env"
done

data_dir=/var/lib/rancher/k3ts
if [ -f /etc/rancher/k3ts/config.yaml ]; then
  configured=$(sed -n 's/^data-dir: *"\{0,1\}\([^" ]*\).*/\1/p' /etc/rancher/k3ts/config.yaml | tail -n 1)
  [ -n "$configured" ] && data_dir=$configured
fi
if [ -x "$bin_dir/k3ts" ]; then
  say "stopping containers and taking down the network"
  "$bin_dir/k3ts" killall --data-dir "$data_dir" || { echo "k3ts-uninstall.sh: k3ts killall failed: nothing removed yet, run this again" >&2; exit 1; }
fi

say "removing files"
rm -rf "$data_dir" /etc/rancher/k3ts /run/k3ts /usr/local/lib/k3ts
# Where a node with the default data directory keeps its pods and their logs.
[ "$data_dir" != /var/lib/rancher/k3ts ] || rm -rf /var/lib/kubelet /var/log/pods /var/log/containers
rm -f /var/log/k3ts.log
rmdir /var/lib/rancher /etc/rancher 2>/dev/null
grep -q 'k3ts kubectl' "$bin_dir/kubectl" 2>/dev/null && [ "$(head -c 2 "$bin_dir/kubectl")" = '#!' ] && rm -f "$bin_dir/kubectl"
rm -f "$bin_dir/k3ts" "$bin_dir/k3ts-uninstall.sh"
say "k3ts is gone"

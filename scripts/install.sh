#!/bin/sh
# Installs k3ts and starts it. As root, on Debian 12 or a relative of it:
#
#   ./scripts/install.sh                      from a checkout: builds dist/k3ts and installs it
#   INSTALL_K3TS_BIN=/path/to/k3ts sh install.sh     installs an executable that is there already
#
#   INSTALL_K3TS_EXEC="server --disable-agent"   command and flags for the service (default: server; agent with K3TS_URL)
#   INSTALL_K3TS_BIN_DIR=/usr/local/bin          where the executable goes
#   INSTALL_K3TS_SKIP_START=true                 install only
#   INSTALL_K3TS_FORCE_RESTART=true              restart even when nothing changed
#   INSTALL_K3TS_TIMEOUT=180                     seconds to wait until the node is ready
#   K3TS_URL, K3TS_TOKEN                         join this server as an agent
#   Any other K3TS_* variable is kept for the service.
#
# Running it again upgrades in place: containers keep running. Arguments are added to the service's flags.
# -h shows this text.
set -eu
case ${1:-} in -h | --help) sed -n '2,/^set -eu/{ /^set -eu/d; s/^# \{0,1\}//; p; }' "$0"; exit 0 ;; esac

say() { printf '==> %s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

bin_dir=${INSTALL_K3TS_BIN_DIR:-/usr/local/bin}
config_dir=/etc/rancher/k3ts
log_file=/var/log/k3ts.log
[ "$(id -u)" = 0 ] || fail "must run as root (try: sudo $0)"
[ "$(uname -s)" = Linux ] || fail "k3ts runs on Linux only"
case $(uname -m) in x86_64 | aarch64) ;; *) fail "no build for $(uname -m): x86_64 and aarch64 are supported" ;; esac

# --- what runs ---------------------------------------------------------------------------------------------------
if [ -n "${K3TS_URL:-}" ]; then default_exec=agent; else default_exec=server; fi
exec_args="${INSTALL_K3TS_EXEC:-$default_exec}"
[ $# -eq 0 ] || exec_args="$exec_args $*"
case $exec_args in -*) exec_args="$default_exec $exec_args" ;; esac
case $exec_args in
  server* | agent*) ;;
  *) fail "INSTALL_K3TS_EXEC must begin with server or agent, not: $exec_args" ;;
esac
role=${exec_args%% *}
if [ "$role" = server ]; then service=k3ts; else service=k3ts-agent; fi
if [ "$role" = agent ] && [ -z "${K3TS_TOKEN:-}${K3TS_TOKEN_FILE:-}" ]; then
  case $exec_args in *--token*) ;; *) fail "an agent needs K3TS_TOKEN (on the server: /var/lib/rancher/k3ts/server/node-token)" ;; esac
fi

# --- what is needed ----------------------------------------------------------------------------------------------
checkout=
case $0 in
  */install.sh) candidate=$(cd "$(dirname "$0")/.." && pwd); [ -f "$candidate/build/build.ts" ] && checkout=$candidate ;;
esac
runtime_packages="containerd runc containernetworking-plugins nftables iptables conntrack iproute2 catatonit ca-certificates"
binary=${INSTALL_K3TS_BIN:-}
if [ -n "$checkout" ]; then
  cd "$checkout"
  # shellcheck source=scripts/prepare.sh
  . scripts/prepare.sh
elif command -v apt-get >/dev/null; then
  prepare_packages() {
    ! node_programs_there || return 0
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  }
else
  prepare_packages() { node_programs_there || fail "a node needs the programs and CNI plugins of these packages: $*"; }
fi
node_programs_there() {
  for program in containerd runc nft ip catatonit; do command -v "$program" >/dev/null || return 1; done
  [ -e /usr/lib/cni/bridge ] || [ -e /opt/cni/bin/bridge ]
}
case $exec_args in
  *--disable-agent*) ;;
  *)
    say "checking for containerd, runc, CNI plugins and nftables"
    # shellcheck disable=SC2086 # the names are words
    prepare_packages $runtime_packages
    ;;
esac
if [ -z "$binary" ]; then
  [ -n "$checkout" ] || fail "no checkout around this script: set INSTALL_K3TS_BIN to a k3ts executable"
  prepare_packages binutils unzip
  prepare_node
  say "building dist/k3ts (about a minute the first time)"
  npm run -s build
  binary=$checkout/dist/k3ts
fi
[ -f "$binary" ] || fail "$binary: no such file"

# --- install -----------------------------------------------------------------------------------------------------
mkdir -p "$bin_dir" "$config_dir"
changed=no
if ! cmp -s "$binary" "$bin_dir/k3ts"; then
  say "installing $bin_dir/k3ts"
  cp "$binary" "$bin_dir/.k3ts.new"
  chmod 755 "$bin_dir/.k3ts.new"
  mv -f "$bin_dir/.k3ts.new" "$bin_dir/k3ts"
  changed=yes
fi
# Where the service keeps its state, for the uninstaller: a flag wins over the environment, both over the configuration file.
data_dir=$(printf ' %s\n' "$exec_args" | sed -nE 's/.* (--data-dir|-d)[= ]([^ ]+).*/\2/p')
{
  printf '#!/bin/sh\nbin_dir=%s\ndata_dir=%s\n' "'$bin_dir'" "'${data_dir:-${K3TS_DATA_DIR:-}}'"
  cat <<'UNINSTALL'
# Made by install.sh. Stops k3ts with all its containers and removes everything that it made on this machine. Debian packages stay.
set -u
[ "$(id -u)" = 0 ] || { echo "k3ts-uninstall.sh: must run as root" >&2; exit 1; }
say() { printf '==> %s\n' "$*"; }

for service in k3ts k3ts-agent; do
  say "stopping $service"
  if [ -f "/etc/systemd/system/$service.service" ]; then
    systemctl disable -q --now "$service" 2>/dev/null
    rm -f "/etc/systemd/system/$service.service"
    systemctl daemon-reload 2>/dev/null
    systemctl reset-failed "$service" 2>/dev/null
  fi
  if [ -f "/etc/init.d/$service" ]; then
    rc-service "$service" stop 2>/dev/null
    rc-update -q del "$service" 2>/dev/null
    rm -f "/etc/init.d/$service"
  fi
  if [ -x "/usr/local/lib/k3ts/$service-service" ]; then "/usr/local/lib/k3ts/$service-service" stop; fi
  rm -f "/run/$service.pid" "/etc/rancher/k3ts/$service.env"
done

if [ -z "$data_dir" ] && [ -f /etc/rancher/k3ts/config.yaml ]; then
  data_dir=$(sed -n 's/^data-dir: *"\{0,1\}\([^" ]*\).*/\1/p' /etc/rancher/k3ts/config.yaml | tail -n 1)
fi
data_dir=${data_dir:-/var/lib/rancher/k3ts}
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
UNINSTALL
} >"$bin_dir/.k3ts-uninstall.new"
chmod 755 "$bin_dir/.k3ts-uninstall.new"
mv -f "$bin_dir/.k3ts-uninstall.new" "$bin_dir/k3ts-uninstall.sh"
if ! command -v kubectl >/dev/null 2>&1; then
  printf '#!/bin/sh\nexec %s/k3ts kubectl "$@"\n' "$bin_dir" >"$bin_dir/kubectl"
  chmod 755 "$bin_dir/kubectl"
fi

env_file=$config_dir/$service.env
umask 077
env | grep -E '^(K3TS_|HTTP_PROXY=|HTTPS_PROXY=|NO_PROXY=)' | sort >"$env_file.new" || true
cmp -s "$env_file.new" "$env_file" 2>/dev/null || changed=yes
mv -f "$env_file.new" "$env_file"
umask 022

if [ -d /run/systemd/system ]; then
  init=systemd
elif [ -x /sbin/openrc-run ] && [ -e /run/openrc/softlevel ]; then
  init=openrc
else
  init=none
fi

write_if_changed() { # FILE MODE < content
  cat >"$1.new"
  chmod "$2" "$1.new"
  if cmp -s "$1.new" "$1" 2>/dev/null; then rm -f "$1.new"; else mv -f "$1.new" "$1"; changed=yes; fi
}

case $init in
  systemd)
    # An agent whose server is away has started nevertheless.
    if [ "$role" = server ]; then unit_type=notify; else unit_type=exec; fi
    write_if_changed "/etc/systemd/system/$service.service" 644 <<UNIT
[Unit]
Description=k3ts: Kubernetes in one executable ($role)
After=network-online.target
Wants=network-online.target

[Service]
Type=$unit_type
EnvironmentFile=-$env_file
ExecStart=$bin_dir/k3ts $exec_args
# Containers outlive the service: only the main process is stopped.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=2s

[Install]
WantedBy=multi-user.target
UNIT
    ;;
  openrc)
    write_if_changed "/etc/init.d/$service" 755 <<UNIT
#!/sbin/openrc-run
description="k3ts: Kubernetes in one executable ($role)"
depend() { after network-online; want cgroups; }
supervisor=supervise-daemon
command="$bin_dir/k3ts"
command_args="$exec_args"
output_log="$log_file"
error_log="$log_file"
respawn_delay=2
respawn_max=0
rc_ulimit="-n 1048576"
set -o allexport
[ -f "$env_file" ] && . "$env_file"
set +o allexport
UNIT
    ;;
  none)
    mkdir -p /usr/local/lib/k3ts
    write_if_changed "/usr/local/lib/k3ts/$service-supervise" 755 <<UNIT
#!/bin/sh
# Runs k3ts and starts it again when it ends, until this process is told to stop. Made by install.sh.
set -a
[ -f "$env_file" ] && . "$env_file"
set +a
trap 'stop=yes; [ -n "\${child:-}" ] && kill -TERM "\$child" 2>/dev/null' TERM INT
stop=no
while [ "\$stop" = no ]; do
  "$bin_dir/k3ts" $exec_args &
  child=\$!
  wait "\$child" || true
  # A trapped signal ends wait early: wait again for the child itself.
  wait "\$child" 2>/dev/null || true
  [ "\$stop" = yes ] || sleep 2
done
UNIT
    write_if_changed "/usr/local/lib/k3ts/$service-service" 755 <<UNIT
#!/bin/sh
# start | stop | restart | status, for machines without systemd and OpenRC. Made by install.sh.
pid_file=/run/$service.pid
running() { [ -s "\$pid_file" ] && grep -qa "$service-supervise" "/proc/\$(cat "\$pid_file")/cmdline" 2>/dev/null; }
start() {
  running && return 0
  setsid /usr/local/lib/k3ts/$service-supervise >>"$log_file" 2>&1 </dev/null &
  echo \$! >"\$pid_file"
}
stop() {
  running || { rm -f "\$pid_file"; return 0; }
  pid=\$(cat "\$pid_file")
  kill -TERM "\$pid"
  n=0
  while [ -d "/proc/\$pid" ] && [ \$n -lt 150 ]; do sleep 0.1; n=\$((n + 1)); done
  [ ! -d "/proc/\$pid" ] || { echo "$service does not stop: pid \$pid" >&2; return 1; }
  rm -f "\$pid_file"
}
case \${1:-} in
  start) start ;;
  stop) stop ;;
  restart) stop && start ;;
  status) if running; then echo "$service runs, pid \$(cat "\$pid_file")"; else echo "$service is stopped"; exit 3; fi ;;
  *) echo "usage: \$0 start|stop|restart|status" >&2; exit 2 ;;
esac
UNIT
    ;;
esac

if [ "${INSTALL_K3TS_SKIP_START:-}" = true ]; then
  say "installed; not started, as asked"
  exit 0
fi

where_log() { case $init in systemd) echo "journalctl -u $service" ;; *) echo "$log_file" ;; esac; }
running() {
  case $init in
    systemd) systemctl is-active -q "$service" ;;
    openrc) rc-service -q "$service" status >/dev/null 2>&1 ;;
    none) "/usr/local/lib/k3ts/$service-service" status >/dev/null ;;
  esac
}
control() { # start|restart
  case $init in
    systemd) systemctl daemon-reload; systemctl enable -q "$service"; systemctl "$1" "$service" ;;
    openrc) rc-update -q add "$service" default; rc-service "$service" "$1" ;;
    none) "/usr/local/lib/k3ts/$service-service" "$1" ;;
  esac
}
if ! running; then
  say "starting $service"
  control start || fail "$service does not start; see its log: $(where_log)"
elif [ "$changed" = yes ] || [ "${INSTALL_K3TS_FORCE_RESTART:-}" = true ]; then
  say "restarting $service (containers keep running)"
  control restart || fail "$service does not start again; see its log: $(where_log)"
else
  say "nothing changed: $service keeps running"
fi

if [ "$role" = agent ]; then
  say "the agent runs; its log: $(where_log)"
  exit 0
fi

# --- wait --------------------------------------------------------------------------------------------------------
kubectl() { "$bin_dir/k3ts" kubectl "$@"; }
patience=${INSTALL_K3TS_TIMEOUT:-180}
deadline=$(($(date +%s) + patience))
wait_for() { # MESSAGE COMMAND...
  printf '==> %s ' "$1"
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$(date +%s)" -ge "$deadline" ]; then
      printf '\n'
      fail "not ready after $patience seconds; see the log: $(where_log)"
    fi
    printf '.'
    sleep 0.3
  done
  printf ' ok\n'
}
kubeconfig=$config_dir/k3ts.yaml
case $exec_args in *--write-kubeconfig[=\ ]*) kubeconfig=$(printf '%s\n' "$exec_args" | sed -E 's/.*--write-kubeconfig[= ]([^ ]+).*/\1/') ;; esac
KUBECONFIG=$kubeconfig
export KUBECONFIG
wait_for "waiting for the API server" kubectl get --raw /readyz
case $exec_args in
  *--disable-agent*) ;;
  *)
    nodes_ready() { kubectl get nodes --no-headers | grep -q ' Ready'; }
    wait_for "waiting for the node" nodes_ready
    ;;
esac
kubectl get nodes
say "k3ts is ready. Try: k3ts kubectl get pods -A    Log: $(where_log)    Remove: k3ts-uninstall.sh"

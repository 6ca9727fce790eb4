# What is checked inside the machine of machine.sh. Sourced there by each step of run.sh; the first check that fails ends the step.
set -eu
patience=600
ok() { printf 'ok    %s\n' "$*"; }
fail() {
  printf 'FAIL  %s\n' "$*"
  journalctl -u k3ts -u k3ts-agent --no-pager -o cat | tail -n 15 | cut -c1-400
  exit 1
}
kc() {
  set -- "$@"
  KUBECONFIG=/etc/rancher/k3ts/k3ts.yaml "$(ls -td /var/lib/rancher/k3ts/data/*/bin | head -n 1)/kubectl" "$@"
}
same() { # WHAT WANTED GOT
  [ "$2" = "$3" ] || fail "$1: $3, not $2"
  ok "$1: $3"
}
await() { # WHAT COMMAND...
  what=$1
  shift
  began=$(date +%s)
  until "$@" >/dev/null 2>&1; do
    [ $(($(date +%s) - began)) -lt "$patience" ] || fail "$what: not within $patience seconds"
    sleep 2
  done
  ok "$what ($(($(date +%s) - began)) s)"
}
unit() { systemctl show k3ts -p "$1" --value; }
node_ready() { kc get nodes --no-headers | grep -q ' Ready'; }
reason_of() { kc get pod "$1" -o jsonpath='{.status.containerStatuses[0].state.terminated.reason}'; }
slice_of() { # POD TIER
  echo "/sys/fs/cgroup/kubepods.slice/kubepods-$2.slice/kubepods-$2-pod$(kc get pod "$1" -o jsonpath='{.metadata.uid}' | tr - _).slice"
}
# Container and restart count of the pod that has to live through it all.
lasting() { kc get pod bounded -o jsonpath='{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}'; }

step_install() {
  same 'cgroup version' cgroup2fs "$(stat -fc %T /sys/fs/cgroup)"
  mkdir -p /var/lib/rancher/k3ts/agent/images
  cp /root/tool.tar /var/lib/rancher/k3ts/agent/images/
  INSTALL_K3TS_BIN=dist/k3ts INSTALL_K3TS_TIMEOUT=$patience ./scripts/install.sh
  same 'the unit' 'enabled active notify' "$(systemctl is-enabled k3ts) $(systemctl is-active k3ts) $(unit Type)"
  same 'containerd and kubelet use the same driver' '  SystemdCgroup = true' "$(grep SystemdCgroup /var/lib/rancher/k3ts/agent/etc/containerd.toml)"
  same 'allocatable CPU' "$(nproc)" "$(kc get nodes -o jsonpath='{.items[0].status.allocatable.cpu}')"
  lsmod | grep -q br_netfilter || fail 'br_netfilter is not loaded'
  pid=$(cat /run/k3ts/containerd/containerd.pid.json | sed 's/.*"pid":\([0-9]*\).*/\1/')
  ! tr '\0' '\n' <"/proc/$pid/environ" | grep NOTIFY_SOCKET || fail 'containerd may speak for the service'
  ok 'containerd does not speak for the service'
}

step_pods() {
  await 'the service account' kc get serviceaccount default
  kc apply -f - <<'PODS'
apiVersion: v1
kind: Pod
metadata: {name: bounded}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: a
      image: example.test/tool:1
      command: [sh, -c, 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done']
      resources: {requests: {cpu: 200m, memory: 32Mi}, limits: {cpu: 500m, memory: 64Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Never
  containers:
    - {name: a, image: 'example.test/tool:1', command: [sh, -c, 'x=a; while :; do x=$x$x; done'], resources: {limits: {memory: 24Mi}}}
PODS
  await 'the pod runs' kc wait --for=condition=Ready pod/bounded --timeout=60s
  slice=$(slice_of bounded burstable)
  same 'memory.max of the pod' 67108864 "$(cat "$slice/memory.max")"
  same 'cpu.max of the pod' '50000 100000' "$(cat "$slice/cpu.max")"
  same 'cpu.weight of the pod' 8 "$(cat "$slice/cpu.weight")"
  scope=$slice/cri-containerd-$(lasting | sed 's|containerd://||; s| .*||').scope
  same 'the container' '67108864 50000 100000 8 1' \
    "$(cat "$scope/memory.max") $(cat "$scope/cpu.max") $(cat "$scope/cpu.weight") $(cat "$scope/memory.oom.group")"
  same 'burstable pods together' 8 "$(cat /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/cpu.weight)"
  same 'best-effort pods together' 1 "$(cat /sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice/cpu.weight)"
  [ "$(cat /sys/fs/cgroup/kubepods.slice/memory.max)" != max ] || fail 'pods together have no memory.max'
  await 'a container without memory is OOMKilled' sh -c "[ \"\$($(command -v k3ts) kubectl get pod greedy -o jsonpath='{.status.containerStatuses[0].state.terminated.reason}')\" = OOMKilled ]"
  kc get --raw "/api/v1/nodes/$(hostname)/proxy/stats/summary" >/root/summary.json
  tr ',{' '\n\n' </root/summary.json | grep -E '^"(usageBytes|rssBytes|usageCoreNanoSeconds|process_count)":0' &&
    fail 'the figures of /stats/summary have a zero'
  ok 'no figure of /stats/summary is zero'
  slice=$(slice_of greedy burstable)
  kc delete pod greedy --wait=true
  await 'the cgroup of a deleted pod is gone' test ! -e "$slice"
  same 'and systemd has forgotten it' '' "$(systemctl list-units --all --plain --no-legend "$(basename "$slice")")$(find /run/systemd -name "$(basename "$slice")*")"
  lasting >/root/lasting
}

step_restart() {
  systemctl restart k3ts
  same 'systemctl restart returns when the API is served' ok "$(kc get --raw /readyz)"
  await 'the node is ready' node_ready
  same 'containers live through a restart' "$(cat /root/lasting)" "$(lasting)"
}

step_crash() {
  before=$(unit MainPID)
  kill -9 "$before"
  await 'systemd starts it again after kill -9' sh -c "[ \"\$(systemctl show k3ts -p MainPID --value)\" != $before ] && systemctl is-active -q k3ts"
  await 'the API is served' kc get --raw /readyz
  same 'restarts by systemd' 1 "$(unit NRestarts)"
  same 'containers live through a crash' "$(cat /root/lasting)" "$(lasting)"
}

step_stop() {
  systemctl stop k3ts
  same 'the unit' inactive "$(systemctl is-active k3ts || true)"
  pgrep -f 'sleep 1000' >/dev/null || fail 'the container ended with the service'
  ok 'containers go on without the service'
  systemctl start k3ts
}

step_rebooted() {
  await 'the unit is active after a reboot' systemctl is-active -q k3ts
  await 'the node is ready' node_ready
  await 'the pod runs again' sh -c '[ "$(k3ts kubectl get pod bounded -o jsonpath="{.status.containerStatuses[0].restartCount} {.status.phase} {.status.conditions[?(@.type==\"Ready\")].status}")" = "1 Running True" ]'
  echo "time from the start of the unit until it was ready: $(unit ExecMainStartTimestamp) to $(unit ActiveEnterTimestamp)"
  systemctl --no-pager status k3ts | head -n 20
}

step_uninstall() {
  k3ts-uninstall.sh
  same 'units' '' "$(systemctl list-units --all --plain --no-legend 'k3ts*' 'kubepods*' 'cri-containerd*')$(ls /etc/systemd/system | grep k3ts || true)"
  same 'processes' '' "$(pgrep -fa 'k3ts|containerd-shim|sleep 1000' | grep -v "^$$ " | grep -v 'bash -s' || true)"
  same 'files' '' "$(ls -d /var/lib/rancher /etc/rancher /run/k3ts /var/lib/kubelet /usr/local/bin/k3ts* /usr/local/bin/kubectl 2>/dev/null || true)"
  same 'network' '' "$(ip -br link | grep -E 'cni|veth|k3ts' || true)$(nft list tables | grep k3ts || true)"
  same 'cgroups and mounts' '' "$(ls -d /sys/fs/cgroup/kubepods* /run/systemd/system.control/kubepods* 2>/dev/null || true)$(grep -E 'k3ts|kubelet' /proc/mounts || true)"
}

step_agent() {
  INSTALL_K3TS_BIN=dist/k3ts INSTALL_K3TS_TIMEOUT=$patience INSTALL_K3TS_EXEC='server --disable-agent' ./scripts/install.sh
  K3TS_URL=https://127.0.0.1:6443 K3TS_TOKEN=$(cat /var/lib/rancher/k3ts/server/node-token) INSTALL_K3TS_BIN=dist/k3ts ./scripts/install.sh
  same 'the unit of the agent' 'enabled active exec' "$(systemctl is-enabled k3ts-agent) $(systemctl is-active k3ts-agent) $(systemctl show k3ts-agent -p Type --value)"
  same 'who may read the token' 600 "$(stat -c %a /etc/rancher/k3ts/k3ts-agent.env)"
  await 'the agent is a ready node' node_ready
  step_uninstall
}

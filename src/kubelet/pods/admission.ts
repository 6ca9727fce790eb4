/**
 * What a node refuses to run although it was told to: pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/sysctl. Pure.
 * The scheduler checks most of it before; pods that name their node themselves pass it by.
 */
import type { Node, Pod } from '#kube/generated/core-v1.ts';
import { bytesValue, milliValue } from '#kube/quantity.ts';
import { podTotal, requestsOf } from './resources.ts';

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** Sysctls that are namespaced and harmless to other pods: pkg/kubelet/sysctl/safe_sysctls.go. */
const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

function sysctlRefusal(pod: Pod): Refusal | undefined {
  for (const { name } of pod.spec?.securityContext?.sysctls ?? []) {
    const plain = name.replaceAll('/', '.');
    if (!safeSysctls.has(plain)) return { reason: 'SysctlForbidden', message: `forbidden sysctl: "${plain}" not allowlisted` };
    if (pod.spec?.hostNetwork === true && plain.startsWith('net.')) {
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: sysctl "${plain}" not allowed with host net enabled` };
    }
    if (pod.spec?.hostIPC === true && plain.startsWith('kernel.')) {
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: sysctl "${plain}" not allowed with host ipc enabled` };
    }
  }
  return undefined;
}

const wants = (pod: Pod, name: string, of: (q: string | number) => number): number =>
  podTotal(pod, (c) => of(requestsOf(c.resources)[name] ?? 0));

function resourceRefusal(pod: Pod, others: readonly Pod[], node: Node): Refusal | undefined {
  const allocatable = node.status?.allocatable ?? {};
  const capacity = Number(allocatable['pods'] ?? 110);
  if (others.length + 1 > capacity) {
    return {
      reason: 'OutOfpods',
      message: `Node didn't have enough resource: pods, requested: 1, used: ${others.length}, capacity: ${capacity}`,
    };
  }
  const checks = [
    ['cpu', milliValue],
    ['memory', bytesValue],
    ['ephemeral-storage', bytesValue],
  ] as const;
  for (const [name, of] of checks) {
    const requested = wants(pod, name, of);
    if (requested === 0 || allocatable[name] === undefined) continue;
    const used = others.reduce((sum, other) => sum + wants(other, name, of), 0);
    const total = of(allocatable[name]);
    if (requested + used > total) {
      return {
        reason: `OutOf${name}`,
        message: `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${total}`,
      };
    }
  }
  return undefined;
}

function selectorRefusal(pod: Pod, node: Node): Refusal | undefined {
  const labels = node.metadata.labels ?? {};
  const matches = Object.entries(pod.spec?.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
  return matches
    ? undefined
    : { reason: 'NodeAffinity', message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector" };
}

/** Undefined when the pod may run. `others` are the pods that this node has admitted and that have not ended. */
export function refusePod(pod: Pod, others: readonly Pod[], node: Node | undefined): Refusal | undefined {
  const refusal = sysctlRefusal(pod);
  if (refusal !== undefined || node === undefined) return refusal;
  return selectorRefusal(pod, node) ?? resourceRefusal(pod, others, node);
}

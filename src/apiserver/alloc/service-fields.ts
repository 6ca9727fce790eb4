/**
 * Fields of a service that depend on its type and on what has been allocated: what a client leaves out is carried over,
 * what the new type does not have is dropped. k8s.io/kubernetes pkg/registry/core/service strategy and storage.
 */
import type { Service, ServicePort, ServiceSpec } from '#kube/generated/core-v1.ts';

export type SpecDraft = { -readonly [K in keyof ServiceSpec]: ServiceSpec[K] };

export const needsClusterIp = (spec: ServiceSpec): boolean => spec.type !== 'ExternalName';
export const needsNodePorts = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
export const needsHealthPort = (spec: ServiceSpec): boolean => spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

const reachable = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0);

const same = (a: readonly string[] | undefined, b: readonly string[] | undefined): boolean =>
  (a ?? []).length === (b ?? []).length && (a ?? []).every((v, i) => v === b?.[i]);

/** clusterIP and the first of clusterIPs say the same; which of them the client has changed counts. */
export function normalizeClusterIps(spec: SpecDraft, old: ServiceSpec | undefined): void {
  const { clusterIP = '', clusterIPs } = spec;
  if (old === undefined) {
    if (clusterIP !== '' && (clusterIPs ?? []).length === 0) spec.clusterIPs = [clusterIP];
    return;
  }
  const before = old.clusterIP ?? '';
  if (before !== '' && clusterIP === '' && same(clusterIPs, old.clusterIPs)) delete spec.clusterIPs;
  else if (before !== clusterIP && same(clusterIPs, old.clusterIPs)) {
    if (clusterIP === '') delete spec.clusterIPs;
    else spec.clusterIPs = [clusterIP];
  }
}

/** What the server allocated before is kept where the client leaves it out. */
export function carryAllocated(spec: SpecDraft, old: ServiceSpec): void {
  if (needsClusterIp(old) && needsClusterIp(spec)) {
    if ((spec.clusterIP ?? '') === '' && old.clusterIP !== undefined) spec.clusterIP = old.clusterIP;
    if ((spec.clusterIPs ?? []).length === 0 && spec.clusterIP === old.clusterIP && old.clusterIPs !== undefined)
      spec.clusterIPs = old.clusterIPs;
  }
  if (needsNodePorts(old) && needsNodePorts(spec)) {
    const known = new Map((old.ports ?? []).map((p) => [p.name ?? '', p.nodePort ?? 0]));
    const taken = new Set((spec.ports ?? []).map((p) => p.nodePort ?? 0));
    setPorts(spec, (p) => {
      const before = known.get(p.name ?? '') ?? 0;
      return (p.nodePort ?? 0) === 0 && before !== 0 && !taken.has(before) ? { ...p, nodePort: before } : p;
    });
  }
  if (needsHealthPort(old) && needsHealthPort(spec) && (spec.healthCheckNodePort ?? 0) === 0 && old.healthCheckNodePort !== undefined)
    spec.healthCheckNodePort = old.healthCheckNodePort;
}

function setPorts(spec: SpecDraft, change: (port: ServicePort) => ServicePort): void {
  if (spec.ports !== undefined) spec.ports = spec.ports.map(change);
}

const nodePortsOf = (spec: ServiceSpec): number[] => (spec.ports ?? []).map((p) => p.nodePort ?? 0);

/** Drops what the new type does not have, unless the client has just set it. */
export function dropByType(spec: SpecDraft, old: ServiceSpec): void {
  if (needsClusterIp(old) && !needsClusterIp(spec) && same(spec.clusterIPs, old.clusterIPs) && spec.clusterIP === old.clusterIP) {
    delete spec.clusterIP;
    delete spec.clusterIPs;
    if (same(spec.ipFamilies, old.ipFamilies)) delete spec.ipFamilies;
    if (spec.ipFamilyPolicy === old.ipFamilyPolicy) delete spec.ipFamilyPolicy;
  }
  if (needsNodePorts(old) && !needsNodePorts(spec)) {
    const before = new Set(nodePortsOf(old));
    if (nodePortsOf(spec).every((p) => p === 0 || before.has(p))) setPorts(spec, withoutNodePort);
  }
  if (needsHealthPort(old) && !needsHealthPort(spec) && spec.healthCheckNodePort === old.healthCheckNodePort)
    delete spec.healthCheckNodePort;
  if (old.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === old.allocateLoadBalancerNodePorts) delete spec.allocateLoadBalancerNodePorts;
    if (spec.loadBalancerClass === old.loadBalancerClass) delete spec.loadBalancerClass;
  }
  if (reachable(old) && !reachable(spec) && spec.externalTrafficPolicy === old.externalTrafficPolicy) delete spec.externalTrafficPolicy;
  if (spec.type === 'ExternalName' && old.type !== 'ExternalName' && spec.internalTrafficPolicy === old.internalTrafficPolicy)
    delete spec.internalTrafficPolicy;
}

function withoutNodePort(port: ServicePort): ServicePort {
  const { nodePort: _nodePort, ...rest } = port;
  return rest;
}

export const specOf = (service: Service): ServiceSpec => service.spec ?? {};

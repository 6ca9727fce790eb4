/** From Service and EndpointSlices to what the proxy has to do for each port, one address family at a time. Pure. */
import type { Service, ServicePort } from '#kube/generated/core-v1.ts';
import type { Endpoint, EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { Stored } from '#kube/object.ts';
import { parseIp } from '#lib/cidr.ts';

export type Family = 4 | 6;

export interface Target {
  readonly ip: string;
  readonly port: number;
  /** On this node. */
  readonly local: boolean;
}

export interface PortModel {
  /** "namespace/name/protocol/port name": unique, and in the names of chains. */
  readonly id: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly port: number;
  readonly nodePort: number | undefined;
  readonly clusterIp: string;
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  readonly sourceRanges: readonly string[];
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** Seconds for which a client stays with its endpoint. */
  readonly affinitySeconds: number | undefined;
  /** Where traffic under the policy Cluster goes. */
  readonly cluster: readonly Target[];
  /** Where traffic under the policy Local goes. */
  readonly local: readonly Target[];
  /** Endpoints anywhere, ready or not: tells "drop" (only not here) from "reject" (nowhere). */
  readonly hasAny: boolean;
}

export interface NodeContext {
  readonly name: string;
  /** topology.kubernetes.io/zone of the node, for hints. */
  readonly zone: string | undefined;
}

/** Addresses that no rule must catch: those on which k3ts serves DNS itself. */
export type Excluded = ReadonlySet<string>;

const protocols: Readonly<Record<string, PortModel['protocol']>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' };

const ofFamily = (ips: readonly (string | undefined)[], family: Family): string[] => [
  ...new Set(ips.filter((ip): ip is string => ip !== undefined && parseIp(ip)?.family === family)),
];

/** A service without an address that anybody could be sent to is none of the proxy's business. */
export function isProxied(service: Stored<Service>): boolean {
  const { clusterIP = '', type } = service.spec ?? {};
  return (
    type !== 'ExternalName' &&
    clusterIP !== '' &&
    clusterIP !== 'None' &&
    service.metadata.labels?.['service.kubernetes.io/service-proxy-name'] === undefined
  );
}

export function portModels(
  service: Stored<Service>,
  slices: readonly Stored<EndpointSlice>[],
  family: Family,
  node: NodeContext,
  excluded: Excluded,
): PortModel[] {
  const spec = service.spec;
  if (spec === undefined || !isProxied(service)) return [];
  const [clusterIp] = ofFamily([...(spec.clusterIPs ?? []), spec.clusterIP], family).filter((ip) => !excluded.has(ip));
  if (clusterIp === undefined) return [];
  const ingress = spec.type === 'LoadBalancer' ? (service.status?.loadBalancer?.ingress ?? []) : [];
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.externalIPs ?? []).length > 0;
  const relevant = slices.filter((s) => s.addressType === (family === 4 ? 'IPv4' : 'IPv6'));
  const prefix = `${service.metadata.namespace ?? ''}/${service.metadata.name}`;
  return (spec.ports ?? []).flatMap((port): PortModel[] => {
    const protocol = protocols[port.protocol ?? 'TCP'];
    if (protocol === undefined) return [];
    return [
      {
        id: `${prefix}/${protocol}/${port.name ?? ''}`,
        protocol,
        port: port.port,
        nodePort: spec.type === 'NodePort' || spec.type === 'LoadBalancer' ? port.nodePort : undefined,
        clusterIp,
        externalIps: ofFamily(spec.externalIPs ?? [], family),
        loadBalancerIps: ofFamily(
          ingress.filter((i) => i.ipMode !== 'Proxy').map((i) => i.ip),
          family,
        ),
        sourceRanges: (spec.loadBalancerSourceRanges ?? [])
          .map((r) => r.trim())
          .filter((r) => parseIp(r.slice(0, r.indexOf('/')))?.family === family),
        internalLocal: spec.internalTrafficPolicy === 'Local',
        externalLocal: external && spec.externalTrafficPolicy === 'Local',
        affinitySeconds: spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined,
        ...targets(relevant, port, node),
      },
    ];
  });
}

interface Candidate extends Target {
  readonly ready: boolean;
  /** Still answers although its pod is ending. */
  readonly lingering: boolean;
  readonly endpoint: Endpoint;
}

function targets(
  slices: readonly Stored<EndpointSlice>[],
  port: ServicePort,
  node: NodeContext,
): Pick<PortModel, 'cluster' | 'local' | 'hasAny'> {
  const seen = new Map<string, Candidate>();
  for (const slice of slices) {
    const target = (slice.ports ?? []).find(
      (p) => (p.name ?? '') === (port.name ?? '') && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    if (target?.port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const [ip] = endpoint.addresses;
      if (ip === undefined || parseIp(ip) === undefined) continue;
      const ready = endpoint.conditions?.ready ?? true;
      const lingering = (endpoint.conditions?.serving ?? ready) && endpoint.conditions?.terminating === true;
      // The same endpoint may stand in two slices while it moves between them: the better word counts.
      const key = `${ip}:${target.port}`;
      const known = seen.get(key);
      if (known === undefined || (!known.ready && ready)) {
        seen.set(key, { ip, port: target.port, local: endpoint.nodeName === node.name, ready, lingering, endpoint });
      }
    }
  }
  const all = [...seen.values()].sort((a, b) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : a.port - b.port));
  const cluster = byHints(usable(all), node);
  const local = usable(all.filter((c) => c.local));
  const plain = (c: Candidate): Target => ({ ip: c.ip, port: c.port, local: c.local });
  return { cluster: cluster.map(plain), local: local.map(plain), hasAny: usable(all).length > 0 };
}

/** Ready endpoints; without any, those that are ending but still serve (KEP-1669). */
function usable(all: readonly Candidate[]): readonly Candidate[] {
  const ready = all.filter((c) => c.ready);
  return ready.length > 0 ? ready : all.filter((c) => c.lingering);
}

/** Topology hints count only when every endpoint has them and some are meant for this node, or else this zone. */
function byHints(all: readonly Candidate[], node: NodeContext): readonly Candidate[] {
  if (all.length === 0 || !all[0]?.ready) return all;
  if (all.every((c) => (c.endpoint.hints?.forNodes ?? []).length > 0)) {
    const here = all.filter((c) => c.endpoint.hints?.forNodes?.some((n) => n.name === node.name));
    if (here.length > 0) return here;
  }
  if (node.zone !== undefined && all.every((c) => (c.endpoint.hints?.forZones ?? []).length > 0)) {
    const near = all.filter((c) => c.endpoint.hints?.forZones?.some((z) => z.name === node.zone));
    if (near.length > 0) return near;
  }
  return all;
}

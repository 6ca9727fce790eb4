/** Allocation for services: cluster IPs and node ports, in memory, rebuilt from the stored services at start. */

import type { Service, ServicePort } from '#kube/generated/core-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { services } from '#kube/refs.ts';
import { type FieldError, invalid } from '#kube/status-error.ts';
import { parseCidr } from '#lib/cidr.ts';
import type { Random } from '#platform/random.ts';
import type { HookedWrite, KindHooks } from '../core.ts';
import { type ClusterIps, canonicalIp, createClusterIps, type Family, familyOf } from './cluster-ips.ts';
import { createNodePorts, type NodePorts } from './node-ports.ts';
import {
  carryAllocated,
  dropByType,
  needsClusterIp,
  needsHealthPort,
  needsNodePorts,
  normalizeClusterIps,
  type SpecDraft,
  specOf,
} from './service-fields.ts';

export interface ServiceAllocator {
  readonly hooks: KindHooks;
  readonly families: readonly Family[];
  /** Marks what a stored service holds: at start. */
  readonly adopt: (service: Service) => void;
  /** The address at the beginning of the first range: that of the service `kubernetes`. */
  readonly firstIp: () => string;
}

export interface ServiceAllocatorOptions {
  /** One or two networks, of different families. */
  readonly serviceCidrs: readonly string[];
  readonly nodePortRange: { readonly from: number; readonly to: number };
  /** Told when a service begins and ceases to hold addresses. */
  readonly onAddresses: (service: KubeObject, added: readonly string[], removed: readonly string[]) => void;
}

/** Throws Error for a network that cannot be read. */
export function createServiceAllocator(options: ServiceAllocatorOptions, random: Random): ServiceAllocator {
  const ranges = options.serviceCidrs.map((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new Error(`"${text}" is not a network for services`);
    return createClusterIps(cidr, random);
  });
  const ports = createNodePorts(options.nodePortRange, random);
  const allocation: Allocation = { ranges, ports };
  return {
    families: ranges.map((r) => r.family),
    firstIp: () => {
      const [first] = ranges;
      if (first === undefined) throw new Error('no network for services');
      return first.first;
    },
    adopt: (service) => {
      for (const ip of ipsOf(service)) ranges.find((r) => r.family === familyOf(ip))?.take(ip);
      for (const port of portsOf(service)) ports.take(port);
    },
    hooks: {
      beforeWrite: (write) => reserve(allocation, write),
      afterWrite: (object, old) => {
        const now = object as unknown as Service;
        const before = old as unknown as Service | undefined;
        const gone = before === undefined ? [] : ipsOf(before).filter((ip) => !ipsOf(now).includes(ip));
        releaseIps(allocation, gone);
        if (before !== undefined) for (const port of portsOf(before)) if (!portsOf(now).includes(port)) ports.release(port);
        const added = ipsOf(now).filter((ip) => before === undefined || !ipsOf(before).includes(ip));
        if (added.length > 0 || gone.length > 0) options.onAddresses(object, added, gone);
      },
      afterDelete: (object) => {
        const service = object as unknown as Service;
        releaseIps(allocation, ipsOf(service));
        for (const port of portsOf(service)) ports.release(port);
        if (ipsOf(service).length > 0) options.onAddresses(object, [], ipsOf(service));
      },
    },
  };
}

interface Allocation {
  readonly ranges: readonly ClusterIps[];
  readonly ports: NodePorts;
}

/** Addresses that a service holds; headless ones hold none. */
export const ipsOf = (service: Service): readonly string[] =>
  (service.spec?.clusterIPs ?? (service.spec?.clusterIP === undefined ? [] : [service.spec.clusterIP])).filter(
    (ip) => ip !== 'None' && ip !== '',
  );

const portsOf = (service: Service): readonly number[] => {
  const spec = specOf(service);
  return [...new Set([...(spec.ports ?? []).map((p) => p.nodePort ?? 0), spec.healthCheckNodePort ?? 0])].filter((p) => p !== 0);
};

function releaseIps({ ranges }: Allocation, ips: readonly string[]): void {
  for (const ip of ips) ranges.find((r) => r.family === familyOf(ip))?.release(ip);
}

/** Completes a service and takes what it needs. Throws StatusError Invalid; then nothing is held. */
function reserve(allocation: Allocation, write: HookedWrite): { readonly undo: () => void } {
  const service = write.draft as unknown as Service;
  const old = write.old as unknown as Service | undefined;
  const spec = (write.draft['spec'] ?? {}) as SpecDraft;
  write.draft['spec'] = spec;
  normalizeClusterIps(spec, old?.spec);
  if (old?.spec !== undefined) {
    carryAllocated(spec, old.spec);
    dropByType(spec, old.spec);
  }
  const undo: (() => void)[] = [];
  const undoAll = (): void => {
    for (const step of undo.splice(0)) step();
  };
  const errors: FieldError[] = [];
  try {
    if (needsClusterIp(spec)) {
      errors.push(...completeFamilies(allocation, spec));
      if (errors.length === 0) errors.push(...takeIps(allocation, spec, old, undo));
    }
    if (errors.length === 0) errors.push(...takePorts(allocation, spec, old, undo));
  } catch (error) {
    undoAll();
    throw error;
  }
  if (errors.length > 0) {
    undoAll();
    throw invalid(services, service.metadata?.name ?? '', errors);
  }
  return { undo: undoAll };
}

const wrong = (field: string, value: unknown, why: string): FieldError => ({
  field,
  type: 'FieldValueInvalid',
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});

/** Sets ipFamilies and ipFamilyPolicy as upstream's defaulting does. */
function completeFamilies({ ranges }: Allocation, spec: SpecDraft): FieldError[] {
  const configured = ranges.map((r) => r.family);
  const given = (spec.clusterIPs ?? []).filter((ip) => ip !== 'None');
  const headless = spec.clusterIP === 'None';
  const selectorless = Object.keys(spec.selector ?? {}).length === 0;
  const families = [...((spec.ipFamilies ?? []) as Family[])];
  for (const ip of given.slice(families.length)) families.push(familyOf(ip));
  const first = families[0] ?? configured[0] ?? 'IPv4';
  if (families.length === 0) families.push(first);
  const other: Family = first === 'IPv4' ? 'IPv6' : 'IPv4';
  if (headless && selectorless) {
    spec.ipFamilyPolicy ??= 'RequireDualStack';
    if (spec.ipFamilyPolicy !== 'SingleStack' && families.length === 1) families.push(other);
    spec.ipFamilies = families;
    return [];
  }
  spec.ipFamilyPolicy ??= families.length > 1 || given.length > 1 ? 'RequireDualStack' : 'SingleStack';
  if (spec.ipFamilyPolicy === 'RequireDualStack' && configured.length < 2)
    return [wrong('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services')];
  if (spec.ipFamilyPolicy !== 'SingleStack' && families.length === 1 && configured.includes(other)) families.push(other);
  spec.ipFamilies = spec.ipFamilyPolicy === 'SingleStack' ? families.slice(0, 1) : families;
  return spec.ipFamilies.flatMap((family, i) =>
    configured.includes(family as Family) ? [] : [wrong(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster')],
  );
}

function takeIps({ ranges }: Allocation, spec: SpecDraft, old: Service | undefined, undo: (() => void)[]): FieldError[] {
  if (spec.clusterIP === 'None') {
    spec.clusterIPs = ['None'];
    return [];
  }
  const held = old === undefined ? [] : ipsOf(old);
  const sent = (spec.clusterIPs ?? []).length === 0 && (spec.clusterIP ?? '') !== '' ? [spec.clusterIP ?? ''] : (spec.clusterIPs ?? []);
  const asked = sent.map(canonicalIp);
  const [before] = held;
  if (before !== undefined && asked[0] !== undefined && asked[0] !== before && old !== undefined && needsClusterIp(specOf(old)))
    return [wrong('spec.clusterIPs[0]', spec.clusterIPs, 'may not change once set')];
  const ips: string[] = [];
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) {
    const range = ranges.find((r) => r.family === family);
    if (range === undefined) continue;
    const wanted = asked[i] ?? '';
    if (wanted !== '' && held.includes(wanted)) {
      ips.push(wanted);
      continue;
    }
    const problem = wanted === '' ? undefined : range.take(wanted);
    if (problem !== undefined) return [wrong('spec.clusterIPs', spec.clusterIPs, `failed to allocate IP ${wanted}: ${problem}`)];
    const ip = wanted === '' ? range.takeAny() : wanted;
    if (ip === undefined)
      return [
        { field: 'spec.clusterIPs', type: 'InternalError', message: 'Internal error: failed to allocate a serviceIP: range is full' },
      ];
    undo.push(() => range.release(ip));
    ips.push(ip);
  }
  spec.clusterIPs = ips;
  if (ips[0] !== undefined) spec.clusterIP = ips[0];
  return [];
}

function takePorts({ ports }: Allocation, spec: SpecDraft, old: Service | undefined, undo: (() => void)[]): FieldError[] {
  const held = new Set(old === undefined ? [] : portsOf(old));
  const mine = new Set<number>();
  const errors: FieldError[] = [];
  const take = (port: number, field: string): void => {
    if (!held.has(port) && !mine.has(port)) {
      const problem = ports.take(port);
      if (problem === undefined) undo.push(() => ports.release(port));
      else errors.push(wrong(field, port, problem));
    }
    mine.add(port);
  };
  const list: ServicePort[] = [...(spec.ports ?? [])];
  const wantsNodePorts = needsNodePorts(spec);
  for (const [i, port] of list.entries()) if ((port.nodePort ?? 0) !== 0) take(port.nodePort ?? 0, `spec.ports[${i}].nodePort`);
  if (errors.length > 0) return errors;
  for (const [i, port] of list.entries()) {
    if (!wantsNodePorts || (port.nodePort ?? 0) !== 0) continue;
    // One number serves several protocols of the same port.
    const twin = list.find((p, j) => j !== i && p.port === port.port && p.protocol !== port.protocol && (p.nodePort ?? 0) !== 0);
    const clash = twin !== undefined && list.some((p) => p.nodePort === twin.nodePort && p.protocol === port.protocol);
    const chosen = twin?.nodePort !== undefined && !clash ? twin.nodePort : ports.takeAny();
    if (chosen === undefined)
      return [{ field: 'spec.ports', type: 'InternalError', message: 'Internal error: failed to allocate a nodePort: range is full' }];
    if (!mine.has(chosen)) undo.push(() => ports.release(chosen));
    mine.add(chosen);
    list[i] = { ...port, nodePort: chosen };
  }
  if (spec.ports !== undefined) spec.ports = list;
  if (!needsHealthPort(spec)) return [];
  if ((spec.healthCheckNodePort ?? 0) !== 0) take(spec.healthCheckNodePort ?? 0, 'spec.healthCheckNodePort');
  else {
    const chosen = ports.takeAny();
    if (chosen !== undefined) {
      undo.push(() => ports.release(chosen));
      spec.healthCheckNodePort = chosen;
    }
  }
  return errors;
}

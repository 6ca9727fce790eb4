/**
 * The cluster's names (Kubernetes DNS specification 1.1.0) as an index: every name that exists, with its records, kept
 * up to date service by service. Answering is one look-up. Pure.
 */
import type { Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { Stored } from '#kube/object.ts';
import { formatIp, parseIp } from '#lib/cidr.ts';
import type { RecordData } from './wire.ts';

interface Entry {
  /** By owner. */
  readonly records: Map<string, RecordData[]>;
  /** Names below this one, so that a name that only has children is known to exist. */
  children: number;
}

interface OwnedName {
  readonly name: string;
  readonly record: RecordData;
}

export const dnsVersion = '1.1.0';

export function addressRecord(ip: string): RecordData | undefined {
  const parsed = parseIp(ip);
  if (parsed === undefined) return undefined;
  const size = parsed.family === 4 ? 4 : 16;
  const address = new Uint8Array(size);
  for (let i = 0; i < size; i++) address[i] = Number((parsed.value >> BigInt(8 * (size - 1 - i))) & 255n);
  return { type: parsed.family === 4 ? 'A' : 'AAAA', address };
}

/** "10.43.0.1" → "1.0.43.10.in-addr.arpa". */
export function reverseName(ip: string): string | undefined {
  const parsed = parseIp(ip);
  if (parsed === undefined) return undefined;
  if (parsed.family === 4) return `${formatIp(4, parsed.value).split('.').reverse().join('.')}.in-addr.arpa`;
  return `${parsed.value.toString(16).padStart(32, '0').split('').reverse().join('.')}.ip6.arpa`;
}

/** The address that a complete reverse name stands for. */
export function addressOfReverse(name: string): string | undefined {
  if (name.endsWith('.in-addr.arpa')) {
    const text = name.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.');
    return parseIp(text) === undefined ? undefined : text;
  }
  if (!name.endsWith('.ip6.arpa')) return undefined;
  const digits = name.slice(0, -'.ip6.arpa'.length).split('.').reverse();
  if (digits.length !== 32 || !digits.every((d) => /^[0-9a-f]$/.test(d))) return undefined;
  return formatIp(6, BigInt(`0x${digits.join('')}`));
}

/** The first label of an endpoint's name: its hostname, or its address with dashes. */
export const endpointLabel = (ip: string, hostname: string | undefined): string =>
  (hostname === undefined || hostname === '' ? ip.replaceAll(/[.:]/g, '-') : hostname).toLowerCase();

export class Zone {
  /** Such as "cluster.local". */
  readonly origin: string;
  readonly #entries = new Map<string, Entry>();
  readonly #owned = new Map<string, OwnedName[]>();

  constructor(origin: string, dnsAddresses: readonly string[]) {
    this.origin = origin.toLowerCase().replace(/\.$/, '');
    const server = `ns.dns.${this.origin}`;
    const names: OwnedName[] = [
      { name: `dns-version.${this.origin}`, record: { type: 'TXT', text: dnsVersion } },
      { name: this.origin, record: { type: 'NS', target: server } },
      // Both exist always, even in an empty cluster.
      { name: `svc.${this.origin}`, record: { type: 'TXT', text: '' } },
      { name: `pod.${this.origin}`, record: { type: 'TXT', text: '' } },
    ];
    for (const ip of dnsAddresses) {
      const record = addressRecord(ip);
      if (record !== undefined) names.push({ name: server, record });
    }
    this.#set('zone', names);
  }

  /** Records at a name; undefined when the name does not exist, empty when it only has names below it. */
  lookup(name: string): readonly RecordData[] | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (entry.records.size === 1) return entry.records.values().next().value;
    return [...entry.records.values()].flat();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What a service and its endpoints are called; undefined removes it. */
  setService(key: string, service: Stored<Service> | undefined, slices: readonly Stored<EndpointSlice>[]): void {
    this.#set(`service ${key}`, service === undefined ? [] : serviceNames(service, slices, this.origin));
  }

  /** A node answers to its name, as K3s' NodeHosts. */
  setNode(name: string, addresses: readonly string[]): void {
    const names: OwnedName[] = [];
    for (const ip of addresses) {
      const record = addressRecord(ip);
      const reverse = reverseName(ip);
      if (record !== undefined) names.push({ name: name.toLowerCase(), record });
      if (reverse !== undefined) names.push({ name: reverse, record: { type: 'PTR', target: name.toLowerCase() } });
    }
    this.#set(`node ${name}`, names);
  }

  #set(owner: string, names: readonly OwnedName[]): void {
    for (const { name } of this.#owned.get(owner) ?? []) this.#drop(owner, name);
    if (names.length === 0) this.#owned.delete(owner);
    else this.#owned.set(owner, [...names]);
    for (const { name, record } of names) {
      const entry = this.#ensure(name);
      const list = entry.records.get(owner);
      if (list === undefined) entry.records.set(owner, [record]);
      else list.push(record);
    }
  }

  #ensure(name: string): Entry {
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const entry: Entry = { records: new Map(), children: 0 };
    this.#entries.set(name, entry);
    const parent = this.#parent(name);
    if (parent !== undefined) this.#ensure(parent).children++;
    return entry;
  }

  /** Empty names in between are kept inside the zone only: elsewhere others are responsible. */
  #parent(name: string): string | undefined {
    if (!name.endsWith(`.${this.origin}`)) return undefined;
    return name.slice(name.indexOf('.') + 1);
  }

  #drop(owner: string, name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    entry.records.delete(owner);
    this.#prune(name, entry);
  }

  #prune(name: string, entry: Entry): void {
    if (entry.records.size > 0 || entry.children > 0) return;
    this.#entries.delete(name);
    const parent = this.#parent(name);
    const above = parent === undefined ? undefined : this.#entries.get(parent);
    if (parent === undefined || above === undefined) return;
    above.children--;
    this.#prune(parent, above);
  }
}

function serviceNames(service: Stored<Service>, slices: readonly Stored<EndpointSlice>[], origin: string): OwnedName[] {
  const { name, namespace = '' } = service.metadata;
  const base = `${name}.${namespace}.svc.${origin}`;
  const spec = service.spec;
  if (spec?.type === 'ExternalName') {
    const target = (spec.externalName ?? '').toLowerCase().replace(/\.$/, '');
    return target === '' ? [] : [{ name: base, record: { type: 'CNAME', target } }];
  }
  return spec?.clusterIP === 'None' ? headlessNames(base, slices) : clusterIpNames(base, service);
}

function clusterIpNames(base: string, service: Stored<Service>): OwnedName[] {
  const spec = service.spec;
  const names: OwnedName[] = [];
  const ips = new Set([...(spec?.clusterIPs ?? []), spec?.clusterIP ?? ''].filter((ip) => ip !== ''));
  for (const ip of ips) {
    const record = addressRecord(ip);
    const reverse = reverseName(ip);
    if (record !== undefined) names.push({ name: base, record });
    if (reverse !== undefined) names.push({ name: reverse, record: { type: 'PTR', target: base } });
  }
  if (ips.size === 0) return names;
  for (const port of spec?.ports ?? []) {
    if ((port.name ?? '') === '') continue;
    const record: RecordData = { type: 'SRV', priority: 0, weight: 100, port: port.port, target: base };
    names.push({ name: `_${port.name}._${(port.protocol ?? 'TCP').toLowerCase()}.${base}`, record });
  }
  return names;
}

function headlessNames(base: string, slices: readonly Stored<EndpointSlice>[]): OwnedName[] {
  const seen = new Map<string, OwnedName>();
  const put = (name: string, record: RecordData, id: string): void => {
    seen.set(`${name}|${record.type}|${id}`, { name, record });
  };
  for (const slice of slices) {
    if (slice.addressType === 'FQDN') continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      for (const ip of endpoint.addresses) {
        const address = addressRecord(ip);
        const reverse = reverseName(ip);
        if (address === undefined || reverse === undefined) continue;
        const own = `${endpointLabel(ip, endpoint.hostname)}.${base}`;
        put(base, address, ip);
        put(own, address, ip);
        put(reverse, { type: 'PTR', target: own }, own);
        for (const port of slice.ports ?? []) {
          if ((port.name ?? '') === '' || port.port === undefined) continue;
          const srv: RecordData = { type: 'SRV', priority: 0, weight: 100, port: port.port, target: own };
          put(`_${port.name}._${(port.protocol ?? 'TCP').toLowerCase()}.${base}`, srv, `${own}|${port.port}`);
        }
      }
    }
  }
  return [...seen.values()];
}

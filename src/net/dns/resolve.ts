/** From a question to an answer out of the zone, or the word that somebody else must be asked. Pure. */
import { type Cidr, cidrContains } from '#lib/cidr.ts';
import type { Random } from '#platform/random.ts';
import { type Answer, codes, type DnsRecord, type RecordData, types } from './wire.ts';
import { addressOfReverse, addressRecord, type Zone } from './zone.ts';

export interface ResolveOptions {
  readonly zone: Zone;
  /** Cluster and service networks: their reverse names are ours to deny. */
  readonly ownNetworks: readonly Cidr[];
  readonly random: Pick<Random, 'fraction'>;
  /** Seconds since the epoch, for the SOA serial. */
  readonly serial: number;
}

export type Resolution =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** An alias that leads out of the zone: `answers` so far, and the name to ask for. */
  | { readonly kind: 'chase'; readonly answers: readonly DnsRecord[]; readonly target: string }
  | { readonly kind: 'forward' };

/** CoreDNS' defaults for cluster records and for what a resolver may remember as missing. */
const ttl = 5;
const negativeTtl = 5;
const nodeTtl = 60;
/** Aliases of aliases beyond this are a loop. */
const maxAliases = 8;

export function resolve(name: string, type: number, options: ResolveOptions): Resolution {
  const { zone } = options;
  const inZone = name === zone.origin || name.endsWith(`.${zone.origin}`);
  if (!inZone) return resolveOutside(name, type, options);
  const answers: DnsRecord[] = [];
  let current = name;
  for (let i = 0; i < maxAliases; i++) {
    const records = find(current, zone);
    if (records === undefined) return deny(codes.NXDOMAIN, answers, options);
    const alias = records.find((r) => r.type === 'CNAME');
    if (alias?.type === 'CNAME' && type !== types.CNAME && type !== types.ANY) {
      answers.push({ ...alias, name: current, ttl });
      if (!alias.target.endsWith(`.${zone.origin}`)) return { kind: 'chase', answers, target: alias.target };
      current = alias.target;
      continue;
    }
    const matching = records.filter((r) => type === types.ANY || types[r.type] === type).filter((r) => r.type !== 'TXT' || r.text !== '');
    if (matching.length === 0 && current === zone.origin && type === types.SOA) {
      return { kind: 'answer', answer: { code: codes.NOERROR, authoritative: true, answers: [soa(options)], authorities: [] } };
    }
    if (matching.length === 0) return deny(codes.NOERROR, answers, options);
    answers.push(...rotated(matching, options.random).map((r): DnsRecord => ({ ...r, name: current, ttl })));
    return {
      kind: 'answer',
      answer: { code: codes.NOERROR, authoritative: true, answers, authorities: [], additionals: glue(answers, zone) },
    };
  }
  return { kind: 'answer', answer: { code: codes.SERVFAIL, authoritative: true, answers: [], authorities: [] } };
}

/** Addresses of the targets of SRV records, which save the client a question each. */
function glue(answers: readonly DnsRecord[], zone: Zone): DnsRecord[] {
  const result: DnsRecord[] = [];
  const seen = new Set<string>();
  for (const a of answers) {
    if (a.type !== 'SRV' || seen.has(a.target)) continue;
    seen.add(a.target);
    for (const r of zone.lookup(a.target) ?? []) if (r.type === 'A' || r.type === 'AAAA') result.push({ ...r, name: a.target, ttl });
  }
  return result;
}

function find(name: string, zone: Zone): readonly RecordData[] | undefined {
  const known = zone.lookup(name);
  if (known !== undefined) return known;
  // Pod names say their address themselves: 10-42-0-5.namespace.pod.cluster.local.
  const suffix = `.pod.${zone.origin}`;
  if (!name.endsWith(suffix)) return undefined;
  const labels = name.slice(0, -suffix.length).split('.');
  if (labels.length === 1) return [];
  if (labels.length !== 2) return undefined;
  const text = labels[0] ?? '';
  const record = addressRecord(text.replaceAll('-', '.')) ?? addressRecord(text.replaceAll('-', ':'));
  return record === undefined ? undefined : [record];
}

/** Nodes by name, and addresses of the cluster by reverse name; the rest of the world is for the forwarder. */
function resolveOutside(name: string, type: number, options: ResolveOptions): Resolution {
  const known = options.zone.lookup(name);
  if (known !== undefined) {
    const matching = known.filter((r) => type === types.ANY || types[r.type] === type);
    const isReverse = name.endsWith('.arpa');
    if (matching.length > 0) {
      const answers = matching.map((r): DnsRecord => ({ ...r, name, ttl: isReverse ? ttl : nodeTtl }));
      return { kind: 'answer', answer: { code: codes.NOERROR, authoritative: true, answers, authorities: [] } };
    }
    return deny(codes.NOERROR, [], options);
  }
  const address = addressOfReverse(name);
  if (address !== undefined && options.ownNetworks.some((c) => cidrContains(c, address))) return deny(codes.NXDOMAIN, [], options);
  return { kind: 'forward' };
}

function soa({ zone, serial }: ResolveOptions): DnsRecord {
  const mailbox = `hostmaster.${zone.origin}`;
  return { type: 'SOA', name: zone.origin, ttl, server: `ns.dns.${zone.origin}`, mailbox, serial, minimum: negativeTtl };
}

function deny(code: number, answers: readonly DnsRecord[], options: ResolveOptions): Resolution {
  return { kind: 'answer', answer: { code, authoritative: true, answers, authorities: [soa(options)] } };
}

/** The records beginning with another one each time, so that clients that take the first spread out. */
function rotated<T>(records: readonly T[], random: Pick<Random, 'fraction'>): readonly T[] {
  if (records.length < 2) return records;
  const start = Math.floor(random.fraction() * records.length);
  return [...records.slice(start), ...records.slice(0, start)];
}

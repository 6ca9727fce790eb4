/** One query in, one answer out: zone, cache and upstream together. */

import type { Cidr } from '#lib/cidr.ts';
import { formatIp } from '#lib/cidr.ts';
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import { addressedTo, cacheKey, DnsCache } from './cache.ts';
import { resolve } from './resolve.ts';
import type { Upstream } from './upstream.ts';
import {
  classIn,
  codes,
  type DnsRecord,
  encodeAnswer,
  encodeError,
  largestUdpSize,
  parseQuery,
  plainUdpSize,
  type Query,
  readName,
  types,
  walk,
} from './wire.ts';
import { addressRecord, type Zone } from './zone.ts';

export interface ResponderDeps {
  readonly zone: Zone;
  /** False while the zone may be incomplete: then nothing in it is denied. */
  readonly zoneReady: () => boolean;
  readonly ownNetworks: readonly Cidr[];
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly random: Random;
}

export interface DnsCounters {
  requests: number;
  forwarded: number;
  cacheHits: number;
  cacheMisses: number;
  failures: number;
  /** Answers by response code. */
  readonly responses: Map<number, number>;
}

export interface Responder {
  /** Undefined: the message deserves no answer. Never rejects. */
  readonly respond: (message: Buffer, transport: 'udp' | 'tcp') => Promise<Buffer | undefined>;
  readonly counters: Readonly<DnsCounters>;
  readonly cache: DnsCache;
}

export function createResponder(deps: ResponderDeps): Responder {
  const cache = new DnsCache();
  const counters: DnsCounters = { requests: 0, forwarded: 0, cacheHits: 0, cacheMisses: 0, failures: 0, responses: new Map() };
  /** Questions under way: the same question asked meanwhile waits for the same answer, which also ends forwarding loops. */
  const pending = new Map<string, Promise<Buffer | undefined>>();

  const forward = async (query: Query): Promise<Buffer> => {
    const cached = cache.get(query, deps.clock.now());
    if (cached !== undefined) {
      counters.cacheHits++;
      return cached;
    }
    counters.cacheMisses++;
    const key = cacheKey(query);
    let question = pending.get(key);
    if (question === undefined) {
      counters.forwarded++;
      question = deps.upstream.ask(query).finally(() => pending.delete(key));
      pending.set(key, question);
    }
    const reply = await question;
    if (reply === undefined) {
      counters.failures++;
      return encodeError(query.id, codes.SERVFAIL, query);
    }
    cache.put(query, reply, deps.clock.now());
    return addressedTo(query, Buffer.from(reply));
  };

  /** An alias of ours that leads outside: its target's addresses are put behind it. */
  const chase = async (query: Query, answers: readonly DnsRecord[], target: string, limit: number): Promise<Buffer> => {
    const question = questionFor(target, query.type);
    const outer: Query = { ...query, name: target, question };
    const reply = await forward(outer);
    const code = reply.readUInt16BE(2) & 15;
    const found = code === codes.NOERROR ? recordsOf(reply) : [];
    const settled = code === codes.NXDOMAIN || code === codes.NOERROR ? code : codes.SERVFAIL;
    return encodeAnswer(query, { code: settled, authoritative: true, answers: [...answers, ...found], authorities: [] }, limit);
  };

  const answer = async (query: Query, limit: number): Promise<Buffer> => {
    if (query.class !== classIn) return encodeError(query.id, codes.REFUSED, query);
    const serial = Math.floor(deps.clock.now() / 1000);
    const result = resolve(query.name, query.type, { zone: deps.zone, ownNetworks: deps.ownNetworks, random: deps.random, serial });
    switch (result.kind) {
      case 'forward':
        return truncated(query, await forward(query), limit);
      case 'chase':
        return chase(query, result.answers, result.target, limit);
      case 'answer':
        if (result.answer.answers.length === 0 && !deps.zoneReady()) return encodeError(query.id, codes.SERVFAIL, query);
        return encodeAnswer(query, result.answer, limit);
    }
  };

  return {
    cache,
    counters,
    respond: async (message, transport) => {
      counters.requests++;
      const parsed = parseQuery(message);
      if (!parsed.ok) return parsed.id === undefined ? undefined : encodeError(parsed.id, parsed.code, undefined);
      const { query } = parsed;
      const limit = transport === 'tcp' ? 65_535 : Math.min(largestUdpSize, query.edns?.udpSize ?? plainUdpSize);
      let reply: Buffer;
      try {
        reply = await answer(query, limit);
      } catch {
        counters.failures++;
        reply = encodeError(query.id, codes.SERVFAIL, query);
      }
      const code = reply.readUInt16BE(2) & 15;
      counters.responses.set(code, (counters.responses.get(code) ?? 0) + 1);
      return reply;
    },
  };
}

/** A forwarded answer that is too long for the client's transport becomes an empty one that says "ask by TCP". */
function truncated(query: Query, reply: Buffer, limit: number): Buffer {
  if (reply.length <= limit) return reply;
  const empty = encodeError(query.id, reply.readUInt16BE(2) & 15, query);
  empty.writeUInt16BE(empty.readUInt16BE(2) | 0x0200, 2);
  return empty;
}

function questionFor(name: string, type: number): Buffer {
  const labels = name.split('.').map((l) => Buffer.concat([Buffer.from([l.length]), Buffer.from(l, 'latin1')]));
  const tail = Buffer.alloc(5);
  tail.writeUInt16BE(type, 1);
  tail.writeUInt16BE(classIn, 3);
  return Buffer.concat([...labels, tail]);
}

/** Addresses and aliases in the answer section of a message. */
function recordsOf(message: Buffer): DnsRecord[] {
  const question = readName(message, 12);
  if (question === undefined || message.readUInt16BE(4) !== 1) return [];
  const records: DnsRecord[] = [];
  let at = question.end + 4;
  for (let i = 0; i < message.readUInt16BE(6); i++) {
    const name = readName(message, at);
    const [record] = walk(message, at, 1) ?? [];
    if (name === undefined || record === undefined) break;
    const common = { name: name.text.toLowerCase(), ttl: message.readUInt32BE(record.ttlAt) };
    const data = message.subarray(record.dataAt, record.dataAt + record.dataLength);
    if ((record.type === types.A && data.length === 4) || (record.type === types.AAAA && data.length === 16)) {
      const value = data.reduce((v, b) => (v << 8n) | BigInt(b), 0n);
      const address = addressRecord(formatIp(data.length === 4 ? 4 : 6, value));
      if (address !== undefined) records.push({ ...common, ...address });
    } else if (record.type === types.CNAME) {
      const target = readName(message, record.dataAt);
      if (target !== undefined) records.push({ ...common, type: 'CNAME', target: target.text.toLowerCase() });
    }
    at = record.dataAt + record.dataLength;
  }
  return records;
}

/** Answers of other servers, kept as the bytes they came as; TTLs are counted down when they are handed out. Pure. */
import { codes, type Query, readName, types, type WalkedRecord, walk } from './wire.ts';

interface Cached {
  readonly message: Buffer;
  readonly ttlOffsets: readonly number[];
  readonly storedAt: number;
  readonly expiresAt: number;
}

const maxEntries = 10_000;
const maxBytes = 8 * 1024 * 1024;
const longestTtl = 3600;
const longestNegativeTtl = 30;
/** A server that fails is asked again soon (RFC 9520 wants at least a second). */
const failureTtl = 2;

/** Questions whose answers may differ only in the message id. */
export function cacheKey(query: Query): string {
  const flags = `${query.edns === undefined ? '' : 'e'}${query.edns?.dnssecOk === true ? 'd' : ''}${query.checkingDisabled ? 'c' : ''}`;
  return `${query.name}|${query.type}|${query.class}|${flags}`;
}

export class DnsCache {
  readonly #entries = new Map<string, Cached>();
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The answer for this query, with its id and its spelling of the name. `now` in milliseconds. */
  get(query: Query, now: number): Buffer | undefined {
    const key = cacheKey(query);
    const cached = this.#entries.get(key);
    if (cached === undefined) return undefined;
    if (cached.expiresAt <= now) {
      this.#delete(key, cached);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, cached);
    const message = Buffer.from(cached.message);
    const age = Math.floor((now - cached.storedAt) / 1000);
    for (const at of cached.ttlOffsets) message.writeUInt32BE(Math.max(0, message.readUInt32BE(at) - age), at);
    return addressedTo(query, message);
  }

  /** Keeps an answer for as long as it says. */
  put(query: Query, message: Buffer, now: number): void {
    const parsed = lifetime(message);
    if (parsed === undefined || parsed.seconds <= 0) return;
    const key = cacheKey(query);
    const old = this.#entries.get(key);
    if (old !== undefined) this.#delete(key, old);
    this.#entries.set(key, { message, ttlOffsets: parsed.ttlOffsets, storedAt: now, expiresAt: now + parsed.seconds * 1000 });
    this.#bytes += message.length;
    for (const [k, oldest] of this.#entries) {
      if (this.#entries.size <= maxEntries && this.#bytes <= maxBytes) break;
      this.#delete(k, oldest);
    }
  }

  #delete(key: string, cached: Cached): void {
    this.#entries.delete(key);
    this.#bytes -= cached.message.length;
  }
}

/** Puts the query's id, and its question as it was spelled, into an answer. */
export function addressedTo(query: Query, message: Buffer): Buffer {
  message.writeUInt16BE(query.id, 0);
  if (message.readUInt16BE(4) === 1) {
    const name = readName(message, 12);
    if (name !== undefined && name.end + 4 - 12 === query.question.length) message.set(query.question, 12);
  }
  return message;
}

/** True when the message answers the question of the query. */
export function answers(query: Query, message: Buffer): boolean {
  if (message.length < 12 || (message.readUInt16BE(2) & 0x8000) === 0) return false;
  // Some servers leave the question out of error messages.
  if (message.readUInt16BE(4) === 0) return (message.readUInt16BE(2) & 15) !== codes.NOERROR;
  const name = readName(message, 12);
  if (name === undefined || name.end + 4 > message.length) return false;
  return (
    name.text.toLowerCase() === query.name &&
    message.readUInt16BE(name.end) === query.type &&
    message.readUInt16BE(name.end + 2) === query.class
  );
}

function lifetime(message: Buffer): { readonly seconds: number; readonly ttlOffsets: readonly number[] } | undefined {
  const flags = message.readUInt16BE(2);
  const code = flags & 15;
  const question = message.readUInt16BE(4) === 1 ? readName(message, 12) : undefined;
  const start = question === undefined ? 12 : question.end + 4;
  const counts = [message.readUInt16BE(6), message.readUInt16BE(8), message.readUInt16BE(10)] as const;
  const records = walk(message, start, counts[0] + counts[1] + counts[2]);
  if (records === undefined || (flags & 0x0200) !== 0) return undefined;
  const real = records.filter((r) => r.type !== types.OPT);
  const ttlOffsets = real.map((r) => r.ttlAt);
  if (code !== codes.NOERROR && code !== codes.NXDOMAIN) return { seconds: failureTtl, ttlOffsets };
  const ttlOf = (r: WalkedRecord): number => message.readUInt32BE(r.ttlAt) & 0x7fffffff;
  if (code === codes.NOERROR && counts[0] > 0) return { seconds: Math.min(longestTtl, ...real.map(ttlOf)), ttlOffsets };
  // RFC 2308: no answer lives as long as the SOA's minimum; without SOA it is not kept.
  const soa = records.slice(counts[0], counts[0] + counts[1]).find((r) => r.type === types.SOA);
  if (soa === undefined || soa.dataLength < 20) return undefined;
  const minimum = message.readUInt32BE(soa.dataAt + soa.dataLength - 4);
  return { seconds: Math.min(longestNegativeTtl, minimum, ttlOf(soa)), ttlOffsets };
}

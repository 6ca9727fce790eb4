/**
 * DNS messages (RFC 1035, RFC 6891) as far as a server for one zone and a forwarder need them: reading questions,
 * finding TTLs in messages that are passed on as they are, and writing answers with compressed names.
 */

export const types = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const;
export const codes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export const classIn = 1;
const headerLength = 12;
/** What a UDP answer may have without EDNS, and the most we send with it (DNS flag day 2020: no fragments). */
export const plainUdpSize = 512;
export const largestUdpSize = 1232;

export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** Lower case, without the final dot; '' is the root. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Name, type and class as sent, case included: echoed in the answer. */
  readonly question: Uint8Array;
  readonly edns: { readonly udpSize: number; readonly dnssecOk: boolean } | undefined;
}

export type ParsedQuery =
  | { readonly ok: true; readonly query: Query }
  /** `id` undefined: not even worth an answer. */
  | { readonly ok: false; readonly id: number | undefined; readonly code: number };

/** Reads a query. Never throws. */
export function parseQuery(message: Buffer): ParsedQuery {
  if (message.length < headerLength) return { ok: false, id: undefined, code: codes.FORMERR };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  // An answer is never answered: two servers would go on for ever.
  if ((flags & 0x8000) !== 0) return { ok: false, id: undefined, code: codes.FORMERR };
  if ((flags & 0x7800) !== 0) return { ok: false, id, code: codes.NOTIMP };
  if (message.readUInt16BE(4) !== 1) return { ok: false, id, code: codes.FORMERR };
  const name = readName(message, headerLength);
  if (name === undefined || name.end + 4 > message.length) return { ok: false, id, code: codes.FORMERR };
  const end = name.end + 4;
  const records = walk(message, end, message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10));
  if (records === undefined) return { ok: false, id, code: codes.FORMERR };
  const opt = records.find((r) => r.type === types.OPT);
  return {
    ok: true,
    query: {
      id,
      recursionDesired: (flags & 0x0100) !== 0,
      checkingDisabled: (flags & 0x0010) !== 0,
      name: name.text.toLowerCase(),
      type: message.readUInt16BE(name.end),
      class: message.readUInt16BE(name.end + 2),
      question: message.subarray(headerLength, end),
      edns:
        opt === undefined
          ? undefined
          : { udpSize: Math.max(plainUdpSize, opt.class), dnssecOk: (message.readUInt16BE(opt.ttlAt + 2) & 0x8000) !== 0 },
    },
  };
}

/** A name at an offset, without final dot; `end` is where the next field begins. Undefined when it is malformed. */
export function readName(message: Buffer, start: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  let end: number | undefined;
  let length = 0;
  for (let jumps = 0; ; ) {
    const size = message[at];
    if (size === undefined) return undefined;
    if (size === 0) return { text: labels.join('.'), end: end ?? at + 1 };
    if ((size & 0xc0) === 0xc0) {
      const low = message[at + 1];
      if (low === undefined || ++jumps > 32) return undefined;
      end ??= at + 2;
      const target = ((size & 0x3f) << 8) | low;
      // Only backwards: a pointer to itself or ahead would never end.
      if (target >= at) return undefined;
      at = target;
      continue;
    }
    length += size + 1;
    if ((size & 0xc0) !== 0 || at + 1 + size > message.length || length > 255) return undefined;
    labels.push(message.toString('latin1', at + 1, at + 1 + size));
    at += size + 1;
  }
}

export interface WalkedRecord {
  readonly type: number;
  /** Of OPT records: the sender's UDP size. */
  readonly class: number;
  readonly ttlAt: number;
  readonly dataAt: number;
  readonly dataLength: number;
}

/** Steps over `count` resource records. Undefined when the message is malformed. */
export function walk(message: Buffer, start: number, count: number): WalkedRecord[] | undefined {
  const records: WalkedRecord[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const name = readName(message, at);
    if (name === undefined || name.end + 10 > message.length) return undefined;
    const dataLength = message.readUInt16BE(name.end + 8);
    const dataAt = name.end + 10;
    if (dataAt + dataLength > message.length) return undefined;
    records.push({
      type: message.readUInt16BE(name.end),
      class: message.readUInt16BE(name.end + 2),
      ttlAt: name.end + 4,
      dataAt,
      dataLength,
    });
    at = dataAt + dataLength;
  }
  return records;
}

export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly address: Uint8Array }
  | { readonly type: 'CNAME' | 'PTR' | 'NS'; readonly target: string }
  | { readonly type: 'SRV'; readonly priority: number; readonly weight: number; readonly port: number; readonly target: string }
  | { readonly type: 'TXT'; readonly text: string }
  | { readonly type: 'SOA'; readonly server: string; readonly mailbox: string; readonly serial: number; readonly minimum: number };

export type DnsRecord = RecordData & { readonly name: string; readonly ttl: number };

export interface Answer {
  readonly code: number;
  readonly authoritative: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals?: readonly DnsRecord[];
}

/** Writes an answer within `limit` bytes; what does not fit is left out and the message marked as truncated. */
export function encodeAnswer(query: Query, answer: Answer, limit: number): Buffer {
  const writer = new Writer(query, Math.min(limit, 65_535));
  const complete = writer.section('answer', answer.answers) && writer.section('authority', answer.authorities);
  if (complete) writer.section('additional', answer.additionals ?? []);
  return writer.finish(answer.code, answer.authoritative, !complete);
}

/** An answer without a body, such as an error; works without a parsed question. */
export function encodeError(id: number, code: number, query: Query | undefined): Buffer {
  if (query !== undefined) return encodeAnswer(query, { code, authoritative: false, answers: [], authorities: [] }, plainUdpSize);
  const message = Buffer.alloc(headerLength);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(0x8080 | code, 2);
  return message;
}

type Section = 'answer' | 'authority' | 'additional';
const countAt: Readonly<Record<Section, number>> = { answer: 6, authority: 8, additional: 10 };
const optLength = 11;

class Writer {
  readonly #query: Query;
  readonly #limit: number;
  #buffer: Buffer;
  #at: number;
  readonly #names = new Map<string, number>();
  readonly #counts = { answer: 0, authority: 0, additional: 0 };

  constructor(query: Query, limit: number) {
    this.#query = query;
    this.#limit = limit - (query.edns === undefined ? 0 : optLength);
    this.#buffer = Buffer.alloc(Math.min(this.#limit + 512 + optLength, 70_000));
    this.#buffer.set(query.question, headerLength);
    this.#at = headerLength + query.question.length;
    this.#remember(query.name, headerLength);
  }

  /** Later names may point to this one and to each of its parents. */
  #remember(name: string, at: number): void {
    let rest = name;
    let offset = at;
    while (rest !== '' && offset < 0x4000) {
      if (!this.#names.has(rest)) this.#names.set(rest, offset);
      const dot = rest.indexOf('.');
      if (dot < 0) break;
      offset += dot + 1;
      rest = rest.slice(dot + 1);
    }
  }

  #name(name: string): void {
    let rest = name;
    while (rest !== '') {
      const known = this.#names.get(rest);
      if (known !== undefined) {
        this.#at = this.#buffer.writeUInt16BE(0xc000 | known, this.#at);
        return;
      }
      if (this.#at < 0x4000) this.#names.set(rest, this.#at);
      const dot = rest.indexOf('.');
      const label = (dot < 0 ? rest : rest.slice(0, dot)).slice(0, 63);
      this.#at = this.#buffer.writeUInt8(label.length, this.#at);
      this.#at += this.#buffer.write(label, this.#at, 'latin1');
      rest = dot < 0 ? '' : rest.slice(dot + 1);
    }
    this.#at = this.#buffer.writeUInt8(0, this.#at);
  }

  /** False when not every record fitted. */
  section(section: Section, records: readonly DnsRecord[]): boolean {
    for (const record of records) {
      const before = this.#at;
      const known = new Set(this.#names.keys());
      this.#record(record);
      if (this.#at > this.#limit) {
        this.#at = before;
        for (const name of this.#names.keys()) if (!known.has(name)) this.#names.delete(name);
        return false;
      }
      this.#counts[section]++;
    }
    return true;
  }

  #record(record: DnsRecord): void {
    this.#name(record.name);
    this.#at = this.#buffer.writeUInt16BE(types[record.type], this.#at);
    this.#at = this.#buffer.writeUInt16BE(classIn, this.#at);
    this.#at = this.#buffer.writeUInt32BE(record.ttl, this.#at);
    const lengthAt = this.#at;
    this.#at += 2;
    this.#data(record);
    this.#buffer.writeUInt16BE(this.#at - lengthAt - 2, lengthAt);
  }

  #data(record: DnsRecord): void {
    const u16 = (v: number): void => {
      this.#at = this.#buffer.writeUInt16BE(v, this.#at);
    };
    const u32 = (v: number): void => {
      this.#at = this.#buffer.writeUInt32BE(v, this.#at);
    };
    switch (record.type) {
      case 'A':
      case 'AAAA':
        this.#buffer.set(record.address, this.#at);
        this.#at += record.address.length;
        return;
      case 'CNAME':
      case 'PTR':
      case 'NS':
        this.#name(record.target);
        return;
      case 'SRV':
        u16(record.priority);
        u16(record.weight);
        u16(record.port);
        this.#uncompressed(record.target);
        return;
      case 'TXT': {
        const text = record.text.slice(0, 255);
        this.#at = this.#buffer.writeUInt8(text.length, this.#at);
        this.#at += this.#buffer.write(text, this.#at, 'latin1');
        return;
      }
      case 'SOA':
        this.#name(record.server);
        this.#name(record.mailbox);
        for (const v of [record.serial, 7200, 1800, 86_400, record.minimum]) u32(v);
        return;
    }
  }

  /** RFC 2782: the target of SRV is not compressed. */
  #uncompressed(name: string): void {
    for (const label of name.split('.')) {
      this.#at = this.#buffer.writeUInt8(label.length, this.#at);
      this.#at += this.#buffer.write(label, this.#at, 'latin1');
    }
    this.#at = this.#buffer.writeUInt8(0, this.#at);
  }

  finish(code: number, authoritative: boolean, truncated: boolean): Buffer {
    const { edns } = this.#query;
    if (edns !== undefined) {
      this.#at = this.#buffer.writeUInt8(0, this.#at);
      this.#at = this.#buffer.writeUInt16BE(types.OPT, this.#at);
      this.#at = this.#buffer.writeUInt16BE(largestUdpSize, this.#at);
      this.#at = this.#buffer.writeUInt32BE(edns.dnssecOk ? 0x8000 : 0, this.#at);
      this.#at = this.#buffer.writeUInt16BE(0, this.#at);
      this.#counts.additional++;
    }
    const flags = 0x8080 | (authoritative ? 0x0400 : 0) | (truncated ? 0x0200 : 0) | (this.#query.recursionDesired ? 0x0100 : 0) | code;
    this.#buffer.writeUInt16BE(this.#query.id, 0);
    this.#buffer.writeUInt16BE(flags, 2);
    this.#buffer.writeUInt16BE(1, 4);
    for (const section of ['answer', 'authority', 'additional'] as const)
      this.#buffer.writeUInt16BE(this.#counts[section], countAt[section]);
    return this.#buffer.subarray(0, this.#at);
  }
}

/** The part of ASN.1 DER that X.509 needs: an encoder of nested values and a bounded reader. */

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One tag-length-value. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((n, c) => n + c.length, 0);
  const header = [tag];
  if (length < 0x80) header.push(length);
  else {
    const bytes: number[] = [];
    for (let n = length; n > 0; n = Math.floor(n / 256)) bytes.unshift(n % 256);
    header.push(0x80 | bytes.length, ...bytes);
  }
  return Buffer.concat([Uint8Array.from(header), ...contents]);
}

export const sequence = (...items: readonly Uint8Array[]): Uint8Array => tlv(tags.sequence, ...items);
export const set = (...items: readonly Uint8Array[]): Uint8Array => tlv(tags.set, ...items);
export const octets = (bytes: Uint8Array): Uint8Array => tlv(tags.octetString, bytes);
export const bits = (bytes: Uint8Array, unused = 0): Uint8Array => tlv(tags.bitString, Uint8Array.of(unused), bytes);
export const boolean = (value: boolean): Uint8Array => tlv(tags.boolean, Uint8Array.of(value ? 0xff : 0));
export const text = (tag: number, value: string): Uint8Array => tlv(tag, Buffer.from(value, 'utf8'));
/** A context-specific value: [n], constructed or primitive. */
export const context = (n: number, constructed: boolean, ...items: readonly Uint8Array[]): Uint8Array =>
  tlv(0x80 | (constructed ? 0x20 : 0) | n, ...items);

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  const pad = ((trimmed[0] ?? 0) & 0x80) !== 0 || trimmed.length === 0;
  return tlv(tags.integer, ...(pad ? [Uint8Array.of(0)] : []), trimmed);
}

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const septets = [part % 128];
    for (let n = Math.floor(part / 128); n > 0; n = Math.floor(n / 128)) septets.unshift(0x80 | (n % 128));
    bytes.push(...septets);
  }
  return tlv(tags.oid, Uint8Array.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime after, as RFC 5280 wants. */
export function time(at: Date): Uint8Array {
  const digits = at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return at.getUTCFullYear() < 2050 ? text(tags.utcTime, digits.slice(2)) : text(tags.generalizedTime, digits);
}

export interface DerNode {
  readonly tag: number;
  readonly content: Uint8Array;
  /** The whole value with its header. */
  readonly raw: Uint8Array;
}

/** Thrown for bytes that are no DER. */
export class DerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DerError';
  }
}

function readOne(bytes: Uint8Array, at: number): DerNode {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw new DerError('truncated value');
  if ((tag & 0x1f) === 0x1f) throw new DerError('unsupported tag');
  let length = first;
  let start = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new DerError('unsupported length');
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0);
    start += count;
  }
  if (start + length > bytes.length) throw new DerError('truncated value');
  return { tag, content: bytes.subarray(start, start + length), raw: bytes.subarray(at, start + length) };
}

/** Reads exactly one value; throws DerError on anything else. */
export function readDer(bytes: Uint8Array): DerNode {
  const node = readOne(bytes, 0);
  if (node.raw.length !== bytes.length) throw new DerError('trailing data');
  return node;
}

/** The values inside a constructed one. */
export function children(node: DerNode): readonly DerNode[] {
  const list: DerNode[] = [];
  for (let at = 0; at < node.content.length; ) {
    const child = readOne(node.content, at);
    list.push(child);
    at += child.raw.length;
  }
  return list;
}

/** The n-th value inside a constructed one; throws DerError when it is absent or has another tag. */
export function child(node: DerNode, n: number, tag?: number): DerNode {
  const found = children(node)[n];
  if (found === undefined || (tag !== undefined && found.tag !== tag)) throw new DerError('unexpected structure');
  return found;
}

export function oidText(node: DerNode): string {
  if (node.tag !== tags.oid || node.content.length === 0) throw new DerError('not an object identifier');
  const numbers: number[] = [];
  let value = 0;
  for (const byte of node.content) {
    value = value * 128 + (byte & 0x7f);
    if ((byte & 0x80) === 0) {
      numbers.push(value);
      value = 0;
    }
  }
  const head = numbers[0] ?? 0;
  const first = Math.min(2, Math.floor(head / 40));
  return [first, head - first * 40, ...numbers.slice(1)].join('.');
}

/** The text of a string type (UTF8String, PrintableString, IA5String, T61String, BMPString). */
export function stringText(node: DerNode): string {
  if (node.tag === 0x1e) return Buffer.from(node.content).swap16().toString('utf16le');
  if (node.tag === 0x14) return Buffer.from(node.content).toString('latin1');
  return Buffer.from(node.content).toString('utf8');
}

/** The bytes of a bit string without unused bits. */
export function bitBytes(node: DerNode): Uint8Array {
  if (node.tag !== tags.bitString || node.content.length === 0) throw new DerError('not a bit string');
  return node.content.subarray(1);
}

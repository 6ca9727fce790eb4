/** How the values of Kubernetes' special types look in protobuf: times, amounts, numbers or strings, raw JSON. */
import { isJsonNumber, parseExact } from '#lib/exact-json.ts';
import { type Reader, WireError, type Writer } from './protobuf-wire.ts';

/** One value of a type. `wire` 2: the reader stands at its content, whose length the caller reads and writes. */
export interface ValueCodec {
  readonly wire: 0 | 1 | 2;
  readonly read: (reader: Reader, depth: number) => unknown;
  readonly write: (writer: Writer, value: unknown) => void;
  /** What Go writes for a field that is no pointer and was not set. Undefined: nothing at all. */
  readonly zero: unknown;
}

const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

export const stringCodec: ValueCodec = {
  wire: 2,
  read: (reader) => reader.buffer.toString('utf8', reader.at, reader.end),
  write: (writer, value) => writer.string(textOf(value)),
  zero: '',
};

export const int64Codec: ValueCodec = {
  wire: 0,
  read: (reader) => reader.int64(),
  write: (writer, value) => writer.varint(numberOf(value)),
  zero: 0,
};

export const int32Codec: ValueCodec = { ...int64Codec, read: (reader) => reader.int32() };

export const boolCodec: ValueCodec = {
  wire: 0,
  read: (reader) => reader.int64() !== 0,
  write: (writer, value) => writer.varint(value === true ? 1 : 0),
  zero: false,
};

export const doubleCodec: ValueCodec = {
  wire: 1,
  read: (reader) => reader.double(),
  write: (writer, value) => writer.double(numberOf(value)),
  zero: 0,
};

export const bytesCodec: ValueCodec = {
  wire: 2,
  read: (reader) => reader.buffer.toString('base64', reader.at, reader.end),
  write: (writer, value) => writer.raw(Buffer.from(textOf(value), 'base64')),
  zero: undefined,
};

/** Reads the fields of a small message: `each` gets number and wire type and says whether it has read the field. */
export function readFields(reader: Reader, each: (number: number, wire: number) => boolean): void {
  while (!reader.done()) {
    const tag = reader.uint32();
    const number = tag >>> 3;
    if (number === 0) throw new WireError(`proto: illegal tag ${number} (wire type ${tag & 7})`);
    if (!each(number, tag & 7)) reader.skip(tag & 7);
  }
}

const maxSeconds = 253_402_300_799;

function readTime(reader: Reader, digits: 0 | 6): string | null {
  if (reader.done()) return null;
  let seconds = 0;
  let nanos = 0;
  readFields(reader, (number, wire) => {
    if (wire !== 0) return false;
    if (number === 1) seconds = reader.int64();
    else if (number === 2) nanos = reader.int32();
    else return false;
    return true;
  });
  if (Math.abs(seconds) > maxSeconds) throw new WireError('time is out of range');
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  return digits === 0 ? `${text}Z` : `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

function writeTime(writer: Writer, value: unknown): void {
  const text = textOf(value);
  const ms = Date.parse(text);
  if (text === '' || Number.isNaN(ms)) return;
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  writer.varint(Number(fraction.padEnd(9, '0').slice(0, 6)) * 1000);
  writer.tag(2, 0);
  writer.varint(Math.floor(ms / 1000));
  writer.tag(1, 0);
}

export const timeCodec: ValueCodec = { wire: 2, read: (reader) => readTime(reader, 0), write: writeTime, zero: null };
export const microTimeCodec: ValueCodec = { ...timeCodec, read: (reader) => readTime(reader, 6) };

/** Messages that hold one string or bytes in field 1. */
const single = <T>(reader: Reader, read: (reader: Reader) => T, none: T): T => {
  let value = none;
  readFields(reader, (number, wire) => {
    if (number !== 1 || wire !== 2) return false;
    value = read(reader);
    return true;
  });
  return value;
};

function writeBytesField(writer: Writer, number: number, bytes: Uint8Array): void {
  writer.raw(bytes);
  writer.varint(bytes.length);
  writer.tag(number, 2);
}

export const quantityCodec: ValueCodec = {
  wire: 2,
  read: (reader) => single(reader, (r) => r.bytes().toString('utf8'), '0'),
  write: (writer, value) => writeBytesField(writer, 1, Buffer.from(isJsonNumber(value) ? String(value) : textOf(value) || '0')),
  zero: '0',
};

function parseRaw(bytes: Buffer): unknown {
  if (bytes.length === 0) return null;
  try {
    return parseExact(bytes.toString('utf8'));
  } catch (error) {
    throw new WireError(`raw JSON cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** RawExtension, apiextensions' JSON, FieldsV1: JSON text in field 1. */
export const rawCodec: ValueCodec = {
  wire: 2,
  read: (reader) => single(reader, (r) => parseRaw(r.bytes()), null),
  write: (writer, value) => {
    if (value !== undefined && value !== null) writeBytesField(writer, 1, Buffer.from(JSON.stringify(value)));
  },
  zero: null,
};

export const intOrStringCodec: ValueCodec = {
  wire: 2,
  read: (reader) => {
    let type = 0;
    let number = 0;
    let text = '';
    readFields(reader, (field, wire) => {
      if (field === 1 && wire === 0) type = reader.int32();
      else if (field === 2 && wire === 0) number = reader.int32();
      else if (field === 3 && wire === 2) text = reader.bytes().toString('utf8');
      else return false;
      return true;
    });
    return type === 1 ? text : number;
  },
  write: (writer, value) => {
    const isText = typeof value === 'string';
    writeBytesField(writer, 3, Buffer.from(isText ? value : ''));
    writer.varint(isText ? 0 : numberOf(value));
    writer.tag(2, 0);
    writer.varint(isText ? 1 : 0);
    writer.tag(1, 0);
  },
  zero: 0,
};

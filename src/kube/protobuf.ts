/**
 * Kubernetes' protobuf, driven by the schemas' field numbers. What is decoded is the JSON form of an object, still to be
 * decoded by its kind (decode.ts), which drops what Go leaves out; what is encoded equals Go's bytes.
 */

import {
  boolCodec,
  bytesCodec,
  doubleCodec,
  int32Codec,
  int64Codec,
  intOrStringCodec,
  microTimeCodec,
  quantityCodec,
  rawCodec,
  readFields,
  stringCodec,
  timeCodec,
  type ValueCodec,
} from './protobuf-values.ts';
import { type Reader, WireError, Reader as WireReader, Writer } from './protobuf-wire.ts';
import { splitApiVersion } from './refs.ts';
import type { Schema } from './schema.ts';
import { definition, kindSchema, listMetaName, objectMetaName, resolveSchema } from './schema-registry.ts';
import { badRequest } from './status-error.ts';

export const protobufMedia = 'application/vnd.kubernetes.protobuf';

/** "k8s" and a zero byte begin every message that is sent by itself. */
const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
/** Nesting beyond this is refused. */
const maxDepth = 500;

type Json = Record<string, unknown>;

interface Field {
  readonly name: string;
  readonly number: number;
  readonly shape: 'one' | 'list' | 'map';
  readonly codec: ValueCodec;
  readonly pointer: boolean;
  /** The field is a struct that Go embeds: its fields lie in the same JSON object. */
  readonly embedded?: Message;
}

interface Message {
  readonly byNumber: ReadonlyMap<number, Field>;
  /** In descending order of numbers, as the writer wants them. */
  readonly fields: readonly Field[];
}

const messages = new WeakMap<Schema, Message>();

function messageOf(schema: Schema): Message {
  const resolved = resolveSchema(schema);
  let message = messages.get(resolved);
  if (message === undefined) {
    message = buildMessage(
      Object.entries(resolved.properties ?? {}).map(([name, property]) => ({ name, property, path: property.proto ?? [] })),
    );
    messages.set(resolved, message);
  }
  return message;
}

interface Member {
  readonly name: string;
  readonly property: Schema;
  readonly path: readonly number[];
}

function buildMessage(members: readonly Member[]): Message {
  const fields: Field[] = [];
  const embedded = new Map<number, Member[]>();
  for (const { name, property, path } of members) {
    const [number, ...rest] = path;
    if (number === undefined) continue;
    if (rest.length > 0) embedded.set(number, [...(embedded.get(number) ?? []), { name, property, path: rest }]);
    else fields.push(fieldOf(name, number, property));
  }
  for (const [number, inner] of embedded)
    fields.push({ name: '', number, shape: 'one', codec: stringCodec, pointer: false, embedded: buildMessage(inner) });
  fields.sort((a, b) => b.number - a.number);
  return { fields, byNumber: new Map(fields.map((f) => [f.number, f])) };
}

function fieldOf(name: string, number: number, property: Schema): Field {
  const pointer = property.pointer === true;
  if (property.type === 'array' && property.items !== undefined)
    return { name, number, shape: 'list', codec: codecOf(property.items), pointer };
  if (typeof property.additionalProperties === 'object' && property.ref === undefined && property.format === undefined)
    return { name, number, shape: 'map', codec: codecOf(property.additionalProperties), pointer };
  return { name, number, shape: 'one', codec: codecOf(property), pointer };
}

const formats: Readonly<Record<string, ValueCodec>> = {
  byte: bytesCodec,
  'date-time': timeCodec,
  'micro-time': microTimeCodec,
  quantity: quantityCodec,
  'int-or-string': intOrStringCodec,
  raw: rawCodec,
  json: rawCodec,
  'fields-v1': rawCodec,
};

function codecOf(schema: Schema): ValueCodec {
  const { format = '', type, ref } = schema;
  const known = formats[format];
  if (known !== undefined) return known;
  if (format === 'json-schema-or-array' || format === 'json-schema-or-bool' || format === 'json-schema-or-string-array')
    return schemaUnion(format);
  if (ref !== undefined) return structCodec(schema);
  if (type === 'integer') return format === 'int32' ? int32Codec : int64Codec;
  if (type === 'number') return doubleCodec;
  if (type === 'boolean') return boolCodec;
  // A named list type such as ExtraValue, as the value of a map: a message with its items in field 1.
  if (type === 'array') return listMessage(codecOf(schema.items ?? {}));
  if (type === 'object') return schema.properties === undefined ? rawCodec : structCodec(schema);
  return stringCodec;
}

/** Built late, since types may contain themselves. */
function structCodec(schema: Schema): ValueCodec {
  const target = resolveSchema(schema);
  if (target.properties === undefined && target.ref === undefined && (target.type !== 'object' || target.format !== undefined))
    return codecOf(target);
  return {
    wire: 2,
    read: (reader, depth) => {
      const object: Json = {};
      readMessage(reader, messageOf(target), object, depth + 1);
      return object;
    },
    write: (writer, value) => writeMessage(writer, messageOf(target), (value ?? {}) as Json),
    zero: {},
  };
}

function listMessage(items: ValueCodec): ValueCodec {
  const field: Field = { name: 'items', number: 1, shape: 'list', codec: items, pointer: false };
  const message: Message = { fields: [field], byNumber: new Map([[1, field]]) };
  return {
    wire: 2,
    read: (reader, depth) => {
      const object: Json = {};
      readMessage(reader, message, object, depth + 1);
      return object['items'] ?? [];
    },
    write: (writer, value) => writeMessage(writer, message, { items: value }),
    zero: [],
  };
}

const jsonSchemaProps = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';

/** JSONSchemaPropsOrBool and its kin: which field is set says what the value is. */
function schemaUnion(format: 'json-schema-or-array' | 'json-schema-or-bool' | 'json-schema-or-string-array'): ValueCodec {
  const props = structCodec({ ref: jsonSchemaProps });
  const one = (name: string, number: number, codec: ValueCodec, shape: Field['shape'] = 'one'): Field => ({
    name,
    number,
    shape,
    codec,
    pointer: true,
  });
  const bool = format === 'json-schema-or-bool';
  const list = format === 'json-schema-or-array' ? one('list', 2, props, 'list') : one('list', 2, stringCodec, 'list');
  const fields = bool ? [one('schema', 2, props), { ...one('allows', 1, boolCodec), pointer: false }] : [list, one('schema', 1, props)];
  const message: Message = { fields, byNumber: new Map(fields.map((f) => [f.number, f])) };
  return {
    wire: 2,
    read: (reader, depth) => {
      const object: Json = {};
      readMessage(reader, message, object, depth + 1);
      return object['schema'] ?? (bool ? object['allows'] === true : object['list']);
    },
    write: (writer, value) => {
      if (Array.isArray(value)) writeMessage(writer, message, { list: value });
      else if (typeof value === 'boolean') writeMessage(writer, message, { allows: value });
      else writeMessage(writer, message, { schema: value, ...(bool ? { allows: true } : {}) });
    },
    zero: undefined,
  };
}

function readMessage(reader: Reader, message: Message, into: Json, depth: number): void {
  if (depth > maxDepth) throw new WireError('exceeded max depth');
  const entries = new Map<Field, [string, unknown][]>();
  readFields(reader, (number, wire) => {
    const field = message.byNumber.get(number);
    if (field === undefined) return false;
    if (field.embedded !== undefined) {
      if (wire !== 2) return false;
      readMessage(inner(reader), field.embedded, into, depth + 1);
    } else if (field.shape === 'map') {
      if (wire !== 2) return false;
      const list = entries.get(field) ?? [];
      entries.set(field, list);
      list.push(readEntry(inner(reader), field.codec, depth));
    } else readField(reader, field, wire, into, depth);
    return true;
  });
  for (const [field, list] of entries) into[field.name] = Object.fromEntries(list);
}

function inner(reader: Reader): Reader {
  const bytes = reader.bytes();
  return new WireReader(bytes);
}

function readField(reader: Reader, field: Field, wire: number, into: Json, depth: number): void {
  const { codec } = field;
  if (field.shape === 'one') {
    into[field.name] = readValue(reader, codec, wire, depth);
    return;
  }
  into[field.name] ??= [];
  const list = into[field.name] as unknown[];
  if (wire === 2 && codec.wire === 0) {
    const packed = inner(reader);
    while (!packed.done()) list.push(codec.read(packed, depth));
  } else list.push(readValue(reader, codec, wire, depth));
}

function readValue(reader: Reader, codec: ValueCodec, wire: number, depth: number): unknown {
  if (wire !== codec.wire) throw new WireError(`proto: wrong wireType = ${wire}`);
  return codec.read(wire === 2 ? inner(reader) : reader, depth);
}

function readEntry(reader: Reader, codec: ValueCodec, depth: number): [string, unknown] {
  let key = '';
  let value = codec.zero;
  readFields(reader, (number, wire) => {
    if (number === 1 && wire === 2) key = reader.bytes().toString('utf8');
    else if (number === 2) value = readValue(reader, codec, wire, depth);
    else return false;
    return true;
  });
  return [key, value];
}

function writeValue(writer: Writer, number: number, codec: ValueCodec, value: unknown): void {
  const before = writer.length();
  codec.write(writer, value);
  if (codec.wire === 2) writer.varint(writer.length() - before);
  writer.tag(number, codec.wire);
}

function writeMessage(writer: Writer, message: Message, object: Json): void {
  for (const field of message.fields) {
    if (field.embedded !== undefined) {
      const before = writer.length();
      writeMessage(writer, field.embedded, object);
      writer.varint(writer.length() - before);
      writer.tag(field.number, 2);
      continue;
    }
    const value = Object.hasOwn(object, field.name) ? object[field.name] : undefined;
    if (field.shape === 'list') {
      if (Array.isArray(value)) for (const item of value.toReversed()) writeValue(writer, field.number, field.codec, item);
    } else if (field.shape === 'map') writeMap(writer, field, value);
    else if (value !== undefined && value !== null) writeValue(writer, field.number, field.codec, value);
    else if (!field.pointer && field.codec.zero !== undefined) writeValue(writer, field.number, field.codec, field.codec.zero);
  }
}

function writeMap(writer: Writer, field: Field, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const sorted = Object.entries(value).sort(([a], [b]) => (a < b ? 1 : -1));
  for (const [key, item] of sorted) {
    const before = writer.length();
    writeValue(writer, 2, field.codec, item);
    writeValue(writer, 1, stringCodec, key);
    writer.varint(writer.length() - before);
    writer.tag(field.number, 2);
  }
}

const partialMetadata: Schema = { type: 'object', properties: { metadata: { ref: objectMetaName, proto: [1] } } };
const partialMetadataList: Schema = {
  type: 'object',
  properties: { metadata: { ref: listMetaName, proto: [1] }, items: { type: 'array', items: partialMetadata, proto: [2] } },
};

/** The schema of what a message says it is. */
function schemaFor(apiVersion: string, kind: string): Schema | undefined {
  if (apiVersion === 'meta.k8s.io/v1' || apiVersion === 'meta.k8s.io/v1beta1') {
    if (kind === 'PartialObjectMetadata') return partialMetadata;
    if (kind === 'PartialObjectMetadataList') return partialMetadataList;
  }
  if (kind === 'DeleteOptions' || kind === 'Status') return definition(`io.k8s.apimachinery.pkg.apis.meta.v1.${kind}`);
  const { group, version } = splitApiVersion(apiVersion);
  return kindSchema(group, version, kind);
}

/** True for a content type of protobuf. */
export const isProtobuf = (contentType: string): boolean => (contentType.split(';', 1)[0] ?? '').trim().toLowerCase() === protobufMedia;

/** An object in its JSON form, with apiVersion and kind. Throws StatusError BadRequest. */
export function decodeProtobuf(bytes: Uint8Array): Json {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.subarray(0, 4).equals(magic))
    throw badRequest('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
  try {
    const { apiVersion, kind, raw } = readEnvelope(new WireReader(buffer, 4));
    const schema = schemaFor(apiVersion, kind);
    if (schema === undefined) throw badRequest(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
    const object: Json = {};
    readMessage(new WireReader(raw), messageOf(schema), object, 0);
    return { ...object, apiVersion, kind };
  } catch (error) {
    if (error instanceof WireError) throw badRequest(`the object provided cannot be decoded: ${error.message}`);
    throw error;
  }
}

function readEnvelope(reader: Reader): { apiVersion: string; kind: string; raw: Buffer } {
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = Buffer.alloc(0);
  readFields(reader, (number, wire) => {
    if (wire !== 2) return false;
    if (number === 1) {
      const type = inner(reader);
      readFields(type, (field, inside) => {
        if (inside !== 2) return false;
        const text = type.bytes().toString('utf8');
        if (field === 1) apiVersion = text;
        else if (field === 2) kind = text;
        return true;
      });
    } else if (number === 2) raw = reader.bytes();
    else return false;
    return true;
  });
  return { apiVersion, kind, raw };
}

interface Type {
  readonly apiVersion: string;
  readonly kind: string;
}

function encodeMessage(schema: Schema, object: object): Buffer {
  const writer = new Writer();
  writeMessage(writer, messageOf(schema), object as Json);
  return writer.finish();
}

/** Makes the messages of one kind, without what says which kind it is; undefined where protobuf does not know the kind. */
export function messageEncoder({ apiVersion, kind }: Type): ((object: object) => Buffer) | undefined {
  const schema = schemaFor(apiVersion, kind);
  if (schema === undefined || !messageOf(schema).fields.length) return undefined;
  return (object) => encodeMessage(schema, object);
}

/** Content encoding and type are there but empty. */
const envelopeEnd = Buffer.from([0x1a, 0, 0x22, 0]);

/** What stands before a message of so many bytes in a runtime.Unknown. */
function envelopeStart({ apiVersion, kind }: Type, length: number): Buffer {
  const writer = new Writer();
  writer.varint(length);
  writer.tag(2, 2);
  const type = writer.length();
  writeValue(writer, 2, stringCodec, kind);
  writeValue(writer, 1, stringCodec, apiVersion);
  writer.varint(writer.length() - type);
  writer.tag(1, 2);
  writer.raw(magic);
  return writer.finish();
}

/** The bytes of an object of a known kind, as Go writes them; undefined where protobuf does not know the kind. */
export function encodeProtobuf(object: Type): Buffer | undefined {
  const message = messageEncoder(object)?.(object);
  return message && Buffer.concat([envelopeStart(object, message.length), message, envelopeEnd]);
}

/** Tag and length of field `number` with a message of so many bytes. */
function fieldStart(number: number, length: number): Buffer {
  const writer = new Writer();
  writer.varint(length);
  writer.tag(number, 2);
  return writer.finish();
}

/** A list from the messages of its items, as the parts of its bytes: in every list, metadata is field 1 and items are field 2. */
export function encodeProtobufList(type: Type, metadata: object, items: readonly Buffer[]): Buffer[] {
  const meta = encodeMessage({ ref: listMetaName }, metadata);
  const parts = [fieldStart(1, meta.length), meta, ...items.flatMap((item) => [fieldStart(2, item.length), item])];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [envelopeStart(type, length), ...parts, envelopeEnd];
}

/** One frame of a watch stream: the length in four bytes, then a WatchEvent that holds the object's own message. */
export function encodeWatchFrame(type: string, message: Uint8Array): Buffer {
  const writer = new Writer();
  writer.raw(message);
  writer.varint(message.length);
  writer.tag(1, 2);
  writer.varint(writer.length());
  writer.tag(2, 2);
  writeValue(writer, 1, stringCodec, type);
  const event = writer.finish();
  const head = Buffer.alloc(4);
  head.writeUInt32BE(event.length);
  return Buffer.concat([head, event]);
}

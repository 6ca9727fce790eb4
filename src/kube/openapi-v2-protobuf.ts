/**
 * The OpenAPI v2 document as protobuf (github.com/google/gnostic-models openapiv2): the only form that kubectl asks
 * /openapi/v2 for. Holds what openapi.ts puts into documents.
 */
import type { Json } from './openapi-schema.ts';
import { Writer } from './protobuf-wire.ts';

export const openApiV2Media = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** Writes itself; Writer goes from the end to the beginning. */
type Part = (writer: Writer) => void;

const writeAll = (writer: Writer, parts: readonly Part[]): void => {
  for (let i = parts.length - 1; i >= 0; i--) parts[i]?.(writer);
};

function message(number: number, parts: readonly Part[]): Part {
  return (writer) => {
    const before = writer.length();
    writeAll(writer, parts);
    writer.varint(writer.length() - before);
    writer.tag(number, 2);
  };
}

function text(number: number, value: unknown): Part[] {
  if (typeof value !== 'string' || value === '') return [];
  return [
    (writer) => {
      writer.string(value);
      writer.varint(Buffer.byteLength(value));
      writer.tag(number, 2);
    },
  ];
}

const texts = (number: number, list: unknown): Part[] => asList(list).flatMap((item) => text(number, item));

function flag(number: number, value: unknown): Part[] {
  if (value !== true) return [];
  return [
    (writer) => {
      writer.varint(1);
      writer.tag(number, 0);
    },
  ];
}

function integer(number: number, value: unknown): Part[] {
  if (typeof value !== 'number' || value === 0) return [];
  return [
    (writer) => {
      writer.varint(value);
      writer.tag(number, 0);
    },
  ];
}

function double(number: number, value: unknown): Part[] {
  if (typeof value !== 'number' || value === 0) return [];
  return [
    (writer) => {
      writer.double(value);
      writer.tag(number, 1);
    },
  ];
}

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const asMap = (value: unknown): Json => (value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : {});

/** A value of any type, as YAML text (JSON is YAML). */
const any = (number: number, value: unknown): Part[] => (value === undefined ? [] : [message(number, text(2, JSON.stringify(value)))]);
const anys = (number: number, list: unknown): Part[] => asList(list).flatMap((item) => any(number, item));

/** A map as repeated pairs of name and value. */
const named = (number: number, map: unknown, render: (value: unknown) => readonly Part[]): Part[] =>
  Object.entries(asMap(map)).map(([name, value]) => message(number, [...text(1, name), message(2, render(value))]));

/** The `x-…` fields. */
const extensions = (number: number, map: Json): Part[] =>
  Object.entries(map)
    .filter(([name]) => name.startsWith('x-'))
    .map(([name, value]) => message(number, [...text(1, name), ...any(2, value)]));

function schema(value: unknown): Part[] {
  const s = asMap(value);
  const { items, additionalProperties: more, type } = s;
  return [
    ...text(1, s['$ref']),
    ...text(2, s['format']),
    ...text(3, s['title']),
    ...text(4, s['description']),
    ...any(5, s['default']),
    ...double(6, s['multipleOf']),
    ...double(7, s['maximum']),
    ...flag(8, s['exclusiveMaximum']),
    ...double(9, s['minimum']),
    ...flag(10, s['exclusiveMinimum']),
    ...integer(11, s['maxLength']),
    ...integer(12, s['minLength']),
    ...text(13, s['pattern']),
    ...integer(14, s['maxItems']),
    ...integer(15, s['minItems']),
    ...flag(16, s['uniqueItems']),
    ...integer(17, s['maxProperties']),
    ...integer(18, s['minProperties']),
    ...texts(19, s['required']),
    ...anys(20, s['enum']),
    ...(more === undefined ? [] : [message(21, typeof more === 'boolean' ? flag(2, more) : [message(1, schema(more))])]),
    ...(typeof type === 'string' ? [message(22, text(1, type))] : []),
    ...(items === undefined ? [] : [message(23, [message(1, schema(items))])]),
    ...(s['properties'] === undefined ? [] : [message(25, named(1, s['properties'], schema))]),
    ...extensions(31, s),
  ];
}

function parameter(number: number, value: unknown): Part {
  const p = asMap(value);
  if (p['in'] === 'body') {
    const body = [
      ...text(1, p['description']),
      ...text(2, p['name']),
      ...text(3, 'body'),
      ...flag(4, p['required']),
      message(5, schema(p['schema'])),
    ];
    return message(number, [message(1, [message(1, body)])]);
  }
  const head = [...flag(1, p['required']), ...text(2, p['in']), ...text(3, p['description']), ...text(4, p['name'])];
  const query = p['in'] === 'query';
  const parts = query
    ? [...head, ...text(6, p['type']), ...flag(18, p['uniqueItems'])]
    : [...head, ...text(5, p['type']), ...flag(17, p['uniqueItems'])];
  return message(number, [message(1, [message(2, [message(query ? 3 : 4, parts)])])]);
}

function response(value: unknown): Part[] {
  const r = asMap(value);
  const of = r['schema'] === undefined ? [] : [message(2, [message(1, schema(r['schema']))])];
  return [message(1, [...text(1, r['description']), ...of])];
}

function operation(value: unknown): Part[] {
  const o = asMap(value);
  return [
    ...texts(1, o['tags']),
    ...text(3, o['description']),
    ...text(5, o['operationId']),
    ...texts(6, o['produces']),
    ...texts(7, o['consumes']),
    ...asList(o['parameters']).map((p) => parameter(8, p)),
    message(9, named(1, o['responses'], response)),
    ...texts(10, o['schemes']),
    ...extensions(13, o),
  ];
}

const methods = { get: 2, put: 3, post: 4, delete: 5, options: 6, head: 7, patch: 8 } as const;

function pathItem(value: unknown): Part[] {
  const item = asMap(value);
  const operations = Object.entries(methods).flatMap(([method, number]) =>
    item[method] === undefined ? [] : [message(number, operation(item[method]))],
  );
  return [...operations, ...asList(item['parameters']).map((p) => parameterItem(p))];
}

/** Parameters of a path: the same items under another number. */
const parameterItem = (value: unknown): Part => parameter(9, value);

/**
 * A document made by openApiV2(), or some of it, as a gnostic `Document`. Parts that follow one another are read as the one document
 * that they are parts of: that is how protobuf reads a field that comes again.
 */
export function encodeOpenApiV2(document: Json): Buffer {
  const info = asMap(document['info']);
  const writer = new Writer();
  writeAll(writer, [
    ...text(1, document['swagger']),
    ...(document['info'] === undefined ? [] : [message(2, [...text(1, info['title']), ...text(2, info['version'])])]),
    ...(document['paths'] === undefined ? [] : [message(8, named(2, document['paths'], pathItem))]),
    ...(document['definitions'] === undefined ? [] : [message(9, named(1, document['definitions'], schema))]),
  ]);
  return writer.finish();
}

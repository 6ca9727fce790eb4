import { describe, expect, test } from 'vitest';
import type { JSONSchemaProps } from '#kube/generated/apiextensions-v1.ts';
import { defaultErrors } from './defaults.ts';
import { customSchema } from './schema.ts';
import { schemaErrors } from './structural.ts';

const text = { type: 'string' };
const root = (properties: Record<string, unknown>, more: object = {}): JSONSchemaProps =>
  ({ type: 'object', properties, ...more }) as unknown as JSONSchemaProps;
const errorsOf = (props: JSONSchemaProps) => schemaErrors(props, 's').map((e) => `${e.field}: ${e.message}`);
const list = (more: object, items: object = { type: 'object', properties: { k: text }, required: ['k'] }) =>
  root({ l: { type: 'array', items, ...more } });
const keyed = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] };

describe('schemas that v1 definitions may not have', () => {
  test.each<[string, JSONSchemaProps, string]>([
    ['no type at the root', { properties: {} }, 's.type: Required value: must not be empty at the root'],
    ['another type at the root', { type: 'array', items: text } as never, 's.type: Invalid value: "array": must be object at the root'],
    ['a nullable root', root({}, { nullable: true }), 's.nullable: Forbidden: nullable cannot be true at the root'],
    ['a field without a type', root({ a: {} }), 's.properties[a].type: Required value: must not be empty for specified object fields'],
    ['items without a type', list({}, {}), 's.properties[l].items.type: Required value: must not be empty for specified array items'],
    ['a list without items', root({ l: { type: 'array' } }), 's.properties[l].items: Required value: must be specified'],
    [
      'an unknown type',
      root({ a: { type: 'text' } }),
      's.properties[a].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"',
    ],
    [
      'null as a type',
      root({ a: { type: 'null' } }),
      's.properties[a].type: Forbidden: type cannot be set to null, use nullable as an alternative',
    ],
    ['references', root({ a: { ...text, $ref: '#/x' } }), 's.properties[a].$ref: Forbidden: $ref is not supported'],
    [
      'unique items',
      list({ uniqueItems: true }),
      's.properties[l].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
    ],
    [
      'fields and a map at once',
      root({ a: { type: 'object', properties: { b: text }, additionalProperties: text } }),
      's.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive',
    ],
    [
      'unknown fields that are not kept',
      root({ a: { type: 'object', 'x-kubernetes-preserve-unknown-fields': false } }),
      's.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined',
    ],
    [
      'an embedded resource that is no object',
      root({ a: { ...text, 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true } }),
      's.properties[a].type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true',
    ],
    [
      'a map type of a text',
      root({ a: { ...text, 'x-kubernetes-map-type': 'atomic' } }),
      's.properties[a].type: Invalid value: "string": must be object if x-kubernetes-map-type is specified',
    ],
    [
      'a list map without keys',
      list({ 'x-kubernetes-list-type': 'map' }),
      's.properties[l].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map',
    ],
    [
      'keys without a list map',
      list({ 'x-kubernetes-list-map-keys': ['k'] }),
      's.properties[l].x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty',
    ],
    [
      'keys that are no fields',
      list({ ...keyed, 'x-kubernetes-list-map-keys': ['z'] }),
      's.properties[l].x-kubernetes-list-map-keys[0]: Invalid value: "z": entries must all be names of item properties',
    ],
    [
      'keys that may be missing',
      list(keyed, { type: 'object', properties: { k: text } }),
      's.properties[l].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
    ],
    [
      'keys that are objects',
      list(keyed, { type: 'object', properties: { k: { type: 'object' } }, required: ['k'] }),
      's.properties[l].items.properties[k].type: Invalid value: "object": must be a scalar type if parent array\'s x-kubernetes-list-type is map',
    ],
    [
      'sets of objects that are merged',
      list({ 'x-kubernetes-list-type': 'set' }),
      's.properties[l].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set',
    ],
    [
      'a type in anyOf',
      root({ a: { ...text, anyOf: [{ type: 'string' }] } }),
      's.properties[a].anyOf[0].type: Forbidden: must be empty to be structural',
    ],
    [
      'a default in not',
      root({ a: { ...text, not: { default: 'x' } } }),
      's.properties[a].not.default: Forbidden: must be undefined to be structural',
    ],
    [
      'a field that only oneOf knows',
      root({ a: { type: 'object', oneOf: [{ properties: { b: { pattern: 'x' } } }] } }),
      's.properties[a].properties[b]: Required value: because it is defined in s.properties[a].oneOf[0].properties[b]',
    ],
    [
      'more than names of metadata',
      root({ metadata: { type: 'object', properties: { labels: { type: 'object' } } } }),
      's.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified',
    ],
    ['a kind that is no text', root({ kind: { type: 'integer' } }), 's.properties[kind].type: Invalid value: "integer": must be string'],
    [
      'a rule of two lines without a message',
      root({ a: { ...text, 'x-kubernetes-validations': [{ rule: 'true\n&& true' }] } }),
      's.properties[a].x-kubernetes-validations[0].message: Required value: message must be specified if rule contains line breaks',
    ],
    [
      'a reason that nobody knows',
      root({ a: { ...text, 'x-kubernetes-validations': [{ rule: 'true', reason: 'No' }] } }),
      's.properties[a].x-kubernetes-validations[0].reason: Unsupported value: "No": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
    ],
  ])('%s', (_title, props, message) => {
    expect(errorsOf(props)).toEqual([message]);
  });
});

test.each<[string, JSONSchemaProps]>([
  ['int-or-string with its types', root({ a: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] } })],
  ['names of metadata', root({ metadata: { type: 'object', properties: { name: { ...text, maxLength: 5 } } } })],
  ['list maps whose keys have defaults', list(keyed, { type: 'object', properties: { k: { ...text, default: 'x' } } })],
  [
    'required fields in anyOf',
    root({ a: { type: 'object', properties: { b: text, c: text }, anyOf: [{ required: ['b'] }, { required: ['c'] }] } }),
  ],
  ['what is not to match', root({ a: { ...text, not: { pattern: 'x' } } })],
])('%s is a structural schema', (_title, props) => {
  expect(errorsOf(props)).toEqual([]);
});

test.each<[string, unknown, readonly string[]]>([
  ['fit', 'x', []],
  ['have another type', 1, ['s.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"']],
])('defaults that %s', (_title, value, expected) => {
  const schema = customSchema(root({ a: { ...text, default: value } }), false);
  expect(defaultErrors(schema, 's').map((e) => `${e.field}: ${e.message}`)).toEqual(expected);
});

test('defaults with fields that the schema does not know are refused', () => {
  const schema = customSchema(root({ a: { type: 'object', properties: { b: text }, default: { b: 'x', c: 1 } } }), false);
  expect(defaultErrors(schema, 's').map((e) => e.field)).toEqual(['s.properties[a].default']);
});

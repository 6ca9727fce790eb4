import { describe, expect, test } from 'vitest';
import { createCel } from '#kube/cel.ts';
import type { JSONSchemaProps } from '#kube/generated/apiextensions-v1.ts';
import { defaultErrors } from './defaults.ts';
import { customSchema } from './schema.ts';
import { schemaErrors } from './schema-check.ts';

const text = { type: 'string' };
const root = (properties: Record<string, unknown>, more: object = {}): JSONSchemaProps =>
  ({ type: 'object', properties, ...more }) as unknown as JSONSchemaProps;
const errorsOf = (props: JSONSchemaProps) => schemaErrors(props, 's', createCel).map((e) => `${e.field}: ${e.message}`);
const list = (more: object, items: object = { type: 'object', properties: { k: text }, required: ['k'] }) =>
  root({ l: { type: 'array', items, ...more } });
const keyed = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] };

describe('schemas that v1 definitions may not have', () => {
  test.each<[string, JSONSchemaProps, string]>([
    ['no type at the root', { properties: {} }, 's.type: Required value: must not be empty at the root'],
    ['another type at the root', { type: 'array', items: text } as never, 's.type: Invalid value: "array": must be object at the root'],
    ['a field without a type', root({ a: {} }), 's.properties[a].type: Required value: must not be empty for specified object fields'],
    ['items without a type', list({}, {}), 's.properties[l].items.type: Required value: must not be empty for specified array items'],
    ['a list without items', root({ l: { type: 'array' } }), 's.properties[l].items: Required value: must be specified'],
    [
      'an unknown type',
      root({ a: { type: 'text' } }),
      's.properties[a].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"',
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
      's.properties[l].x-kubernetes-list-map-keys: Invalid value: ["z"]: entries must all be names of item properties',
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
      'a field that only oneOf of the root knows',
      root({}, { oneOf: [{ properties: { b: { pattern: 'x' } } }] }),
      's.properties[b]: Required value: because it is defined in s.oneOf[0].properties[b]',
    ],
    [
      'more than names of metadata',
      root({ metadata: { type: 'object', properties: { labels: { type: 'object' } } } }),
      's.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified',
    ],
    ['metadata that is no object', root({ metadata: { ...text } }), 's.properties[metadata].type: Invalid value: "string": must be object'],
    [
      'metadata in a nested context',
      root({ metadata: { type: 'object' } }, { not: { properties: { metadata: { required: ['x'] } } } }),
      's.not.properties[metadata]: Forbidden: must not be specified in a nested context',
    ],
    [
      'a default in metadata',
      root({ metadata: { type: 'object', default: {} } }),
      's.properties[metadata].default: Forbidden: must not be set in top-level metadata',
    ],
    [
      'an object within metadata',
      root({
        a: {
          type: 'object',
          'x-kubernetes-embedded-resource': true,
          properties: {
            metadata: {
              type: 'object',
              properties: {
                b: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
              },
            },
          },
        },
      }),
      's.properties[a].properties[metadata].properties[b].x-kubernetes-embedded-resource: Forbidden: must not be used inside of resource meta',
    ],
    [
      'an embedded resource without fields',
      root({ a: { type: 'object', 'x-kubernetes-embedded-resource': true } }),
      's.properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
    ],
    [
      'a map at the root',
      { type: 'object', additionalProperties: text } as never,
      's.additionalProperties: Forbidden: must not be used at the root',
    ],
    [
      'int-or-string whose unknown fields are kept',
      root({ a: { 'x-kubernetes-int-or-string': true, 'x-kubernetes-preserve-unknown-fields': true } }),
      's.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true',
    ],
    [
      'types in anyOf that are not those of int-or-string',
      root({ a: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'string' }] } }),
      's.properties[a].anyOf[0].type: Forbidden: must be empty to be structural',
    ],
    [
      'a pattern that Go does not read',
      root({ a: { ...text, pattern: '(?=x)' } }),
      's.properties[a].pattern: Invalid value: "(?=x)": must be a valid regular expression, but isn\'t: error parsing regexp: invalid or unsupported Perl syntax: `(?=`',
    ],
    ['an id', root({ a: { ...text, id: 'x' } }), 's.properties[a].id: Forbidden: id is not supported'],
    [
      'definitions',
      root({ a: { ...text, definitions: { x: text } } }),
      's.properties[a].definitions: Forbidden: definitions is not supported',
    ],
    [
      'several schemas of items',
      root({ a: { type: 'array', items: [text] } }),
      's.properties[a].items: Forbidden: items must be a schema object and not an array',
    ],
    [
      'an unknown list type',
      list({ 'x-kubernetes-list-type': 'bag' }),
      's.properties[l].x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "set", "map"',
    ],
    [
      'items of a set that may be null',
      list({ 'x-kubernetes-list-type': 'set' }, { ...text, nullable: true }),
      's.properties[l].items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set',
    ],
    [
      'keys that may be null',
      list(keyed, { type: 'object', properties: { k: { ...text, nullable: true } }, required: ['k'] }),
      's.properties[l].items.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable',
    ],
    [
      'keys said twice',
      list({ ...keyed, 'x-kubernetes-list-map-keys': ['k', 'k'] }),
      's.properties[l].x-kubernetes-list-map-keys: Invalid value: ["k","k"]: must not contain duplicate entries',
    ],
    [
      'a list map of texts',
      list(keyed, text),
      's.properties[l].items.type: Invalid value: "string": must be object if parent array\'s x-kubernetes-list-type is map',
    ],
    [
      'a rule about a field that is not there',
      root({ a: { type: 'object', properties: { b: text }, 'x-kubernetes-validations': [{ rule: 'true', fieldPath: '.c' }] } }),
      's.properties[a].x-kubernetes-validations[0].fieldPath: Invalid value: ".c": must be a valid path',
    ],
    [
      'an empty message',
      root({ a: { ...text, 'x-kubernetes-validations': [{ rule: 'true', message: ' ' }] } }),
      's.properties[a].x-kubernetes-validations[0].message: Invalid value: " ": must be non-empty if specified',
    ],
    [
      'an empty messageExpression',
      root({ a: { ...text, 'x-kubernetes-validations': [{ rule: 'true', messageExpression: ' ' }] } }),
      's.properties[a].x-kubernetes-validations[0].messageExpression: Required value: messageExpression must be non-empty if specified',
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

test('all that is wrong is told, the structure first and sorted', () => {
  const props = root({ b: { type: 'array' }, a: { type: 'text', uniqueItems: true }, c: { type: 'null' } });
  expect(errorsOf(props)).toEqual([
    's.properties[b].items: Required value: must be specified',
    's.properties[a].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"',
    's.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
    's.properties[c].type: Unsupported value: "null": supported values: "array", "boolean", "integer", "number", "object", "string"',
    's.properties[c].type: Forbidden: type cannot be set to null, use nullable as an alternative',
  ]);
});

test.each<[string, JSONSchemaProps]>([
  [
    'int-or-string with its types and more',
    root({ a: { 'x-kubernetes-int-or-string': true, allOf: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, { pattern: 'x' }] } }),
  ],
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

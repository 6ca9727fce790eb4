import { describe, expect, test } from 'vitest';
import type { JSONSchemaProps } from '#kube/generated/apiextensions-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { customSchema } from './schema.ts';
import { valueErrors } from './schema-values.ts';
import { validateCustom, validateCustomStatus } from './validate.ts';

const schemaOf = (a: unknown) => customSchema({ type: 'object', properties: { a } } as unknown as JSONSchemaProps, false);
const told = (a: unknown, value: unknown): string[] => valueErrors(schemaOf(a), { a: value }, '').map((e) => `${e.field}: ${e.message}`);
const text = { type: 'string' };
const integer = { type: 'integer' };

describe('a value is refused for', () => {
  test.each<[string, unknown, unknown, readonly string[]]>([
    ['its type', integer, 'x', ['a: Invalid value: "string": a in body must be of type integer: "string"']],
    ['null', text, null, ['a: Invalid value: "null": a in body must be of type string: "null"']],
    ['a fraction', integer, 1.5, ['a: Invalid value: "number": a in body must be of type integer: "number"']],
    [
      'neither int nor string',
      { 'x-kubernetes-int-or-string': true },
      true,
      ['a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"'],
    ],
    ['a number where a format is', { ...text, format: 'date' }, 5, ['a: Invalid value: "int64": a in body must be of type date: "int64"']],
    ['its format', { ...text, format: 'date-time' }, 'now', ['a: Invalid value: "now": a in body must be of type date-time: "now"']],
    [
      'type and value at once',
      { ...text, enum: ['x', 'y'] },
      5,
      ['a: Invalid value: "integer": a in body must be of type string: "integer"', 'a: Unsupported value: 5: supported values: "x", "y"'],
    ],
    ['its length, before its pattern', { ...text, maxLength: 2, pattern: '^x' }, 'abc', ['a: Too long: may not be more than 2 bytes']],
    ['too few characters', { ...text, minLength: 3 }, 'äö', ['a: Invalid value: "äö": a in body should be at least 3 chars long']],
    ['its pattern', { ...text, pattern: '^x$' }, 'y', [`a: Invalid value: "y": a in body should match '^x$'`]],
    ['being null where an enum is', { ...text, nullable: true, enum: ['x'] }, null, ['a: Unsupported value: null: supported values: "x"']],
    [
      'not being one of objects',
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, enum: [{ b: 1 }, { b: [2] }] },
      { b: 3 },
      ['a: Unsupported value: {"b":3}: supported values: "{\\"b\\":1}", "{\\"b\\":[2]}"'],
    ],
    [
      'bounds of integers',
      { ...integer, multipleOf: 4, minimum: 10, maximum: 5 },
      7,
      [
        'a: Invalid value: 7: a in body should be a multiple of 4',
        'a: Invalid value: 7: a in body should be greater than or equal to 10',
        'a: Invalid value: 7: a in body should be less than or equal to 5',
      ],
    ],
    [
      'bounds that are left out',
      { ...integer, minimum: 7, exclusiveMinimum: true, maximum: 7, exclusiveMaximum: true },
      7,
      ['a: Invalid value: 7: a in body should be greater than 7', 'a: Invalid value: 7: a in body should be less than 7'],
    ],
    [
      'bounds of numbers as Go prints them',
      { type: 'number', minimum: 1000000, multipleOf: 0.25 },
      0.1,
      [
        'a: Invalid value: 0.1: a in body should be a multiple of 0.25',
        'a: Invalid value: 0.1: a in body should be greater than or equal to 1e+06',
      ],
    ],
    [
      'bounds of what no double holds',
      { ...integer, maximum: 2 ** 53 },
      9007199254740993n,
      ['a: Invalid value: 9007199254740993: a in body should be less than or equal to 9007199254740992'],
    ],
    [
      'items, before their number',
      { type: 'array', items: integer, minItems: 3, maxItems: 1 },
      ['x', 1],
      [
        'a[0]: Invalid value: "string": a[0] in body must be of type integer: "string"',
        'a: Invalid value: 2: a in body should have at least 3 items',
        'a: Too many: 2: must have at most 1 items',
      ],
    ],
    [
      'the number of fields alone',
      { type: 'object', additionalProperties: integer, minProperties: 2 },
      { b: 'x' },
      ['a: Invalid value: 1: a in body should have at least 2 properties'],
    ],
    [
      'too many fields',
      { type: 'object', additionalProperties: text, maxProperties: 0 },
      { b: 'x' },
      ['a: Too many: 1: must have at most 0 items'],
    ],
    [
      'what is missing, after what is wrong',
      { type: 'object', required: ['c', 'b'], properties: { b: text, c: text } },
      { b: 1 },
      ['a.b: Invalid value: "integer": a.b in body must be of type string: "integer"', 'a.c: Required value'],
    ],
    [
      'no schema of anyOf, with what is wrong by the nearest',
      {
        type: 'object',
        properties: { b: integer, c: text },
        anyOf: [{ required: ['c'] }, { properties: { b: { minimum: 5 } }, required: ['b'] }],
      },
      { b: 1 },
      [
        '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
        'a.b: Invalid value: 1: a.b in body should be greater than or equal to 5',
      ],
    ],
    [
      'no schema of oneOf',
      { ...text, oneOf: [{ pattern: '^x' }, { pattern: '^y' }] },
      'z',
      [
        '<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found none valid',
        `a: Invalid value: "z": a in body should match '^x'`,
      ],
    ],
    [
      'two schemas of oneOf',
      { ...text, oneOf: [{ pattern: '^x' }, { pattern: 'y$' }] },
      'xy',
      ['<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
    ],
    [
      'one schema of allOf',
      { ...text, allOf: [{ pattern: '^x' }, { maxLength: 5 }] },
      'y',
      [`a: Invalid value: "y": a in body should match '^x'`, '<nil>: Invalid value: "": "a" must validate all the schemas (allOf)'],
    ],
    [
      'all schemas of allOf, each told once',
      { ...text, allOf: [{ pattern: '^x' }, { pattern: '^x' }] },
      'y',
      [
        `a: Invalid value: "y": a in body should match '^x'`,
        '<nil>: Invalid value: "": "a" must validate all the schemas (allOf). None validated',
      ],
    ],
    ['what it must not be', { ...text, not: { enum: ['x'] } }, 'x', ['<nil>: Invalid value: "": "a" must not validate the schema (not)']],
  ])('%s', (_title, schema, value, errors) => {
    expect(told(schema, value)).toEqual(errors);
  });
});

test.each<[string, unknown, unknown]>([
  ['(?i) and \\pL of Go', { ...text, pattern: '(?i)^K\\pL+\\z' }, 'kÄse'],
  ['named groups of Go', { ...text, pattern: '^(?P<n>a)$' }, 'a'],
  ['an integer as a number', { type: 'number' }, 3],
  ['a whole number as an integer', integer, 3],
  ['formats that nobody checks', { ...integer, format: 'int32' }, 2 ** 40],
  ['null where it may be', { ...text, nullable: true, pattern: 'x' }, null],
  ['bounds that are cut to integers', { ...integer, maximum: 2.5 }, 2],
  ['one of numbers', { ...integer, enum: [1, 2] }, 2],
])('%s is accepted', (_title, schema, value) => {
  expect(told(schema, value)).toEqual([]);
});

describe('of an object as it is written', () => {
  const props = {
    type: 'object',
    required: ['spec'],
    properties: {
      spec: {
        type: 'object',
        properties: {
          replicas: integer,
          any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          set: { type: 'array', 'x-kubernetes-list-type': 'set', items: text },
          map: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
            items: { type: 'object', required: ['k'], properties: { k: text } },
          },
          object: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
      status: { type: 'object', properties: { replicas: integer }, oneOf: [{ required: ['replicas'] }, { required: ['x'] }] },
    },
  } as unknown as JSONSchemaProps;
  const compiled = {
    schema: customSchema(props, false),
    metadata: undefined,
    rules: () => ({ errors: [], hasRules: false, validate: () => [] }),
  };
  const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector.text' };
  const object = (more: object): KubeObject =>
    ({ kind: 'K', apiVersion: 'g/v1', metadata: { name: 'x' }, ...more }) as unknown as KubeObject;

  test.each<[string, object, readonly string[]]>([
    ['replicas below zero', { spec: { replicas: -1 } }, ['.spec.replicas: Invalid value: -1: should be a non-negative integer']],
    [
      'replicas beyond int32',
      { spec: { replicas: 2 ** 31 } },
      ['.spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647'],
    ],
    [
      'a selector that is no text, replicas in a text',
      { spec: {}, status: { replicas: 1, selector: { text: ['x'] } } },
      [
        '.status.selector.text: Invalid value: "": .status.selector.text accessor error: [x] is of the type []interface {}, expected string',
      ],
    ],
    ['twins, told once', { spec: { set: ['a', 'a', 'a'] } }, ['spec.set[1]: Duplicate value: "a"']],
    ['twins by key', { spec: { map: [{ k: 'a' }, { k: 'b' }, { k: 'a' }] } }, ['spec.map[2]: Duplicate value: {"k":"a"}']],
    ['an object without a kind', { spec: { object: { apiVersion: 'v1' } } }, ['spec.object.kind: Required value']],
    [
      'an object with wrong names',
      { spec: { object: { apiVersion: 'a/b/c', kind: 'K d', metadata: { name: '..', labels: { 'a b': 'c' } } } } },
      [
        'spec.object.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
        expect.stringContaining(
          'spec.object.kind: Invalid value: "K d": may have mixed case, but should otherwise match: ',
        ) as unknown as string,
        `spec.object.metadata.name: Invalid value: "..": may not be '..'`,
        expect.stringContaining('spec.object.metadata.labels: Invalid value: "a b": name part must consist of') as unknown as string,
      ],
    ],
    ['an object without a name', { spec: { object: { apiVersion: 'v1', kind: 'K', metadata: {} } } }, []],
  ])('%s', (_title, more, errors) => {
    expect(validateCustom(compiled, scale, object(more), undefined).map((e) => `${e.field}: ${e.message}`)).toEqual(errors);
  });

  test('a write of the status asks nothing of the rest', () => {
    const old = object({ spec: { replicas: 'many' } });
    const written = (status: unknown): string[] =>
      validateCustomStatus(compiled, scale, object({ spec: { replicas: 'many' }, status }), old).map((e) => `${e.field}: ${e.message}`);
    expect(written({ replicas: 1 })).toEqual([]);
    expect(written({ replicas: 'x' })).toEqual([
      'status.replicas: Invalid value: "string": replicas in body must be of type integer: "string"',
      '.status.replicas: Invalid value: 0: .status.replicas accessor error: x is of the type string, expected int64',
    ]);
    expect(written({})).toEqual([
      'status: Invalid value: "": "" must validate one and only one schema (oneOf). Found none valid',
      'status.replicas: Required value',
    ]);
  });
});

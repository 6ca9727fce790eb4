import { describe, expect, test } from 'vitest';
import { createCel } from './cel.ts';
import { celName } from './cel-type.ts';
import { compileValidations } from './cel-validate.ts';
import type { Schema, ValidationRule } from './schema.ts';

const cel = createCel();
const resolve = (ref: string): Schema => {
  throw new Error(ref);
};
const rules = (...list: readonly (ValidationRule | string)[]): Pick<Schema, 'validations'> => ({
  validations: { rules: list.map((r) => (typeof r === 'string' ? { rule: r } : r)) },
});
const string: Schema = { type: 'string' };
const integer: Schema = { type: 'integer' };

const spec = (...list: readonly (ValidationRule | string)[]): Schema => ({
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        replicas: integer,
        minReplicas: integer,
        maxReplicas: integer,
        name: string,
        'dashed-name': string,
        namespace: string,
        ratio: { type: 'number' },
        at: { type: 'string', format: 'date-time' },
        timeout: { type: 'string', format: 'duration' },
        port: { format: 'int-or-string' },
        maybe: { type: 'string', nullable: true },
        labels: { type: 'object', additionalProperties: string },
        nested: { type: 'object', properties: { on: { type: 'boolean' } } },
        list: {
          type: 'array',
          items: { type: 'object', properties: { key: string, value: integer } },
          listType: 'map',
          listMapKeys: ['key'],
        },
        free: { type: 'object', preserveUnknownFields: true },
      },
      ...rules(...list),
    },
  },
});
const check = (schema: Schema, object: object, old?: object): string[] => {
  const v = compileValidations(cel, schema, resolve);
  return v.validate(object, old).map((e) => `${e.field}: ${e.message}`);
};

describe('rules that hold', () => {
  test.each<[string, object]>([
    ['self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas', { minReplicas: 1, replicas: 2, maxReplicas: 3 }],
    ['!has(self.name) || self.name.startsWith("x")', {}],
    ['self.dashed__dash__name == "a" && self.__namespace__ == "b"', { 'dashed-name': 'a', namespace: 'b' }],
    ['self.ratio > 0.5', { ratio: 1 }],
    ['self.at > timestamp("2020-01-01T00:00:00Z")', { at: '2021-01-01T00:00:00Z' }],
    ['self.timeout < duration("1h")', { timeout: '5m30s' }],
    ['type(self.port) == int ? self.port > 0 : self.port.endsWith("%")', { port: 5 }],
    ['type(self.port) == int ? self.port > 0 : self.port.endsWith("%")', { port: '5%' }],
    ['!has(self.maybe)', { maybe: null }],
    ['has(self.maybe) && self.maybe == "a"', { maybe: 'a' }],
    ['self.labels.all(k, k.startsWith("a")) && self.labels["ab"] == "1"', { labels: { ab: '1' } }],
    ['self.labels.all(k, v, v == "1")', { labels: { ab: '1' } }],
    [
      'self.list.map(i, i.value).sum() == 3',
      {
        list: [
          { key: 'a', value: 1 },
          { key: 'b', value: 2 },
        ],
      },
    ],
    ['self.?nested.?on.orValue(true)', {}],
    ['self.nested == self.nested', { nested: { on: true } }],
    ['has(self.free) && self.free == self.free', { free: { x: { y: [1] } } }],
  ])('%s', (rule, value) => {
    expect(check(spec(rule), { spec: value })).toEqual([]);
  });

  test('the whole object knows its kind and its name', () => {
    const schema: Schema = { ...spec(), ...rules('self.kind == "K" && self.metadata.name.size() < 5 && self.apiVersion != ""') };
    expect(check(schema, { apiVersion: 'v1', kind: 'K', metadata: { name: 'x' } })).toEqual([]);
  });
});

describe('rules that fail say so', () => {
  test.each<[string, ValidationRule, object, string]>([
    ['with the rule', { rule: 'self.replicas > 1' }, { replicas: 1 }, 'spec: Invalid value: "object": failed rule: self.replicas > 1'],
    ['with their message', { rule: 'self.replicas > 1', message: 'too few' }, { replicas: 1 }, 'spec: Invalid value: "object": too few'],
    [
      'with a message made from the object',
      { rule: 'self.replicas > 1', message: 'x', messageExpression: '"has %d".format([self.replicas])' },
      { replicas: 1 },
      'spec: Invalid value: "object": has 1',
    ],
    [
      'with their message when the expression fails',
      { rule: 'self.replicas > 1', message: 'x', messageExpression: 'self.name' },
      { replicas: 1 },
      'spec: Invalid value: "object": x',
    ],
    ['with a reason', { rule: 'false', message: 'no', reason: 'FieldValueForbidden' }, {}, 'spec: Forbidden: no'],
    [
      'as required',
      { rule: 'has(self.name)', message: 'name it', reason: 'FieldValueRequired', fieldPath: '.name' },
      {},
      'spec.name: Required value: name it',
    ],
    [
      'when they cannot be evaluated',
      { rule: 'self.name == "x"' },
      {},
      'spec: Invalid value: "object": no such key: name evaluating rule: self.name == "x"',
    ],
  ])('%s', (_title, rule, value, message) => {
    expect(check(spec(rule), { spec: value })).toEqual([message]);
  });

  test('at the place of a list item or a map value', () => {
    const item: Schema = { type: 'object', properties: { v: { ...integer, ...rules('self > 0') } } };
    const schema: Schema = {
      type: 'object',
      properties: { list: { type: 'array', items: item }, map: { type: 'object', additionalProperties: item } },
    };
    expect(check(schema, { list: [{ v: 1 }, { v: 0 }], map: { 'a.b': { v: 0 } } })).toEqual([
      'list[1].v: Invalid value: "integer": failed rule: self > 0',
      'map[a.b].v: Invalid value: "integer": failed rule: self > 0',
    ]);
  });
});

describe('transitions', () => {
  const immutable = spec('self.replicas == oldSelf.replicas');

  test('are checked on updates only', () => {
    expect(check(immutable, { spec: { replicas: 1 } })).toEqual([]);
    expect(check(immutable, { spec: { replicas: 1 } }, { spec: { replicas: 1 } })).toEqual([]);
    expect(check(immutable, { spec: { replicas: 2 } }, { spec: { replicas: 1 } })).toHaveLength(1);
  });

  test('find the old self of a list item by its key', () => {
    const item: Schema = { type: 'object', properties: { key: string, value: integer }, ...rules('self.value >= oldSelf.value') };
    const schema: Schema = { type: 'object', properties: { list: { type: 'array', items: item, listType: 'map', listMapKeys: ['key'] } } };
    const old = {
      list: [
        { key: 'a', value: 2 },
        { key: 'b', value: 5 },
      ],
    };
    expect(
      check(
        schema,
        {
          list: [
            { key: 'b', value: 5 },
            { key: 'c', value: 0 },
            { key: 'a', value: 3 },
          ],
        },
        old,
      ),
    ).toEqual([]);
    expect(check(schema, { list: [{ key: 'b', value: 4 }] }, old)).toEqual([
      'list[0]: Invalid value: "object": failed rule: self.value >= oldSelf.value',
    ]);
  });

  test('may ask for creations too', () => {
    const schema = spec({
      rule: 'oldSelf.hasValue() ? self.replicas >= oldSelf.value().replicas : self.replicas == 1',
      optionalOldSelf: true,
    });
    expect(check(schema, { spec: { replicas: 1 } })).toEqual([]);
    expect(check(schema, { spec: { replicas: 2 } })).toHaveLength(1);
    expect(check(schema, { spec: { replicas: 0 } }, { spec: { replicas: 1 } })).toHaveLength(1);
  });

  test('what did not change is not held against an update', () => {
    const schema = spec('self.replicas > 5');
    expect(check(schema, { spec: { replicas: 1 }, extra: 2 }, { spec: { replicas: 1 } })).toEqual([]);
    expect(check(schema, { spec: { replicas: 2 } }, { spec: { replicas: 1 } })).toHaveLength(1);
  });
});

describe('rules that cost too much stop', () => {
  const items = (count: number, ...list: readonly (ValidationRule | string)[]): Schema => ({
    type: 'object',
    properties: { list: { type: 'array', items: { ...integer, ...rules(...list) }, validations: { maxItems: count } } },
  });
  const numbers = (count: number): object => ({ list: Array.from({ length: count }, (_, i) => i) });
  const loops = 'self.all(a, self.all(b, a + b >= 0))';
  const whole = (rule: ValidationRule): Schema => ({
    type: 'object',
    properties: { list: { type: 'array', items: integer, ...rules(rule) } },
  });
  const beyond =
    'spec: Invalid value: "object": \'operation cancelled: actual cost limit exceeded\': no further validation rules will be run';

  test.each<[string, ValidationRule, string]>([
    ['with the rule', { rule: loops }, `${beyond} due to call cost exceeds limit for rule: ${loops}`],
    ['with the message', { rule: loops, message: 'sums' }, `${beyond} due to call cost exceeds limit for rule: sums`],
  ])('at the limit of one call, %s', (_title, rule, message) => {
    const error = message.replace('spec: Invalid value: "object"', 'list: Invalid value: "array"');
    expect(check(whole(rule), numbers(5000))).toEqual([error]);
  });

  test('at the budget of one object', () => {
    // Each item costs 60,000: there are enough of them.
    const rule = '[1, 2, 3].all(a, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].all(b, [1, 2, 3].map(c, c + self).size() == 3))';
    const errors = check(items(20_000, rule), numbers(20_000));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(
      /^list\[\d+\]: Invalid value: "integer": validation failed due to running out of cost budget, no further validation rules will be run$/,
    );
  });

  test('when a message costs too much', () => {
    const rule = { rule: 'false', messageExpression: `${loops} ? "a" : "b"` };
    expect(check(whole(rule), numbers(5000))).toEqual([
      `list: Invalid value: "array": no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(rule.messageExpression)}`,
    ]);
  });
});

test('fields that CEL cannot name are escaped or hidden', () => {
  expect(['a', 'a-b', 'a.b/c', 'a__b', 'in', 'ö'].map(celName)).toEqual([
    'a',
    'a__dash__b',
    'a__dot__b__slash__c',
    'a__underscores__b',
    '__in__',
    undefined,
  ]);
});

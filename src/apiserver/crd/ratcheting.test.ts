import { expect, test } from 'vitest';
import type { KubeObject } from '#kube/object.ts';
import type { Schema } from '#kube/schema.ts';
import { validateCustom } from './validate.ts';

const lower: Schema = { type: 'string', validations: { pattern: '^[a-z]+$' } };
const item: Schema = { type: 'object', properties: { name: { type: 'string' }, value: lower } };
const schema: Schema = {
  type: 'object',
  custom: true,
  properties: {
    spec: {
      type: 'object',
      required: ['must'],
      properties: {
        must: { type: 'string' },
        word: lower,
        other: { type: 'string' },
        map: { type: 'object', additionalProperties: lower },
        keyed: { type: 'array', listType: 'map', listMapKeys: ['name'], items: item },
        plain: { type: 'array', listType: 'atomic', items: item },
        set: { type: 'array', listType: 'set', items: { type: 'string' } },
      },
    },
  },
};
const rules = { errors: [], hasRules: false, validate: () => [] };
const object = (spec: Record<string, unknown>): KubeObject =>
  ({ kind: 'K', apiVersion: 'g/v1', metadata: { name: 'x' }, spec }) as unknown as KubeObject;
const fields = (spec: Record<string, unknown>, old?: Record<string, unknown>): string[] =>
  validateCustom({ schema, metadata: undefined, rules: () => rules }, undefined, object(spec), old && object(old)).map((e) => e.field);

const must = { must: 'x' };

test.each<[string, Record<string, unknown>, Record<string, unknown>, readonly string[]]>([
  ['a value that stays is tolerated', { ...must, word: 'A', other: 'new' }, { ...must, word: 'A' }, []],
  ['a value that changes is not', { ...must, word: 'B' }, { ...must, word: 'A' }, ['spec.word']],
  ['a value that comes is not', { ...must, word: 'A' }, must, ['spec.word']],
  ['a value of a map that stays is tolerated', { ...must, map: { a: 'A', b: 'b' } }, { ...must, map: { a: 'A' } }, []],
  [
    'an item that its key tells is tolerated wherever it stands',
    { ...must, keyed: [{ name: 'n' }, { name: 'a', value: 'A' }] },
    { ...must, keyed: [{ name: 'a', value: 'A' }] },
    [],
  ],
  [
    'items without keys are new when the list changes',
    { ...must, plain: [{ name: 'a', value: 'A' }, { name: 'n' }] },
    { ...must, plain: [{ name: 'a', value: 'A' }] },
    ['spec.plain[0].value'],
  ],
  ['what is missing is missed when its object changes', { other: 'new' }, { other: 'old' }, ['spec.must']],
  ['twins that were there may be there', { ...must, set: ['a', 'a', 'b'] }, { ...must, set: ['a', 'a'] }, []],
  ['twins that come may not', { ...must, set: ['a', 'a'] }, { ...must, set: ['a'] }, ['spec.set[1]']],
])('%s', (_title, spec, old, expected) => {
  expect(fields(spec, old)).toEqual(expected);
  // On creation nothing is tolerated; and nothing is wrong with an object that stays as it is.
  expect(fields(old, old)).toEqual([]);
});

test('values that were never right are refused on creation', () => {
  expect(fields({ ...must, word: 'A', set: ['a', 'a'] })).toEqual(['spec.word', 'spec.set[1]']);
});

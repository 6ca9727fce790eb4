import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { applyStrategicPatch } from './patch-strategic.ts';
import type { Schema } from './schema.ts';

const schemas = JSON.parse(readFileSync(new URL('./generated/schemas.json', import.meta.url), 'utf8')) as Record<string, Schema>;
const resolve = (ref: string): Schema => {
  const found = schemas[ref];
  if (found === undefined) throw new Error(ref);
  return found;
};

/** Upstream's test type: a list of maps merged by name, a list of primitives merged as a set, and ones that are replaced. */
const item: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    value: { type: 'string' },
    other: { type: 'string' },
    mergingList: { type: 'array', items: { ref: 'item' }, patchStrategy: ['merge'], patchMergeKey: 'name' },
    mergingInts: { type: 'array', items: { type: 'integer' }, patchStrategy: ['merge'] },
    nonMergingList: { type: 'array', items: { ref: 'item' } },
    nonMergingInts: { type: 'array', items: { type: 'integer' } },
    simpleMap: { type: 'object', additionalProperties: { type: 'string' } },
    retainKeysMap: { ref: 'item', patchStrategy: ['retainKeys'] },
    replacingItem: { ref: 'item', patchStrategy: ['replace'] },
    retainKeysList: { type: 'array', items: { ref: 'item' }, patchStrategy: ['merge', 'retainKeys'], patchMergeKey: 'name' },
  },
};
const own = (ref: string): Schema => (ref === 'item' ? item : resolve(ref));
const apply = (document: unknown, patch: unknown): unknown => {
  const before = JSON.stringify([document, patch]);
  const result = applyStrategicPatch(document, patch, item, own);
  expect(JSON.stringify([document, patch]), 'the arguments are left alone').toBe(before);
  return result;
};

type Case = [title: string, document: unknown, patch: unknown, expected: unknown];
const n = (name: string, more: object = {}): object => ({ name, ...more });

describe('maps', () => {
  test.each<Case>([
    ['merges', { simpleMap: { a: '1' } }, { simpleMap: { b: '2' } }, { simpleMap: { a: '1', b: '2' } }],
    ['null deletes', { name: 'x', value: 'y' }, { value: null }, { name: 'x' }],
    ['null for what is not there does nothing', {}, { simpleMap: { a: null, b: '1' }, value: null }, { simpleMap: { b: '1' } }],
    ['$patch: replace replaces', { simpleMap: { a: '1' } }, { simpleMap: { $patch: 'replace', b: '2' } }, { simpleMap: { b: '2' } }],
    ['$patch: delete empties', { simpleMap: { a: '1' } }, { simpleMap: { $patch: 'delete' } }, { simpleMap: {} }],
    ['$patch: replace at the root', { name: 'x', value: 'y' }, { $patch: 'replace', other: 'z' }, { other: 'z' }],
    [
      'strategy replace replaces',
      { replacingItem: { name: 'a', value: 'b' } },
      { replacingItem: { name: 'c' } },
      { replacingItem: { name: 'c' } },
    ],
    ['a changed type replaces', { simpleMap: { a: '1' } }, { simpleMap: 'x' }, { simpleMap: 'x' }],
    ['directives in something new are dropped', {}, { mergingList: [n('a', { $patch: 'delete' }), n('b')] }, { mergingList: [n('b')] }],
    [
      '$retainKeys clears what is not named',
      { retainKeysMap: { name: 'a', value: 'b' } },
      { retainKeysMap: { $retainKeys: ['name', 'other'], other: 'c' } },
      { retainKeysMap: { name: 'a', other: 'c' } },
    ],
    [
      '$retainKeys in list elements',
      { retainKeysList: [n('a', { value: '1', other: '2' }), n('b', { value: '3' })] },
      { retainKeysList: [n('a', { $retainKeys: ['name', 'other'], other: '4' })] },
      { retainKeysList: [n('a', { other: '4' }), n('b', { value: '3' })] },
    ],
  ])('%s', (_title, document, patch, expected) => {
    expect(apply(document, patch)).toEqual(expected);
  });
});

describe('lists', () => {
  test.each<Case>([
    ['without a strategy is replaced', { nonMergingInts: [1, 2] }, { nonMergingInts: [3] }, { nonMergingInts: [3] }],
    ['of maps without a strategy is replaced', { nonMergingList: [n('a')] }, { nonMergingList: [n('b')] }, { nonMergingList: [n('b')] }],
    [
      'merges elements by key',
      { mergingList: [n('a', { value: '1' }), n('b', { value: '2' })] },
      { mergingList: [n('b', { other: '3' })] },
      { mergingList: [n('a', { value: '1' }), n('b', { value: '2', other: '3' })] },
    ],
    ['puts new elements first', { mergingList: [n('a')] }, { mergingList: [n('b')] }, { mergingList: [n('b'), n('a')] }],
    ['deletes elements', { mergingList: [n('a'), n('b')] }, { mergingList: [n('a', { $patch: 'delete' })] }, { mergingList: [n('b')] }],
    [
      'replaced by $patch: replace',
      { mergingList: [n('a'), n('b')] },
      { mergingList: [n('c'), { $patch: 'replace' }] },
      { mergingList: [n('c')] },
    ],
    ['cleared by $patch: replace', { mergingList: [n('a')] }, { mergingList: [{ $patch: 'replace' }] }, { mergingList: [] }],
    ['of primitives merges as a set', { mergingInts: [1, 2] }, { mergingInts: [2, 3] }, { mergingInts: [1, 2, 3] }],
    ['$deleteFromPrimitiveList', { mergingInts: [1, 2, 3] }, { '$deleteFromPrimitiveList/mergingInts': [1, 3, 9] }, { mergingInts: [2] }],
    ['$deleteFromPrimitiveList of nothing', {}, { '$deleteFromPrimitiveList/mergingInts': [1] }, {}],
    [
      '$setElementOrder sorts primitives',
      { mergingInts: [1, 2, 3] },
      { '$setElementOrder/mergingInts': [3, 1, 2, 4], mergingInts: [4] },
      { mergingInts: [3, 1, 2, 4] },
    ],
    [
      '$setElementOrder sorts maps without changing them',
      { mergingList: [n('a', { value: '1' }), n('b'), n('c')] },
      { '$setElementOrder/mergingList': [n('c'), n('a'), n('b')] },
      { mergingList: [n('c'), n('a', { value: '1' }), n('b')] },
    ],
    [
      '$setElementOrder leaves what only the server has in place',
      { mergingList: [n('server1'), n('a'), n('server2'), n('b')] },
      { '$setElementOrder/mergingList': [n('a'), n('b'), n('new')], mergingList: [n('new', { value: '1' })] },
      { mergingList: [n('server1'), n('a'), n('server2'), n('b'), n('new', { value: '1' })] },
    ],
    [
      '$setElementOrder with a deletion',
      { mergingList: [n('a'), n('b')] },
      { '$setElementOrder/mergingList': [n('b')], mergingList: [n('a', { $patch: 'delete' })] },
      { mergingList: [n('b')] },
    ],
    [
      'nested lists merge too',
      { mergingList: [n('a', { mergingInts: [1] })] },
      { mergingList: [n('a', { mergingInts: [2] })] },
      { mergingList: [n('a', { mergingInts: [2, 1] })] },
    ],
  ])('a list %s', (_title, document, patch, expected) => {
    expect(apply(document, patch)).toEqual(expected);
  });
});

describe('a patch that makes no sense is refused', () => {
  test.each<[string, unknown, unknown, string]>([
    ['unknown directive', { simpleMap: {} }, { simpleMap: { $patch: 'fix' } }, 'unknown patch type: fix in map: map[$patch:fix]'],
    [
      'no merge key',
      { mergingList: [n('a')] },
      { mergingList: [{ value: '1' }] },
      'map: map[value:1] does not contain declared merge key: name',
    ],
    ['retainKeys is no list', { retainKeysMap: {} }, { retainKeysMap: { $retainKeys: 'x' } }, 'invalid patch format of retainKeys'],
    [
      'retainKeys lacks a field',
      { retainKeysMap: {} },
      { retainKeysMap: { $retainKeys: ['a'], b: 1 } },
      'invalid patch format of retainKeys',
    ],
    ['no list after the directive', {}, { $deleteFromPrimitiveList: [1] }, 'invalid patch format of primitive list'],
    [
      'order without the new element',
      { mergingInts: [1] },
      { '$setElementOrder/mergingInts': [1], mergingInts: [2] },
      'The order in patch list:\n[2]\n',
    ],
    [
      'merge directive in a list',
      { mergingList: [n('a')] },
      { mergingList: [{ $patch: 'merge' }] },
      'merging lists cannot yet be specified in the patch',
    ],
    ['mixed elements', { mergingInts: [1] }, { mergingInts: [{}] }, 'list element types are not identical'],
    ['no object', {}, [1], 'invalid JSON document'],
  ])('%s', (_title, document, patch, message) => {
    expect(() => apply(document, patch)).toThrow(message);
  });
});

test('a Deployment takes what kubectl edit sends', () => {
  const deployment = {
    metadata: { labels: { app: 'web' } },
    spec: {
      replicas: 1,
      template: {
        spec: {
          containers: [
            { name: 'web', image: 'nginx:1', ports: [{ containerPort: 80 }], env: [{ name: 'A', value: '1' }] },
            { name: 'side' },
          ],
          tolerations: [{ key: 'a' }],
          volumes: [{ name: 'v', emptyDir: {} }],
        },
      },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
    },
  };
  const patch = {
    metadata: { labels: { app: null, tier: 'front' } },
    spec: {
      strategy: { $retainKeys: ['type'], type: 'Recreate' },
      template: {
        spec: {
          '$setElementOrder/containers': [{ name: 'web' }, { name: 'side' }],
          containers: [
            { name: 'web', image: 'nginx:2', env: [{ name: 'B', value: '2' }], ports: [{ containerPort: 80, $patch: 'delete' }] },
          ],
          tolerations: [{ key: 'b' }],
          volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }],
        },
      },
    },
  };
  expect(applyStrategicPatch(deployment, patch, { ref: 'io.k8s.api.apps.v1.Deployment' }, resolve)).toEqual({
    metadata: { labels: { tier: 'front' } },
    spec: {
      replicas: 1,
      template: {
        spec: {
          containers: [
            {
              name: 'web',
              image: 'nginx:2',
              ports: [],
              env: [
                { name: 'B', value: '2' },
                { name: 'A', value: '1' },
              ],
            },
            { name: 'side' },
          ],
          tolerations: [{ key: 'b' }],
          volumes: [{ name: 'v', hostPath: { path: '/x' } }],
        },
      },
      strategy: { type: 'Recreate' },
    },
  });
});

test('__proto__ is a member like any other', () => {
  const patch = JSON.parse('{"__proto__":{"polluted":1},"simpleMap":{"__proto__":"x"}}') as unknown;
  expect(JSON.stringify(apply({ simpleMap: { a: '1' } }, patch))).toBe(
    '{"simpleMap":{"a":"1","__proto__":"x"},"__proto__":{"polluted":1}}',
  );
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

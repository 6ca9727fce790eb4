import { expect, test } from 'vitest';
import { encodeOpenApiV2 } from './openapi-v2-protobuf.ts';
import { Reader } from './protobuf-wire.ts';

type Tree = Record<number, (Buffer | number)[]>;

/** The fields of one message: length-delimited ones as bytes. */
function fields(bytes: Buffer): Tree {
  const reader = new Reader(bytes);
  const tree: Tree = {};
  while (!reader.done()) {
    const tag = reader.uint32();
    const value = tag % 8 === 2 ? reader.bytes() : tag % 8 === 1 ? reader.double() : reader.int32();
    const list = tree[tag >> 3] ?? [];
    list.push(value);
    tree[tag >> 3] = list;
  }
  return tree;
}

/** The bytes at a path of field numbers, the first of each. */
const at = (bytes: Buffer, ...path: number[]): Buffer =>
  path.reduce((b, number) => (fields(b)[number]?.[0] as Buffer | undefined) ?? Buffer.alloc(0), bytes);

const document = {
  swagger: '2.0',
  info: { title: 'Kubernetes', version: 'v1' },
  paths: {
    '/api/v1/pods': {
      get: {
        operationId: 'listPods',
        'x-kubernetes-action': 'list',
        parameters: [{ name: 'limit', in: 'query', type: 'integer', uniqueItems: true }],
        responses: { '200': { description: 'OK', schema: { $ref: '#/definitions/a.Pod' } } },
      },
    },
  },
  definitions: {
    'a.Pod': {
      type: 'object',
      description: 'A pod.',
      required: ['spec'],
      properties: { spec: { $ref: '#/definitions/a.Spec' }, list: { type: 'array', items: { type: 'string' } } },
      'x-kubernetes-group-version-kind': [{ group: '', kind: 'Pod', version: 'v1' }],
    },
  },
};

test('the document is a gnostic Document: names, types, references and extensions are where clients look', () => {
  const bytes = encodeOpenApiV2(document);
  expect(at(bytes, 1).toString()).toBe('2.0');
  const definition = at(bytes, 9, 1);
  expect(at(definition, 1).toString()).toBe('a.Pod');
  const schema = at(definition, 2);
  expect(at(schema, 4).toString()).toBe('A pod.');
  expect(at(schema, 19).toString()).toBe('spec');
  expect(at(schema, 22, 1).toString()).toBe('object');
  const [spec, list] = (fields(at(schema, 25))[1] ?? []) as Buffer[];
  expect(at(spec as Buffer, 2, 1).toString()).toBe('#/definitions/a.Spec');
  expect(at(list as Buffer, 2, 23, 1, 22, 1).toString()).toBe('string');
  expect(at(schema, 31, 1).toString()).toBe('x-kubernetes-group-version-kind');
  expect(JSON.parse(at(schema, 31, 2, 2).toString())).toEqual([{ group: '', kind: 'Pod', version: 'v1' }]);
  const operation = at(bytes, 8, 2, 2, 2);
  expect(at(operation, 5).toString()).toBe('listPods');
  expect(at(operation, 8, 1, 2, 3, 4).toString()).toBe('limit');
  expect(at(operation, 9, 1, 2, 1, 2, 1, 1).toString()).toBe('#/definitions/a.Pod');
});

import { describe, expect, test } from 'vitest';
import type { JsonObject } from './json-value.ts';
import { mergeV2, partOf, v3Of } from './openapi-merge.ts';
import { encodeOpenApiV2 } from './openapi-v2-protobuf.ts';

const ref = (name: string) => ({ $ref: `#/definitions/${name}` });
const meta = { type: 'object', properties: { name: { type: 'string' } } };
const operation = {
  operationId: 'listGadget',
  consumes: ['*/*'],
  produces: ['application/json'],
  schemes: ['https'],
  parameters: [
    { $ref: '#/parameters/limit' },
    { name: 'body', in: 'body', required: true, schema: ref('Gadget') },
    { $ref: '#/parameters/none' },
  ],
  responses: { 200: { description: 'OK', schema: ref('Gadget') } },
  'x-kubernetes-group-version-kind': { group: 'example.test', version: 'v1', kind: 'Gadget' },
};
const document: JsonObject = {
  swagger: '2.0',
  paths: {
    '/apis/example.test/v1/gadgets': { get: operation },
    '/apis/example.test/v1beta1/gadgets': { get: operation },
    '/api/v1/secrets': { get: operation },
    '/version': { get: operation },
  },
  parameters: { limit: { name: 'limit', in: 'query', type: 'integer', uniqueItems: true } },
  definitions: {
    Gadget: { type: 'object', properties: { metadata: ref('Meta'), parent: ref('Gadget') } },
    Meta: meta,
    Unused: { type: 'string' },
  },
};
const gv = { group: 'example.test', version: 'v1' };

describe('the part of a document', () => {
  test('is its own paths, with what they refer to', () => {
    const part = partOf(document, gv);
    expect(Object.keys(part.paths)).toEqual(['/apis/example.test/v1/gadgets']);
    expect(Object.keys(part.definitions)).toEqual(['Gadget', 'Meta']);
    expect(JSON.stringify(part.paths)).not.toContain('#/parameters/');
    expect(JSON.stringify(part.paths)).toContain('"name":"limit"');
  });

  test.each([{}, { paths: 5 }, { paths: { '/apis/example.test/v1/a': 'x' } }, { paths: [], definitions: 'y', parameters: null }])(
    'is empty where %j is no document',
    (odd) => {
      expect(partOf(odd, gv)).toEqual({ paths: {}, definitions: {} });
    },
  );
});

describe('a joined document', () => {
  const local: JsonObject = { swagger: '2.0', paths: { '/api/v1/secrets': { get: {} } }, definitions: { Meta: meta } };

  test('shares equal definitions and renames others of the same name, with all that refer to them', () => {
    const part = partOf(document, gv);
    expect(Object.keys(mergeV2(local, [part])['definitions'] as JsonObject)).toEqual(['Meta', 'Gadget']);
    const other = { ...local, definitions: { Meta: { type: 'string' } } };
    const merged = mergeV2(other, [part]);
    expect(merged['definitions']).toEqual({
      Meta: { type: 'string' },
      Meta_v2: meta,
      Gadget: { type: 'object', properties: { metadata: ref('Meta_v2'), parent: ref('Gadget') } },
    });
    expect(Object.keys(merged['paths'] as JsonObject)).toEqual(['/api/v1/secrets', '/apis/example.test/v1/gadgets']);
  });

  test('keeps a path that is there already', () => {
    const part = { paths: { '/api/v1/secrets': { get: { operationId: 'stolen' } } }, definitions: {} };
    expect(mergeV2(local, [part])['paths']).toEqual({ '/api/v1/secrets': { get: {} } });
  });

  test('with names and values of all kinds can still be written as protobuf', () => {
    const odd = {
      maxLength: -1,
      minLength: 1.5,
      maximum: 1e300,
      required: 7,
      enum: { a: 1 },
      properties: { ['__proto__']: { type: 5 }, constructor: [] },
      items: 'x',
      additionalProperties: 3,
      'x-any': null,
    };
    const definitions = JSON.parse(`{"__proto__":${JSON.stringify(odd)},"constructor":${JSON.stringify(odd)}}`) as JsonObject;
    const path = { get: { parameters: [1, null, { in: 'body' }], responses: { 200: 'x' } }, put: 'y', parameters: 4 };
    const merged = mergeV2(local, [{ paths: { '/apis/example.test/v1/a': path }, definitions }]);
    expect(encodeOpenApiV2(merged).length).toBeGreaterThan(0);
    expect(Object.getPrototypeOf(merged['definitions'])).toBe(Object.prototype);
  });
});

test('a v3 document made of a v2 one holds the same schemas, bodies and answers', () => {
  const made = v3Of(partOf(document, gv));
  expect(made).toMatchObject({
    openapi: '3.0.0',
    components: { schemas: { Gadget: { properties: { metadata: { $ref: '#/components/schemas/Meta' } } } } },
    paths: {
      '/apis/example.test/v1/gadgets': {
        get: {
          parameters: [{ name: 'limit', in: 'query', schema: { type: 'integer', uniqueItems: true } }],
          requestBody: { required: true, content: { '*/*': { schema: { $ref: '#/components/schemas/Gadget' } } } },
          responses: { 200: { description: 'OK', content: { 'application/json': { schema: { $ref: '#/components/schemas/Gadget' } } } } },
          'x-kubernetes-group-version-kind': { kind: 'Gadget' },
        },
      },
    },
  });
  expect(JSON.stringify(made)).not.toContain('#/definitions/');
});

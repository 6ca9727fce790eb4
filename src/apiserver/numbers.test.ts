/** Numbers that a double does not hold: exact where nobody calculates with them, refused where the server would. */
import { beforeAll, describe, expect, test } from 'vitest';
import { builtinKinds } from '#resources/index.ts';
import type { ApiResponse } from './contract.ts';
import { bodyOf, startTestServer, type TestServer } from './testing.ts';

const spec = {
  type: 'object',
  properties: {
    id: { type: 'integer', minimum: 0 },
    ratio: { type: 'number' },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    keyed: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['id'],
      items: { type: 'object', required: ['id'], properties: { id: { type: 'integer' }, v: { type: 'string' } } },
    },
  },
  'x-kubernetes-validations': [{ rule: '!has(self.id) || self.id % 2 == 1', message: 'ids are odd' }],
};
const definition = {
  metadata: { name: 'things.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'things', kind: 'Thing' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        additionalPrinterColumns: [{ name: 'Id', type: 'integer', jsonPath: '.spec.id' }],
      },
    ],
  },
};
const things = '/apis/example.com/v1/namespaces/default/things';
const thing = (text: string, name = 'a'): string =>
  `{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"${name}"},"spec":${text}}`;
const shown = async (r: ApiResponse, as?: 'Table'): Promise<string> => (await bodyOf(r, { representation: { as } })).toString('utf8');
const big = '9223372036854775807';

describe('in a custom resource', () => {
  let t: TestServer;
  const patch = (body: string, type: string) => t.call('PATCH', `${things}/a?fieldManager=m`, body, { 'content-type': type });

  beforeAll(async () => {
    t = await startTestServer(builtinKinds);
    await t.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    await t.call('POST', things, thing(`{"id":${big},"free":{"a":[-${big}]},"ratio":0.1}`));
  });

  test('an int64 is served as it was sent', async () => {
    expect(await shown(await t.call('GET', `${things}/a`))).toContain(`"spec":{"id":${big},"free":{"a":[-${big}]},"ratio":0.1}`);
    expect(await shown(await t.call('GET', things))).toContain(`"id":${big}`);
    expect(await shown(await t.call('GET', things), 'Table')).toContain(`"cells":["a",${big}]`);
  });

  test.each([
    ['application/merge-patch+json', `{"spec":{"free":{"b":9007199254740993}}}`],
    [
      'application/json-patch+json',
      `[{"op":"test","path":"/spec/id","value":${big}},{"op":"add","path":"/spec/free/b","value":9007199254740993}]`,
    ],
  ])('%s changes what it says and nothing else', async (type, body) => {
    const answer = await patch(body, type);
    expect(await shown(answer)).toContain(`"free":{"a":[-${big}],"b":9007199254740993}`);
    expect(await shown(answer)).toContain(`"id":${big}`);
  });

  test('server-side apply has exact values and keys', async () => {
    const applied = await patch(
      thing(`{"keyed":[{"id":9007199254740993,"v":"x"},{"id":9007199254740992,"v":"y"}]}`),
      'application/apply-patch+yaml',
    );
    expect(await shown(applied)).toContain('"keyed":[{"id":9007199254740993,"v":"x"},{"id":9007199254740992,"v":"y"}]');
    expect(await shown(applied)).toContain('k:{\\"id\\":9007199254740993}');
  });

  test('YAML is as exact', async () => {
    const yaml = `apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: yaml}\nspec: {id: ${big}}\n`;
    expect(await shown(await t.call('POST', things, yaml, { 'content-type': 'application/yaml' }))).toContain(`"id":${big}`);
  });

  test('validation and rules see them', async () => {
    expect(await shown(await t.call('POST', things, thing(`{"id":-${big}}`, 'b')))).toContain('should be greater than or equal to 0');
    expect(await shown(await t.call('POST', things, thing('{"id":9007199254740992}', 'b')))).toContain('ids are odd');
  });

  test('what no int64 holds becomes a double, as in Go', async () => {
    expect(await shown(await t.call('POST', things, thing('{"free":{"n":18446744073709551616}}', 'c')))).toContain(
      '"n":18446744073709552000',
    );
    expect(await t.call('POST', things, thing('{"free":{"n":1e999}}', 'd'))).toMatchObject({ status: 400 });
  });
});

describe('in a built-in kind', () => {
  test.each([
    [
      'beyond int64',
      '9223372036854775808',
      'number 9223372036854775808 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64',
    ],
    [
      'beyond what the server calculates with',
      '9007199254740993',
      'number 9007199254740993 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64',
    ],
    ['with a fraction', '1.5', 'number 1.5 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64'],
  ])('a number %s is refused', async (_title, number, message) => {
    const t = await startTestServer(builtinKinds);
    const pod = `{"metadata":{"name":"a"},"spec":{"activeDeadlineSeconds":${number},"containers":[{"name":"c","image":"i"}]}}`;
    const answer = await t.call('POST', '/api/v1/namespaces/default/pods', pod);
    expect(answer).toMatchObject({
      status: 400,
      object: { message: `Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal ${message}` },
    });
  });

  test('quantities have all their digits', async () => {
    const t = await startTestServer(builtinKinds);
    const quota = '{"metadata":{"name":"a"},"spec":{"hard":{"requests.storage":9007199254740993,"count/pods":"9223372036854775807"}}}';
    expect(await shown(await t.call('POST', '/api/v1/namespaces/default/resourcequotas', quota))).toContain(
      '"hard":{"requests.storage":"9007199254740993","count/pods":"9223372036854775807"}',
    );
  });
});

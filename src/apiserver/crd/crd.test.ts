import { expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { customResourceDefinitions, type ResourceRef } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import type { ApiResponse } from '../contract.ts';
import { bodyOf, startTestServer } from '../testing.ts';
import { parseJsonPath } from './json-path.ts';

const crontab: ResourceRef = {
  group: 'stable.example.com',
  version: 'v1',
  kind: 'CronTab',
  plural: 'crontabs',
  singular: 'crontab',
  namespaced: true,
  shortNames: [],
  categories: [],
};

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['cronSpec'],
      properties: {
        cronSpec: { type: 'string', pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$' },
        image: { type: 'string', default: 'busybox' },
        replicas: { type: 'integer', minimum: 1, maximum: 10 },
        port: { 'x-kubernetes-int-or-string': true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
      'x-kubernetes-validations': [
        { rule: "!has(self.replicas) || self.replicas <= 5 || self.image == 'big'", message: 'only big images scale' },
      ],
    },
    status: { type: 'object', properties: { replicas: { type: 'integer' }, labelSelector: { type: 'string' } } },
  },
};

const definition = (versions: unknown[] = []): CustomResourceDefinition =>
  ({
    kind: 'CustomResourceDefinition',
    apiVersion: 'apiextensions.k8s.io/v1',
    metadata: { name: 'crontabs.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab', shortNames: ['ct'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.labelSelector',
            },
          },
          additionalPrinterColumns: [
            { name: 'Spec', type: 'string', jsonPath: '.spec.cronSpec' },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
        ...versions,
      ],
    },
  }) as unknown as CustomResourceDefinition;

const at = { namespace: 'default', name: 'a' };
const cron = (spec: Record<string, unknown>): KubeObject =>
  ({ kind: 'CronTab', apiVersion: 'stable.example.com/v1', metadata: at, spec }) as never;

const start = async (versions: unknown[] = []) => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const crd = await client.create(customResourceDefinitions, definition(versions));
  return { ...t, client, crd };
};
const specOf = (o: KubeObject): unknown => (o as unknown as { spec: unknown }).spec;

test('a definition is established at once and its kind is in discovery and OpenAPI', async () => {
  const { crd, call } = await start();
  expect(crd.status?.conditions?.map((c) => [c.type, c.status])).toEqual([
    ['NamesAccepted', 'True'],
    ['Established', 'True'],
  ]);
  const text = (r: ApiResponse): string => (r.type === 'bytes' ? String(r.body) : '');
  expect(text(await call('GET', '/apis/stable.example.com/v1'))).toContain('"crontabs/scale"');
  expect(text(await call('GET', '/openapi/v3/apis/stable.example.com/v1'))).toContain('cronSpec');
});

test('objects are pruned, defaulted, validated and checked by rules', async () => {
  const { client } = await start();
  const made = await client.create(crontab, cron({ cronSpec: '* * * * */5', unknown: 1, port: 'http', free: { any: [1] } }));
  expect(specOf(made)).toEqual({ cronSpec: '* * * * */5', image: 'busybox', port: 'http', free: { any: [1] } });
  const refused = (spec: Record<string, unknown>, why: string) =>
    expect(client.update(crontab, { ...made, spec } as never)).rejects.toThrow(why);
  await refused(
    {},
    'CronTab.stable.example.com "a" is invalid: [spec.cronSpec: Required value, <nil>: Invalid value: null: some validation rules were not checked',
  );
  await refused({ cronSpec: 'x' }, `spec.cronSpec: Invalid value: "x": spec.cronSpec in body should match '`);
  await refused({ cronSpec: '* * * * *', replicas: 11 }, 'spec.replicas in body should be less than or equal to 10');
  await refused({ cronSpec: '* * * * *', replicas: 'x' }, 'spec.replicas in body must be of type integer: "string"');
  await refused({ cronSpec: '* * * * *', replicas: 7 }, 'only big images scale');
});

test('rules are timed', async () => {
  const { client, server } = await start();
  const counted = async (what: string): Promise<number> => {
    const found = new RegExp(`^apiserver_cel_${what}_duration_seconds_count (\\d+)$`, 'm').exec(await server.metrics.metrics());
    return Number(found?.[1]);
  };
  expect(await counted('compilation')).toBe(1);
  await client.create(crontab, cron({ cronSpec: '* * * * *' }));
  // Once when the definition was written, once when the first object came.
  expect([await counted('compilation'), await counted('evaluation')]).toEqual([2, 1]);
});

test('status and scale are subresources, and generation counts spec alone', async () => {
  const { client, transport } = await start();
  await client.create(crontab, cron({ cronSpec: '* * * * *', replicas: 1 }));
  const withStatus = await client.patch(crontab, at, 'merge', { status: { replicas: 1, labelSelector: 'a=b' } }, { subresource: 'status' });
  expect(withStatus.metadata.generation).toBe(1);
  const path = '/apis/stable.example.com/v1/namespaces/default/crontabs/a/scale';
  expect(await transport.call({ method: 'GET', path })).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 1, selector: 'a=b' } });
  await transport.call({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body: { spec: { replicas: 3 } } });
  expect(await client.get(crontab, at)).toMatchObject({ spec: { replicas: 3 }, metadata: { generation: 2 } });
});

test('printer columns make the table', async () => {
  const { client, call, clock } = await start();
  await client.create(crontab, cron({ cronSpec: '1 * * * *' }));
  const list = await call('GET', '/apis/stable.example.com/v1/crontabs');
  const body = await bodyOf(list, { representation: { as: 'Table' }, now: new Date(clock.now() + 5000), includeObject: 'None' });
  const table = JSON.parse(body.toString()) as {
    rows: { cells: unknown[] }[];
    columnDefinitions: { name: string }[];
  };
  expect(table.columnDefinitions.map((c) => c.name)).toEqual(['Name', 'Spec', 'Age']);
  expect(table.rows[0]?.cells).toEqual(['a', '1 * * * *', '5s']);
});

test('objects are served in every version', async () => {
  const { client } = await start([
    {
      name: 'v2',
      served: true,
      storage: false,
      schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { image: { type: 'string' } } } } } },
    },
  ]);
  await client.create(crontab, cron({ cronSpec: '* * * * *', image: 'x' }));
  const second = await client.get({ ...crontab, version: 'v2' }, at);
  expect(second).toMatchObject({ apiVersion: 'stable.example.com/v2', spec: { image: 'x' } });
  expect(specOf(second)).toEqual({ image: 'x' });
});

test('a new default shows on objects that were stored before', async () => {
  const { client, crd } = await start();
  await client.create(crontab, cron({ cronSpec: '* * * * *' }));
  const [version] = crd.spec.versions;
  const changed = structuredClone(schema) as unknown as { properties: { spec: { properties: Record<string, unknown> } } };
  changed.properties.spec.properties['added'] = { type: 'string', default: 'new' };
  await client.update(customResourceDefinitions, {
    ...crd,
    spec: { ...crd.spec, versions: [{ ...version, schema: { openAPIV3Schema: changed } }] },
  } as never);
  expect(specOf(await client.get(crontab, at))).toMatchObject({ added: 'new' });
});

test('a definition goes after its instances', async () => {
  const { client, server } = await start();
  await client.create(crontab, cron({ cronSpec: '* * * * *' }));
  await client.delete(customResourceDefinitions, { name: 'crontabs.stable.example.com' });
  await expect.poll(() => server.registry.hasGroupVersion('stable.example.com', 'v1')).toBe(false);
  await expect(client.get(customResourceDefinitions, { name: 'crontabs.stable.example.com' })).rejects.toMatchObject({
    reason: 'NotFound',
  });
  await server.close();
});

test('schemas that are not structural are refused', async () => {
  const { client } = await start();
  const bad = definition();
  const broken = {
    ...bad,
    metadata: { name: 'as.b.example.com' },
    spec: { ...bad.spec, group: 'b.example.com', names: { plural: 'as', kind: 'A' } },
  };
  const [version] = bad.spec.versions;
  const withSchema = (openAPIV3Schema: unknown) =>
    client.create(customResourceDefinitions, {
      ...broken,
      spec: { ...broken.spec, versions: [{ ...version, schema: { openAPIV3Schema } }] },
    } as never);
  await expect(withSchema({ type: 'object', properties: { spec: {} } })).rejects.toThrow(
    'spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields',
  );
  await expect(
    withSchema({ type: 'object', properties: { s: { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.x +' }] } } }),
  ).rejects.toMatchObject({ reason: 'Invalid' });
});

test('all that is wrong with a definition is told at once, also where nothing is said', async () => {
  const { client } = await start();
  const refused = client.create(customResourceDefinitions, {
    kind: 'CustomResourceDefinition',
    apiVersion: 'apiextensions.k8s.io/v1',
    metadata: { name: 'x' },
    spec: {},
  } as never);
  await expect(refused).rejects.toThrow(
    'CustomResourceDefinition.apiextensions.k8s.io "x" is invalid: [metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group, spec.group: Required value, spec.scope: Required value, spec.versions: Invalid value: null: must have exactly one version marked as storage version, spec.names.plural: Required value, spec.names.singular: Required value, spec.names.kind: Required value, spec.names.listKind: Required value, status.storedVersions: Invalid value: null: must have at least one stored version]',
  );
});

test('formats of texts that nobody checks are warned of, those of numbers are not', async () => {
  const t = await startTestServer(builtinKinds);
  const [version] = definition().spec.versions;
  const fields = {
    a: { type: 'string', format: 'phone' },
    b: { type: 'integer', format: 'int64' },
    c: { type: 'string', format: 'date-time' },
  };
  const odd = { ...version, schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: fields } } } } };
  const made = await t.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    ...definition(),
    spec: { ...definition().spec, versions: [odd] },
  });
  expect(made.warnings).toEqual(['unrecognized format "phone"']);
});

test('a scale of replicas that are not there is no scale', async () => {
  const { client, call } = await start();
  await client.create(crontab, cron({ cronSpec: '* * * * *' }));
  const path = '/apis/stable.example.com/v1/namespaces/default/crontabs/a/scale';
  expect(await call('GET', path)).toMatchObject({
    status: 500,
    object: { message: 'Internal error occurred: the spec replicas field ".spec.replicas" does not exist' },
  });
  const merge = { 'content-type': 'application/merge-patch+json' };
  expect(await call('PATCH', path, { metadata: {} }, merge)).toMatchObject({
    status: 400,
    object: { message: 'the spec replicas field ".spec.replicas" cannot be empty' },
  });
  expect(await call('PATCH', path, { spec: { replicas: 2 } }, merge)).toMatchObject({ status: 200, object: { spec: { replicas: 2 } } });
});

test('a column whose path cannot be read leaves the table to name and age', async () => {
  const [version] = definition().spec.versions;
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const odd = { ...version, additionalPrinterColumns: [{ name: 'X', type: 'string', jsonPath: '.spec[?(' }] };
  await client.create(customResourceDefinitions, { ...definition(), spec: { ...definition().spec, versions: [odd] } } as never);
  expect(t.server.registry.resourcesOf('stable.example.com', 'v1')[0]?.def.table?.columns.map((c) => c.name)).toEqual([
    'Name',
    'Created At',
  ]);
});

test.each([
  ['.spec.a', ['x']],
  ['.list[0].b', [1]],
  ['.list[*].b', [1, 2]],
  [".list[?(@.name=='two')].b", [2]],
  ["['dotted.key']", ['y']],
  ['.none.at.all', []],
])('JSON path %s', (path, expected) => {
  const object = {
    spec: { a: 'x' },
    list: [
      { name: 'one', b: 1 },
      { name: 'two', b: 2 },
    ],
    'dotted.key': 'y',
  };
  expect(parseJsonPath(path).find(object)).toEqual(expected);
});

test('server-side apply knows apiVersion, kind and metadata of custom resources, declared or not', async () => {
  const { client } = await start();
  const applied = (finalizer: string, free: object): KubeObject =>
    ({ ...cron({ cronSpec: '* * * * *', free }), metadata: { ...at, finalizers: [finalizer] } }) as KubeObject;
  await client.apply(crontab, applied('example.com/one', { one: 1 }), 'one');
  const both = await client.apply(crontab, applied('example.com/two', { two: 2 }), 'two');
  expect(both.metadata.finalizers).toEqual(['example.com/one', 'example.com/two']);
  expect(specOf(both)).toMatchObject({ free: { one: 1, two: 2 } });
  const without = { ...cron({ cronSpec: '* * * * *' }), metadata: at } as KubeObject;
  expect((await client.apply(crontab, without, 'one')).metadata.finalizers).toEqual(['example.com/two']);
});

test('nulls are dropped where the schema does not allow them, so that defaults apply', async () => {
  const { client } = await start();
  const made = await client.create(crontab, cron({ cronSpec: '* * * * *', image: null, replicas: null, free: { any: null } }));
  expect(specOf(made)).toEqual({ cronSpec: '* * * * *', image: 'busybox', free: { any: null } });
});

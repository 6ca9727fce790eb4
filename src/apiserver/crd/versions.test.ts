import { expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { customResourceDefinitions, type ResourceRef } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import type { CallWebhook } from '../admission/webhook-client.ts';
import { startTestServer } from '../testing.ts';

/** v1 has spec.hostPort, v2 has spec.host and spec.port: what nothing but a webhook can convert. */
const v1: ResourceRef = {
  group: 'stable.example.com',
  version: 'v1',
  kind: 'Route',
  plural: 'routes',
  singular: 'route',
  namespaced: true,
  shortNames: [],
  categories: [],
};
const v2: ResourceRef = { ...v1, version: 'v2' };

const text = { type: 'string' };
const schemaOf = (spec: Record<string, unknown>) => ({
  openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: spec } } },
});
const versions = {
  v1: { name: 'v1', served: true, storage: true, schema: schemaOf({ hostPort: text, note: text }) },
  v2: { name: 'v2', served: true, storage: false, schema: schemaOf({ host: text, port: text, scheme: { ...text, default: 'http' } }) },
};

const webhook = {
  strategy: 'Webhook',
  webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1:1/convert' } },
};
const crdOf = (list: readonly unknown[], conversion: unknown = webhook): CustomResourceDefinition =>
  ({
    kind: 'CustomResourceDefinition',
    apiVersion: 'apiextensions.k8s.io/v1',
    metadata: { name: 'routes.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'routes', singular: 'route', kind: 'Route' },
      conversion,
      versions: list,
    },
  }) as unknown as CustomResourceDefinition;

interface Convertible {
  readonly apiVersion: string;
  readonly metadata: object;
  readonly spec?: { readonly hostPort?: string; readonly host?: string; readonly port?: string };
}

function convertOne(o: Convertible, to: string): unknown {
  const { hostPort, host, port } = o.spec ?? {};
  if (to.endsWith('/v2')) {
    const [h = '', p = ''] = (hostPort ?? '').split(':');
    return { ...o, apiVersion: to, spec: { host: h, port: p, dropped: true } };
  }
  return { ...o, apiVersion: to, spec: { hostPort: `${host ?? ''}:${port ?? ''}` } };
}

/** A webhook, as it would answer over HTTPS. */
function createWebhook() {
  const calls: number[] = [];
  let broken = '';
  const call: CallWebhook = ({ body }) => {
    const { request } = body as { request: { uid: string; desiredAPIVersion: string; objects: readonly Convertible[] } };
    calls.push(request.objects.length);
    if (broken !== '') return Promise.reject(new Error(broken));
    const convertedObjects = request.objects.map((o) => convertOne(structuredClone(o), request.desiredAPIVersion));
    return Promise.resolve({
      kind: 'ConversionReview',
      apiVersion: 'apiextensions.k8s.io/v1',
      response: { uid: request.uid, result: { status: 'Success' }, convertedObjects },
    });
  };
  return {
    call,
    calls,
    break: (why: string) => {
      broken = why;
    },
  };
}

const route = (name: string, ref: ResourceRef, spec: Record<string, unknown>): KubeObject =>
  ({ kind: 'Route', apiVersion: `stable.example.com/${ref.version}`, metadata: { namespace: 'default', name }, spec }) as never;
const at = (name: string) => ({ namespace: 'default', name });
const specOf = (o: KubeObject): unknown => (o as unknown as { spec: unknown }).spec;

async function start(list: readonly unknown[] = [versions.v1, versions.v2], conversion: unknown = webhook) {
  const hook = createWebhook();
  const t = await startTestServer(builtinKinds, { callWebhook: () => hook.call });
  const client = createKubeClient(t.transport);
  const crd = await client.create(customResourceDefinitions, crdOf(list, conversion));
  const setVersions = async (next: readonly unknown[]): Promise<CustomResourceDefinition> => {
    const now = await client.get(customResourceDefinitions, { name: 'routes.stable.example.com' });
    return await client.update(customResourceDefinitions, { ...now, spec: { ...now.spec, versions: next } } as never);
  };
  return { ...t, client, crd, hook, setVersions };
}

test('objects are created, read, updated, patched and applied in a version that a webhook converts', async () => {
  const { client, cache } = await start();
  const made = await client.create(v2, route('a', v2, { host: 'h', port: '1' }));
  expect(specOf(made)).toEqual({ host: 'h', port: '1', scheme: 'http' });
  expect(String(cache.get('/registry/stable.example.com/routes/default/a')?.value)).toContain('"hostPort":"h:1"');
  expect(specOf(await client.get(v1, at('a')))).toEqual({ hostPort: 'h:1' });
  const updated = await client.update(v2, { ...made, spec: { host: 'g', port: '2' } } as never);
  expect(specOf(updated)).toEqual({ host: 'g', port: '2', scheme: 'http' });
  expect(specOf(await client.patch(v2, at('a'), 'merge', { spec: { port: '3' } }))).toMatchObject({ host: 'g', port: '3' });
  const applied = await client.apply(v2, route('a', v2, { port: '4' }), 'me', { force: true });
  expect(specOf(applied)).toMatchObject({ host: 'g', port: '4' });
  expect(specOf(await client.get(v1, at('a')))).toEqual({ hostPort: 'g:4' });
});

test('whose fields are whose is known across versions that a webhook converts', async () => {
  const { client } = await start();
  await client.apply(v1, route('a', v1, { hostPort: 'h:1' }), 'first');
  await expect(client.apply(v2, route('a', v2, { port: '2' }), 'second')).rejects.toMatchObject({ reason: 'Conflict' });
  await client.apply(v2, route('a', v2, { port: '2' }), 'second', { force: true });
  const { metadata } = await client.get(v1, at('a'));
  expect(metadata.managedFields?.map((m) => [m.manager, m.apiVersion])).toEqual([['second', 'stable.example.com/v2']]);
});

test('a list is converted in one call, and what has been converted is not converted again', async () => {
  const { client, hook } = await start();
  for (const name of ['a', 'b', 'c']) await client.create(v1, route(name, v1, { hostPort: `${name}:1` }));
  expect(hook.calls).toEqual([]);
  const { items } = await client.list(v2, { namespace: 'default' });
  expect(items.map(specOf)).toEqual(['a', 'b', 'c'].map((host) => ({ host, port: '1', scheme: 'http' })));
  expect(hook.calls).toEqual([3]);
  await client.list(v2, { namespace: 'default', labelSelector: 'x!=y' });
  expect(hook.calls).toEqual([3]);
});

test('a watch shows converted objects, also when they leave a selection', async () => {
  const { client, transport } = await start();
  const made = await client.create(v1, route('a', v1, { hostPort: 'a:1' }));
  await client.patch(v1, at('a'), 'merge', { metadata: { labels: { in: 'yes' } } });
  const end = new AbortController();
  const path = '/apis/stable.example.com/v2/namespaces/default/routes?watch=true&labelSelector=in%3Dyes';
  const seen: unknown[] = [];
  for await (const event of transport.watch(path, end.signal)) {
    const { type, object } = event as { type: string; object: KubeObject };
    seen.push([type, object.apiVersion, specOf(object)]);
    if (seen.length === 1) await client.patch(v1, at('a'), 'merge', { spec: { hostPort: 'a:2' } });
    if (seen.length === 2) await client.patch(v1, at('a'), 'merge', { metadata: { labels: { in: 'no' } } });
    if (seen.length === 3) break;
  }
  end.abort();
  expect(made.metadata.uid).toBeDefined();
  expect(seen).toEqual([
    ['ADDED', 'stable.example.com/v2', { host: 'a', port: '1', scheme: 'http' }],
    ['MODIFIED', 'stable.example.com/v2', { host: 'a', port: '2', scheme: 'http' }],
    ['DELETED', 'stable.example.com/v2', { host: 'a', port: '2', scheme: 'http' }],
  ]);
});

test('a webhook that fails makes reads and writes fail with what it said, but not those that need no conversion', async () => {
  const { client, hook } = await start();
  await client.create(v1, route('a', v1, { hostPort: 'a:1' }));
  hook.break('connection refused');
  const failed = { code: 500, message: 'conversion webhook for stable.example.com/v1, Kind=Route failed: connection refused' };
  await expect(client.get(v2, at('a'))).rejects.toMatchObject(failed);
  await expect(client.list(v2, { namespace: 'default' })).rejects.toMatchObject(failed);
  await expect(client.create(v2, route('b', v2, { host: 'h' }))).rejects.toThrow('Kind=Route failed: connection refused');
  expect(specOf(await client.get(v1, at('a')))).toEqual({ hostPort: 'a:1' });
  hook.break('');
  expect(specOf(await client.get(v2, at('a')))).toMatchObject({ host: 'a' });
});

test('a definition whose webhook fails goes all the same', async () => {
  const { client, hook } = await start();
  await client.create(v1, route('a', v1, { hostPort: 'a:1' }));
  hook.break('gone');
  await client.delete(customResourceDefinitions, { name: 'routes.stable.example.com' });
  await expect
    .poll(() => client.get(customResourceDefinitions, { name: 'routes.stable.example.com' }).catch((e: unknown) => e))
    .toMatchObject({
      reason: 'NotFound',
    });
});

test.each([
  ['without a webhook', { strategy: 'None' }],
  ['with a webhook', webhook],
])('objects stored in the old storage version are read in the new one, and rewritten by any update (%s)', async (_title, conversion) => {
  const { client, cache, setVersions } = await start([versions.v1, versions.v2], conversion);
  await client.create(v1, route('a', v1, { hostPort: 'a:1' }));
  const moved = await setVersions([
    { ...versions.v1, storage: false },
    { ...versions.v2, storage: true },
  ]);
  expect(moved.status?.storedVersions).toEqual(['v1', 'v2']);
  const read = await client.get(v2, at('a'));
  expect(read.apiVersion).toBe('stable.example.com/v2');
  expect(specOf(read)).toEqual(conversion === webhook ? { host: 'a', port: '1', scheme: 'http' } : { scheme: 'http' });
  const stored = (): string => String(cache.get('/registry/stable.example.com/routes/default/a')?.value).slice(0, 60);
  expect(stored()).toContain('"stable.example.com/v1"');
  await client.update(v2, read);
  expect(stored()).toContain('"stable.example.com/v2"');
});

test('a version stays as long as objects may be stored in it', async () => {
  const { client, setVersions } = await start();
  await setVersions([
    { ...versions.v1, storage: false },
    { ...versions.v2, storage: true },
  ]);
  await expect(setVersions([{ ...versions.v2, storage: true }])).rejects.toThrow(
    'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions',
  );
  const name = { name: 'routes.stable.example.com' };
  await expect(
    client.patch(customResourceDefinitions, name, 'merge', { status: { storedVersions: ['v1'] } }, { subresource: 'status' }),
  ).rejects.toThrow('must have the storage version v2');
  await client.patch(customResourceDefinitions, name, 'merge', { status: { storedVersions: ['v2'] } }, { subresource: 'status' });
  await setVersions([{ ...versions.v2, storage: true }]);
  await expect(client.list(v1, { namespace: 'default' })).rejects.toMatchObject({ reason: 'NotFound' });
});

test('fields that the storage version does not know are not stored', async () => {
  const { client } = await start([versions.v1, versions.v2], { strategy: 'None' });
  await client.create(v2, route('a', v2, { host: 'h' }));
  expect(specOf(await client.get(v2, at('a')))).toEqual({ scheme: 'http' });
});

test('names that another definition has are refused until it goes', async () => {
  const { client } = await start();
  const other = (plural: string, names: object) => ({
    ...crdOf([versions.v1], undefined),
    metadata: { name: `${plural}.stable.example.com` },
    spec: { ...crdOf([versions.v1]).spec, conversion: undefined, names: { plural, singular: 'way', kind: 'Way', ...names } },
  });
  const made = await client.create(customResourceDefinitions, other('ways', { shortNames: ['routes'] }) as never);
  const conditions = (crd: CustomResourceDefinition) => crd.status?.conditions?.map((c) => [c.type, c.status, c.reason, c.message]);
  expect(conditions(made)).toEqual([
    ['NamesAccepted', 'False', 'ShortNamesConflict', '"routes" is already in use'],
    ['Established', 'False', 'NotAccepted', 'not all names are accepted'],
  ]);
  await client.delete(customResourceDefinitions, { name: 'routes.stable.example.com' });
  await expect
    .poll(async () => conditions(await client.get(customResourceDefinitions, { name: 'ways.stable.example.com' })))
    .toEqual([
      ['NamesAccepted', 'True', 'NoConflicts', 'no conflicts found'],
      ['Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted'],
    ]);
});

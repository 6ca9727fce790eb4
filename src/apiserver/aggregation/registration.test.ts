import { afterEach, describe, expect, test } from 'vitest';
import type { APIService, APIServiceList } from '#kube/generated/apiregistration-v1.ts';
import { builtinKinds } from '#resources/index.ts';
import { startTestServer, type TestServer } from '../testing.ts';
import type { StoredApiService } from './api-services.ts';
import { registrationStep } from './registration.ts';
import { slowTests, until } from './testing.ts';

slowTests();

const collection = '/apis/apiregistration.k8s.io/v1/apiservices';
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

let server: TestServer | undefined;
afterEach(async () => {
  await server?.server.close();
  server = undefined;
});

async function start(): Promise<TestServer> {
  server = await startTestServer(builtinKinds);
  await server.server.bootstrap({ advertiseAddress: '10.0.0.1', port: 6443 });
  return server;
}

const list = async (t: TestServer): Promise<readonly APIService[]> =>
  ((await t.transport.call({ method: 'GET', path: collection })) as APIServiceList).items;
const get = async (t: TestServer, name: string): Promise<APIService> =>
  (await t.transport.call({ method: 'GET', path: `${collection}/${name}` })) as APIService;
const post = (t: TestServer, path: string, body: unknown): Promise<unknown> =>
  t.transport.call({ method: 'POST', path, contentType: 'application/json', body });
const remove = (t: TestServer, path: string): Promise<unknown> => t.transport.call({ method: 'DELETE', path });

const definition = (version: string, extra: readonly string[] = []) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.example.test' },
  spec: {
    group: 'example.test',
    scope: 'Namespaced',
    names: { plural: 'gadgets', kind: 'Gadget' },
    versions: [version, ...extra].map((name, i) => ({
      name,
      served: true,
      storage: i === 0,
      schema: { openAPIV3Schema: { type: 'object' } },
    })),
  },
});

describe('built-in groups', () => {
  test('have an available local APIService with their priorities, all but the group of APIServices', async () => {
    const t = await start();
    const all = await list(t);
    const apps = all.find((s) => s.metadata.name === 'v1.apps');
    expect(apps?.metadata.labels).toEqual({ 'kube-aggregator.kubernetes.io/automanaged': 'onstart' });
    expect(apps?.spec).toEqual({ group: 'apps', version: 'v1', groupPriorityMinimum: 17800, versionPriority: 15 });
    expect(apps?.status?.conditions).toMatchObject([
      { type: 'Available', status: 'True', reason: 'Local', message: 'Local APIServices are always available' },
    ]);
    expect(all.find((s) => s.metadata.name === 'v1.')?.spec).toEqual({ version: 'v1', groupPriorityMinimum: 18000, versionPriority: 1 });
    const served = t.server.registry.groups().flatMap((g) => t.server.registry.versions(g).map((v) => `${v}.${g}`));
    expect(new Set(all.map((s) => s.metadata.name))).toEqual(new Set(served.filter((n) => n !== 'v1.apiregistration.k8s.io')));
  });

  test('come in discovery in the order of their priorities, the group of APIServices first', async () => {
    const t = await start();
    const groups = (await t.transport.call({ method: 'GET', path: '/apis' })) as { groups: { name: string; versions: unknown[] }[] };
    expect(groups.groups.map((g) => g.name)).toEqual([
      'apiregistration.k8s.io',
      'apps',
      'events.k8s.io',
      'authentication.k8s.io',
      'authorization.k8s.io',
      'autoscaling',
      'batch',
      'certificates.k8s.io',
      'networking.k8s.io',
      'policy',
      'rbac.authorization.k8s.io',
      'storage.k8s.io',
      'admissionregistration.k8s.io',
      'apiextensions.k8s.io',
      'scheduling.k8s.io',
      'coordination.k8s.io',
      'node.k8s.io',
      'discovery.k8s.io',
      'resource.k8s.io',
      'flowcontrol.apiserver.k8s.io',
    ]);
    expect(groups.groups.find((g) => g.name === 'autoscaling')?.versions).toMatchObject([{ version: 'v2' }, { version: 'v1' }]);
  });
});

describe('custom resource definitions', () => {
  test('register each version and take it away with them', async () => {
    const t = await start();
    await post(t, crds, definition('v1', ['v1beta1']));
    const found = await until(() => get(t, 'v1beta1.example.test'));
    expect(found.metadata.labels).toEqual({ 'kube-aggregator.kubernetes.io/automanaged': 'true' });
    expect(found.spec).toEqual({ group: 'example.test', version: 'v1beta1', groupPriorityMinimum: 1000, versionPriority: 100 });
    const group = (await t.transport.call({ method: 'GET', path: '/apis/example.test' })) as { preferredVersion: unknown };
    expect(group.preferredVersion).toEqual({ groupVersion: 'example.test/v1', version: 'v1' });
    await remove(t, `${crds}/gadgets.example.test`);
    await until(async () => {
      await expect(get(t, 'v1.example.test')).rejects.toMatchObject({ reason: 'NotFound' });
      await expect(get(t, 'v1beta1.example.test')).rejects.toMatchObject({ reason: 'NotFound' });
    });
  });

  test('have their APIService back when somebody deletes it', async () => {
    const t = await start();
    await post(t, crds, definition('v1'));
    const first = await until(() => get(t, 'v1.example.test'));
    await remove(t, `${collection}/v1.example.test`);
    await until(async () => expect((await get(t, 'v1.example.test')).metadata.uid).not.toBe(first.metadata.uid));
  });

  test("leave a user's APIService of their group version alone", async () => {
    const t = await start();
    const spec = {
      group: 'example.test',
      version: 'v1',
      service: { namespace: 'default', name: 'mine', port: 443 },
      insecureSkipTLSVerify: true,
      groupPriorityMinimum: 50,
      versionPriority: 5,
    };
    await post(t, collection, { apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: 'v1.example.test' }, spec });
    await post(t, crds, definition('v1', ['v2']));
    await until(() => get(t, 'v2.example.test'));
    expect((await get(t, 'v1.example.test')).spec).toEqual(spec);
    await remove(t, `${crds}/gadgets.example.test`);
    await until(() => expect(get(t, 'v2.example.test')).rejects.toMatchObject({ reason: 'NotFound' }));
    expect((await get(t, 'v1.example.test')).spec).toEqual(spec);
  });
});

test('an APIService that no longer points to a service is available from then on', async () => {
  const t = await start();
  const name = 'v1.other.test';
  const spec = { group: 'other.test', version: 'v1', groupPriorityMinimum: 50, versionPriority: 5 };
  const service = { namespace: 'default', name: 'gone' };
  const head = { apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name } };
  await post(t, collection, { ...head, spec: { ...spec, service } });
  const body = { spec: { service: null } };
  await t.transport.call({ method: 'PATCH', path: `${collection}/${name}`, contentType: 'application/merge-patch+json', body });
  await until(async () => expect((await get(t, name)).status?.conditions).toMatchObject([{ status: 'True', reason: 'Local' }]));
});

describe('what is done about one name', () => {
  const service = (managed: string | undefined, version = 'v1'): StoredApiService => ({
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: {
      name: 'v1.a',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(managed === undefined ? {} : { labels: { 'kube-aggregator.kubernetes.io/automanaged': managed } }),
    },
    spec: { group: 'a', version, groupPriorityMinimum: 1, versionPriority: 1 },
  });
  const wanted = (managed: 'onstart' | 'true') => ({
    managed,
    spec: { group: 'a', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1 },
  });
  test.each([
    ['2A nothing there, nothing wanted', undefined, undefined, true, undefined],
    ['2B wanted at start', undefined, wanted('onstart'), true, 'create'],
    ['2B wanted at start, deleted later', undefined, wanted('onstart'), false, undefined],
    ['2C wanted always, deleted later', undefined, wanted('true'), false, 'create'],
    ["3 somebody's own", service(undefined, 'v2'), wanted('true'), true, undefined],
    ['5A of a start before, no longer wanted', service('onstart'), undefined, true, 'delete'],
    ['4A made after the start by others', service('onstart'), undefined, false, undefined],
    ['5B of a start before, other spec', service('onstart', 'v2'), wanted('onstart'), true, 'update'],
    ['5B of a start before, same spec', service('onstart'), wanted('onstart'), true, undefined],
    ['6A always managed, no longer wanted', service('true'), undefined, false, 'delete'],
    ['6C always managed, changed by others', service('true', 'v2'), wanted('true'), false, 'update'],
  ] as const)('%s', (_title, current, desired, atStart, step) => {
    expect(registrationStep(current, desired, atStart)).toBe(step);
  });
});

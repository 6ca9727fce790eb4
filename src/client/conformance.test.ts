/** What every way to the API server must do: run over HTTPS and in process, against the real server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HttpServer } from '#apiserver/http/server.ts';
import { admin, startTestServer, type TestServer, testTls } from '#apiserver/testing.ts';
import type { ConfigMap } from '#kube/generated/core-v1.ts';
import { configMaps, namespaces, nodes } from '#kube/refs.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { realClock } from '#platform/clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { KubeClient, KubeTransport } from './contract.ts';
import { createHttpsTransport, type HttpsTransport } from './https-transport.ts';
import { createInformer } from './informer.ts';
import { createKubeClient } from './kube-client.ts';

const tls = testTls();
let server: TestServer;
let http: HttpServer;
let https: HttpsTransport;

const authenticate = async (request: { readonly peer: { readonly authorized: boolean } | undefined }) =>
  await Promise.resolve(request.peer?.authorized === true ? admin : { name: 'system:anonymous', groups: [] });

beforeAll(async () => {
  server = await startTestServer(builtinKinds, { clock: realClock });
  http = server.server.createHttp({ tls: tls.server, authenticate });
  const port = await http.listen('127.0.0.1', 0);
  https = createHttpsTransport({
    server: `https://127.0.0.1:${port}`,
    tls: () => ({ ca: tls.ca, cert: tls.client.cert, key: tls.client.key }),
    clock: realClock,
    random: seededRandom(3),
    userAgent: 'test',
  });
});
afterAll(async () => {
  https.close();
  await http.close();
});

const map = (name: string, namespace: string, data: Record<string, string> = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds).toBe(true);
}

const ways: readonly (readonly [string, () => KubeTransport])[] = [
  ['https', () => https],
  ['in process', () => server.transport],
];

describe.each(ways)('over %s', (way, transport) => {
  const namespace = `ns-${way.replace(' ', '-')}`;
  let client: KubeClient;
  beforeAll(async () => {
    client = createKubeClient(transport());
    await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  });

  test('create, get, update, the patches, apply and delete', async () => {
    const at = { namespace, name: 'one' };
    const made = await client.create(configMaps, map('one', namespace, { a: '1' }));
    expect(made.metadata.uid).not.toBe('');
    expect(Object.isFrozen(made.data)).toBe(true);
    const updated = await client.update(configMaps, { ...made, data: { a: '2' } });
    await expect(client.update(configMaps, { ...made, data: { a: '3' } })).rejects.toMatchObject({ reason: 'Conflict' });
    expect(updated.data).toEqual({ a: '2' });
    expect((await client.patch(configMaps, at, 'merge', { data: { b: '1' } })).data).toEqual({ a: '2', b: '1' });
    expect((await client.patch(configMaps, at, 'json', [{ op: 'remove', path: '/data/a' }])).data).toEqual({ b: '1' });
    expect((await client.patch(configMaps, at, 'strategic', { data: { c: '1' } })).data).toEqual({ b: '1', c: '1' });
    expect((await client.apply(configMaps, map('one', namespace, { d: '1' }), 'tester')).data).toMatchObject({ d: '1' });
    const wrong = client.delete(configMaps, at, { preconditions: { uid: 'another' } });
    await expect(wrong).rejects.toMatchObject({ reason: 'Conflict' });
    await client.delete(configMaps, at);
    await expect(client.get(configMaps, at)).rejects.toMatchObject({ reason: 'NotFound', message: 'configmaps "one" not found' });
  });

  test('status is written apart from the rest', async () => {
    const name = `node-${namespace}`;
    const made = await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
    const status = { conditions: [{ type: 'Ready', status: 'True' }] };
    const written = await client.update(nodes, { ...made, spec: { unschedulable: true }, status }, { subresource: 'status' });
    expect(written.spec?.unschedulable).toBeUndefined();
    expect(written.status?.conditions?.[0]?.status).toBe('True');
  });

  test('lists are paged and selected; a collection is deleted in one go', async () => {
    for (let i = 0; i < 5; i++)
      await client.create(configMaps, {
        ...map(`page-${i}`, namespace),
        metadata: { name: `page-${i}`, namespace, labels: { odd: String(i % 2) } },
      });
    const first = await client.list(configMaps, { namespace, limit: 2 });
    expect(first.items.length).toBe(2);
    const rest = await client.list(configMaps, { namespace, limit: 10, continue: first.metadata.continue ?? '' });
    expect([...first.items, ...rest.items].map((m) => m.metadata.name)).toEqual(['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
    expect(rest.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect((await client.list(configMaps, { namespace, labelSelector: 'odd=1' })).items.length).toBe(2);
    expect((await client.list(configMaps, { namespace, fieldSelector: 'metadata.name=page-3' })).items.length).toBe(1);
    await client.deleteCollection(configMaps, { namespace, labelSelector: 'odd=0' });
    expect((await client.list(configMaps, { namespace })).items.map((m) => m.metadata.name)).toEqual(['page-1', 'page-3']);
    await client.deleteCollection(configMaps, { namespace });
  });

  test('refusals carry reason and causes', async () => {
    await expect(client.create(configMaps, map('Not A Name', namespace))).rejects.toMatchObject({
      reason: 'Invalid',
      code: 422,
      details: { causes: [{ field: 'metadata.name', reason: 'FieldValueInvalid' }] },
    });
  });

  test('an informer follows 1,000 creations and deletions and ends with the right set', async () => {
    await using tasks = new TaskGroup();
    const informer = createInformer(configMaps, { client, clock: realClock, random: seededRandom(4), log: memoryLogger() }, { namespace });
    tasks.spawn(informer.run);
    await informer.synced(tasks.signal);
    const names = Array.from({ length: 1000 }, (_, i) => `many-${i}`);
    await Promise.all(names.map((name) => client.create(configMaps, map(name, namespace))));
    await until(() => informer.size() === 1000);
    await Promise.all(names.filter((_, i) => i % 10 !== 0).map((name) => client.delete(configMaps, { namespace, name })));
    await until(() => informer.size() === 100);
    const last = await client.create(configMaps, map('last', namespace));
    await informer.reached(last.metadata.resourceVersion, tasks.signal);
    expect(informer.get(`${namespace}/last`)).toBeDefined();
    await client.deleteCollection(configMaps, { namespace });
    await until(() => informer.size() === 0);
  }, 30_000);
});

test('an informer over HTTPS goes on when its connection is replaced', async () => {
  const client = createKubeClient(https);
  const namespace = 'ns-https';
  await using tasks = new TaskGroup();
  const informer = createInformer(configMaps, { client, clock: realClock, random: seededRandom(5), log: memoryLogger() }, { namespace });
  tasks.spawn(informer.run);
  await informer.synced(tasks.signal);
  https.renew();
  await client.create(configMaps, map('after', namespace));
  await until(() => informer.get(`${namespace}/after`) !== undefined);
  expect(informer.hasSynced()).toBe(true);
});

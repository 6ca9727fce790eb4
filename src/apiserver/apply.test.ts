import { expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { ConfigMap } from '#kube/generated/core-v1.ts';
import { configMaps, deployments } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { startTestServer } from './testing.ts';

const map = (data: Record<string, string>): ConfigMap => ({
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: { name: 'a', namespace: 'default' },
  data,
});
const at = { namespace: 'default', name: 'a' };

test('apply creates, updates, takes away what is no longer applied, and reports conflicts', async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const made = await client.apply(configMaps, map({ x: '1', y: '1' }), 'one');
  expect(made.metadata.managedFields).toMatchObject([{ manager: 'one', operation: 'Apply', fieldsV1: { 'f:data': { 'f:x': {} } } }]);
  const revision = t.cache.revision();
  await client.apply(configMaps, map({ x: '1', y: '1' }), 'one');
  expect(t.cache.revision()).toBe(revision);
  expect((await client.apply(configMaps, map({ x: '1' }), 'one')).data).toEqual({ x: '1' });
  await expect(client.apply(configMaps, map({ x: '2' }), 'two')).rejects.toMatchObject({ reason: 'Conflict' });
  expect((await client.apply(configMaps, map({ x: '2' }), 'two', { force: true })).data).toEqual({ x: '2' });
});

test('updates and patches are tracked by manager and subresource', async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const spec = {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  };
  await client.create(deployments, { kind: 'Deployment', apiVersion: 'apps/v1', metadata: { name: 'a', namespace: 'default' }, spec });
  const patched = await client.patch(deployments, at, 'merge', { status: { replicas: 1 } }, { subresource: 'status' });
  expect(patched.metadata.managedFields?.map((m) => [m.manager, m.operation, m.subresource])).toEqual([
    ['admin', 'Update', undefined],
    ['admin', 'Update', 'status'],
  ]);
});

test('apply needs a manager', async () => {
  const t = await startTestServer(builtinKinds);
  const response = await t.call('PATCH', '/api/v1/namespaces/default/configmaps/a', JSON.stringify(map({})), {
    'content-type': 'application/apply-patch+yaml',
  });
  expect(response).toMatchObject({
    status: 422,
    object: { message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch' },
  });
});

test('of many who apply an object that does not exist one creates it, and none is refused', async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const numbers = Array.from({ length: 20 }, (_, i) => `k${i}`);
  await Promise.all(numbers.map((n) => client.apply(configMaps, map({ [n]: n }), n)));
  const made = await client.get(configMaps, at);
  expect(made.data).toEqual(Object.fromEntries(numbers.map((n) => [n, n])));
  expect(made.metadata.managedFields).toHaveLength(numbers.length);
});

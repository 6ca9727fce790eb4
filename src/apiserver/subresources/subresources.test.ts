import { expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { Deployment } from '#kube/generated/apps-v1.ts';
import type { Scale } from '#kube/generated/autoscaling-v1.ts';
import type { Binding, Namespace, Pod } from '#kube/generated/core-v1.ts';
import type { PodDisruptionBudget } from '#kube/generated/policy-v1.ts';
import { deployments, namespaces, podDisruptionBudgets, pods } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { startTestServer } from '../testing.ts';

const start = async () => {
  const t = await startTestServer(builtinKinds);
  return { ...t, client: createKubeClient(t.transport) };
};
const at = (name: string) => ({ namespace: 'default', name });
const pod = (name: string, labels: Record<string, string> = {}): Pod => ({
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name, namespace: 'default', labels },
  spec: { containers: [{ name: 'c', image: 'i' }] },
});

test('scale reads and writes replicas, by update and by patch', async () => {
  const { client, transport } = await start();
  const spec = {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  };
  await client.create<Deployment>(deployments, {
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    metadata: { name: 'd', namespace: 'default' },
    spec,
  });
  const path = '/apis/apps/v1/namespaces/default/deployments/d/scale';
  const scale = (await transport.call({ method: 'GET', path })) as Scale;
  expect(scale).toMatchObject({ kind: 'Scale', spec: { replicas: 1 }, status: { replicas: 0, selector: 'a=b' } });
  await transport.call({ method: 'PUT', path, contentType: 'application/json', body: { ...scale, spec: { replicas: 4 } } });
  expect(await client.get(deployments, at('d'))).toMatchObject({ spec: { replicas: 4 }, metadata: { generation: 2 } });
  await transport.call({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body: { spec: { replicas: 0 } } });
  expect((await client.get(deployments, at('d'))).spec?.replicas).toBe(0);
  await expect(
    transport.call({ method: 'PUT', path, contentType: 'application/json', body: { ...scale, spec: { replicas: 4 } } }),
  ).rejects.toMatchObject({ reason: 'Conflict' });
});

test('a pod is bound once', async () => {
  const { client } = await start();
  await client.create(pods, pod('p'));
  const binding = (name: string): Binding => ({
    kind: 'Binding',
    apiVersion: 'v1',
    metadata: { name: 'p', namespace: 'default' },
    target: { kind: 'Node', name },
  });
  await client.createSubresource(pods, at('p'), 'binding', binding('n1'));
  const bound = await client.get(pods, at('p'));
  expect(bound.spec?.nodeName).toBe('n1');
  expect(bound.status?.conditions).toMatchObject([{ type: 'PodScheduled', status: 'True' }]);
  await expect(client.createSubresource(pods, at('p'), 'binding', binding('n2'))).rejects.toThrow(
    'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
  );
});

test('an eviction is refused when the disruption budget is used up', async () => {
  const { client } = await start();
  await client.create(pods, pod('p', { app: 'x' }));
  await client.patch(
    pods,
    at('p'),
    'merge',
    { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } },
    { subresource: 'status' },
  );
  await client.create<PodDisruptionBudget>(podDisruptionBudgets, {
    kind: 'PodDisruptionBudget',
    apiVersion: 'policy/v1',
    metadata: { name: 'b', namespace: 'default' },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'x' } } },
  });
  const status = (disruptionsAllowed: number) =>
    client.patch(
      podDisruptionBudgets,
      at('b'),
      'merge',
      { status: { disruptionsAllowed, desiredHealthy: 1, currentHealthy: 1, expectedPods: 1, observedGeneration: 1 } },
      { subresource: 'status' },
    );
  await status(0);
  const eviction = { kind: 'Eviction', apiVersion: 'policy/v1', metadata: { name: 'p', namespace: 'default' } };
  await expect(client.createSubresource(pods, at('p'), 'eviction', eviction)).rejects.toMatchObject({
    code: 429,
    message: "Cannot evict pod as it would violate the pod's disruption budget.",
  });
  await status(1);
  await client.createSubresource(pods, at('p'), 'eviction', eviction);
  await expect(client.get(pods, at('p'))).rejects.toMatchObject({ reason: 'NotFound' });
  expect((await client.get(podDisruptionBudgets, at('b'))).status?.disruptionsAllowed).toBe(0);
});

test.each(['policy/v1', 'policy/v1beta1'])('an eviction of version %s is taken', async (apiVersion) => {
  const { client } = await start();
  await client.create(pods, pod('p'));
  await client.createSubresource(pods, at('p'), 'eviction', {
    kind: 'Eviction',
    apiVersion,
    metadata: { name: 'p', namespace: 'default' },
  });
  await expect(client.get(pods, at('p'))).rejects.toMatchObject({ reason: 'NotFound' });
});

test('a namespace goes when its finalizers are taken away', async () => {
  const { client, transport } = await start();
  await client.create<Namespace>(namespaces, { kind: 'Namespace', apiVersion: 'v1', metadata: { name: 'n' } });
  await client.delete(namespaces, { name: 'n' });
  const going = await client.get(namespaces, { name: 'n' });
  expect(going).toMatchObject({ status: { phase: 'Terminating' }, spec: { finalizers: ['kubernetes'] } });
  await transport.call({
    method: 'PUT',
    path: '/api/v1/namespaces/n/finalize',
    contentType: 'application/json',
    body: { ...going, spec: { finalizers: [] } },
  });
  await expect(client.get(namespaces, { name: 'n' })).rejects.toMatchObject({ reason: 'NotFound' });
});

test('ephemeral containers may be added but not changed', async () => {
  const { client } = await start();
  await client.create(pods, pod('p'));
  const add = (image: string) =>
    client.patch(
      pods,
      at('p'),
      'strategic',
      { spec: { ephemeralContainers: [{ name: 'debug', image }] } },
      { subresource: 'ephemeralcontainers' },
    );
  expect((await add('busybox')).spec?.ephemeralContainers).toMatchObject([{ name: 'debug', image: 'busybox' }]);
  await expect(add('other')).rejects.toMatchObject({ reason: 'Invalid' });
});

test('pods without a node go at once, pods on a node after their grace period', async () => {
  const { client } = await start();
  await client.create(pods, pod('free'));
  const bound = pod('bound');
  await client.create(pods, { ...bound, spec: { ...bound.spec, containers: bound.spec?.containers ?? [], nodeName: 'n' } });
  await client.delete(pods, at('free'));
  await client.delete(pods, at('bound'), { gracePeriodSeconds: 7 });
  const left = (await client.list(pods)).items.map((p) => [p.metadata.name, p.metadata.deletionTimestamp]);
  expect(left).toEqual([['bound', '2026-01-01T00:00:07Z']]);
  await client.delete(pods, at('bound'), { gracePeriodSeconds: 0 });
  expect((await client.list(pods)).items).toEqual([]);
});

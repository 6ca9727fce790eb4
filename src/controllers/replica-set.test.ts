import { expect, test } from 'vitest';
import type { ReplicaSet } from '#kube/generated/apps-v1.ts';
import { pods, replicaSets, replicationControllers } from '#kube/refs.ts';
import { replicaSetController, replicationController } from './replica-set.ts';
import { startCluster } from './testing.ts';

const replicaSet = (name: string, replicas: number, more: Partial<ReplicaSet['spec'] & object> = {}): ReplicaSet => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name, namespace: 'default' },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    ...more,
  },
});

test('makes the pods it is told to, reports them and their readiness', async () => {
  await using cluster = await startCluster([replicaSetController]);
  await cluster.client.create(replicaSets, replicaSet('web', 3));
  await cluster.settle();
  const made = await cluster.list(pods);
  expect(made.length).toBe(3);
  expect(made[0]?.metadata.name).toMatch(/^web-[a-z0-9]{5}$/);
  expect(made[0]?.metadata.ownerReferences).toMatchObject([
    { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', controller: true, blockOwnerDeletion: true },
  ]);
  expect((await cluster.get(replicaSets, 'web'))?.status).toMatchObject({ replicas: 3, fullyLabeledReplicas: 3, observedGeneration: 1 });
  await cluster.runPods();
  expect((await cluster.get(replicaSets, 'web'))?.status).toMatchObject({ readyReplicas: 3, availableReplicas: 3 });
  expect(await cluster.events()).toEqual(made.map(() => expect.stringContaining('SuccessfulCreate: Created pod: web-')));
});

test('replaces pods that are deleted or fail', async () => {
  await using cluster = await startCluster([replicaSetController]);
  await cluster.client.create(replicaSets, replicaSet('web', 2));
  await cluster.settle();
  await cluster.runPods();
  const [first, second] = await cluster.list(pods);
  if (first === undefined || second === undefined) throw new Error('no pods');
  await cluster.client.delete(pods, { namespace: 'default', name: first.metadata.name }, { gracePeriodSeconds: 0 });
  await cluster.setPodStatus(second, { phase: 'Failed' });
  await cluster.settle();
  const after = await cluster.list(pods);
  expect(after.length).toBe(3);
  expect(after.filter((pod) => (pod.status?.phase ?? 'Pending') === 'Pending').length).toBe(2);
});

test('scaling down takes pods that are not ready first, then those with a low deletion cost', async () => {
  await using cluster = await startCluster([replicaSetController]);
  await cluster.client.create(replicaSets, replicaSet('web', 4));
  await cluster.settle();
  const made = await cluster.names(pods);
  const [unready, cheap] = made;
  await cluster.runPods((pod) => pod.metadata.name !== unready);
  await cluster.patch(pods, cheap ?? '', { metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-1' } } });
  await cluster.patch(replicaSets, 'web', { spec: { replicas: 2 } });
  await cluster.settle();
  await cluster.runPods();
  const left = await cluster.names(pods);
  expect(left).toEqual(made.filter((name) => name !== unready && name !== cheap));
  expect((await cluster.events()).filter((e) => e.startsWith('SuccessfulDelete')).length).toBe(2);
});

test('adopts orphans that match and releases pods whose labels no longer do', async () => {
  await using cluster = await startCluster([replicaSetController]);
  await cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'orphan', namespace: 'default', labels: { app: 'web' } },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  });
  await cluster.client.create(replicaSets, replicaSet('web', 2));
  await cluster.settle();
  expect((await cluster.list(pods)).length).toBe(2);
  expect((await cluster.get(pods, 'orphan'))?.metadata.ownerReferences).toMatchObject([
    { kind: 'ReplicaSet', name: 'web', controller: true },
  ]);
  await cluster.patch(pods, 'orphan', { metadata: { labels: { app: 'other' } } });
  await cluster.settle();
  expect((await cluster.get(pods, 'orphan'))?.metadata.ownerReferences ?? []).toEqual([]);
  expect((await cluster.list(pods)).length).toBe(3);
});

test('a pod counts as available only after minReadySeconds', async () => {
  await using cluster = await startCluster([replicaSetController]);
  await cluster.client.create(replicaSets, replicaSet('web', 1, { minReadySeconds: 10 }));
  await cluster.settle();
  await cluster.runPods();
  expect((await cluster.get(replicaSets, 'web'))?.status?.availableReplicas ?? 0).toBe(0);
  await cluster.pass(10_000);
  expect((await cluster.get(replicaSets, 'web'))?.status?.availableReplicas).toBe(1);
});

test('ReplicationControllers do the same', async () => {
  await using cluster = await startCluster([replicationController]);
  await cluster.client.create(replicationControllers, {
    apiVersion: 'v1',
    kind: 'ReplicationController',
    metadata: { name: 'old', namespace: 'default' },
    spec: {
      replicas: 2,
      selector: { app: 'old' },
      template: { metadata: { labels: { app: 'old' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  await cluster.settle();
  await cluster.runPods();
  expect((await cluster.get(replicationControllers, 'old'))?.status).toMatchObject({ replicas: 2, readyReplicas: 2, availableReplicas: 2 });
});

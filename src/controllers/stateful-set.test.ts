import { expect, test } from 'vitest';
import type { StatefulSet } from '#kube/generated/apps-v1.ts';
import { persistentVolumeClaims, pods, statefulSets } from '#kube/refs.ts';
import { statefulSetController } from './stateful-set.ts';
import { startCluster, type TestCluster } from './testing.ts';

const set = (replicas: number, more: Partial<StatefulSet['spec'] & object> = {}, image = 'i:1'): StatefulSet => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'db', namespace: 'default' },
  spec: {
    replicas,
    serviceName: 'db',
    selector: { matchLabels: { app: 'db' } },
    template: { metadata: { labels: { app: 'db' } }, spec: { nodeName: 'n1', containers: [{ name: 'c', image }] } },
    ...more,
  },
});

const start = () => startCluster([statefulSetController]);
const setImage = (cluster: TestCluster, image: string) =>
  cluster.patch(statefulSets, 'db', { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } });
const images = async (cluster: TestCluster): Promise<readonly string[]> =>
  (await cluster.list(pods)).map((p) => `${p.metadata.name} ${p.spec?.containers[0]?.image}`).sort();
const run = async (cluster: TestCluster, rounds = 10): Promise<void> => {
  for (let i = 0; i < rounds; i++) await cluster.runPods();
};

test('pods come one after the other, each when the one before is ready, with stable names', async () => {
  await using cluster = await start();
  await cluster.client.create(statefulSets, set(3));
  await cluster.settle();
  expect(await cluster.names(pods)).toEqual(['db-0']);
  await cluster.runPods();
  expect(await cluster.names(pods)).toEqual(['db-0', 'db-1']);
  await run(cluster);
  expect(await cluster.names(pods)).toEqual(['db-0', 'db-1', 'db-2']);
  const pod = await cluster.get(pods, 'db-1');
  expect(pod).toMatchObject({
    metadata: { labels: { 'statefulset.kubernetes.io/pod-name': 'db-1', 'apps.kubernetes.io/pod-index': '1' } },
    spec: { hostname: 'db-1', subdomain: 'db' },
  });
  const { status } = (await cluster.get(statefulSets, 'db')) ?? {};
  expect(status).toMatchObject({
    replicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    currentReplicas: 3,
    updatedReplicas: 3,
    observedGeneration: 1,
  });
  expect(status?.currentRevision).toBe(status?.updateRevision);
  expect(pod?.metadata.labels?.['controller-revision-hash']).toBe(status?.currentRevision);
});

test('scaling down goes from the top, one at a time', async () => {
  await using cluster = await start();
  await cluster.client.create(statefulSets, set(3));
  await cluster.settle();
  await run(cluster);
  await cluster.patch(statefulSets, 'db', { spec: { replicas: 1 } });
  await cluster.settle();
  const going = async () =>
    (await cluster.list(pods)).filter((p) => p.metadata.deletionTimestamp !== undefined).map((p) => p.metadata.name);
  expect(await going()).toEqual(['db-2']);
  await cluster.runPods();
  expect(await going()).toEqual(['db-1']);
  await run(cluster);
  expect(await cluster.names(pods)).toEqual(['db-0']);
});

test('with Parallel all come and go at once', async () => {
  await using cluster = await start();
  await cluster.client.create(statefulSets, set(3, { podManagementPolicy: 'Parallel' }));
  await cluster.settle();
  expect(await cluster.names(pods)).toEqual(['db-0', 'db-1', 'db-2']);
});

test('a rolling update replaces pods from the top, waiting for each', async () => {
  await using cluster = await start();
  await cluster.client.create(statefulSets, set(3));
  await cluster.settle();
  await run(cluster);
  await setImage(cluster, 'i:2');
  await cluster.settle();
  const going = async () =>
    (await cluster.list(pods)).filter((p) => p.metadata.deletionTimestamp !== undefined).map((p) => p.metadata.name);
  expect(await going()).toEqual(['db-2']);
  await cluster.runPods((p) => p.metadata.deletionTimestamp !== undefined);
  expect(await images(cluster)).toEqual(['db-0 i:1', 'db-1 i:1', 'db-2 i:2']);
  expect(await going()).toEqual([]);
  await run(cluster);
  expect(await images(cluster)).toEqual(['db-0 i:2', 'db-1 i:2', 'db-2 i:2']);
  const { status } = (await cluster.get(statefulSets, 'db')) ?? {};
  expect(status?.currentRevision).toBe(status?.updateRevision);
});

test('a partition keeps the lower ordinals as they are, also when they are replaced', async () => {
  await using cluster = await start();
  await cluster.client.create(statefulSets, set(3, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }));
  await cluster.settle();
  await run(cluster);
  await setImage(cluster, 'i:2');
  await cluster.settle();
  await run(cluster);
  expect(await images(cluster)).toEqual(['db-0 i:1', 'db-1 i:1', 'db-2 i:2']);
  await cluster.client.delete(pods, { namespace: 'default', name: 'db-0' }, { gracePeriodSeconds: 0 });
  await cluster.settle();
  await run(cluster);
  expect(await images(cluster)).toEqual(['db-0 i:1', 'db-1 i:1', 'db-2 i:2']);
});

test('each pod gets claims of its own, which stay when it goes', async () => {
  await using cluster = await start();
  const volumeClaimTemplates = [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ];
  await cluster.client.create(statefulSets, set(2, { volumeClaimTemplates }));
  await cluster.settle();
  await run(cluster);
  expect(await cluster.names(persistentVolumeClaims)).toEqual(['data-db-0', 'data-db-1']);
  expect((await cluster.get(pods, 'db-1'))?.spec?.volumes).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'data', persistentVolumeClaim: expect.objectContaining({ claimName: 'data-db-1' }) }),
    ]),
  );
  await cluster.patch(statefulSets, 'db', { spec: { replicas: 1 } });
  await cluster.settle();
  await run(cluster);
  expect(await cluster.names(persistentVolumeClaims)).toEqual(['data-db-0', 'data-db-1']);
});

test('claims are owned so that they go with the set or with a pod scaled away, where the policy says so', async () => {
  await using cluster = await start();
  const volumeClaimTemplates = [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ];
  const persistentVolumeClaimRetentionPolicy = { whenDeleted: 'Delete', whenScaled: 'Delete' };
  await cluster.client.create(statefulSets, set(2, { volumeClaimTemplates, persistentVolumeClaimRetentionPolicy }));
  await cluster.settle();
  await run(cluster);
  const ownerOf = async (name: string) => (await cluster.get(persistentVolumeClaims, name))?.metadata.ownerReferences?.map((o) => o.kind);
  expect([await ownerOf('data-db-0'), await ownerOf('data-db-1')]).toEqual([['StatefulSet'], ['StatefulSet']]);
  await cluster.patch(statefulSets, 'db', { spec: { replicas: 1 } });
  await cluster.settle();
  expect(await ownerOf('data-db-1')).toEqual(['Pod']);
});

test('a failed pod is made again under its name', async () => {
  await using cluster = await start();
  await cluster.client.create(statefulSets, set(1));
  await cluster.settle();
  await run(cluster);
  const before = await cluster.get(pods, 'db-0');
  if (before === undefined) throw new Error('no pod');
  await cluster.setPodStatus(before, { phase: 'Failed' });
  await cluster.settle();
  await run(cluster);
  expect((await cluster.get(pods, 'db-0'))?.metadata.uid).not.toBe(before.metadata.uid);
  expect(await cluster.events()).toContain('RecreatingFailedPod: StatefulSet default/db is recreating failed Pod db-0');
});

test('OnDelete changes a pod only when it is deleted', async () => {
  await using cluster = await start();
  await cluster.client.create(statefulSets, set(2, { updateStrategy: { type: 'OnDelete' } }));
  await cluster.settle();
  await run(cluster);
  await setImage(cluster, 'i:2');
  await cluster.settle();
  expect(await images(cluster)).toEqual(['db-0 i:1', 'db-1 i:1']);
  await cluster.client.delete(pods, { namespace: 'default', name: 'db-0' }, { gracePeriodSeconds: 0 });
  await cluster.settle();
  expect(await images(cluster)).toEqual(['db-0 i:2', 'db-1 i:1']);
});

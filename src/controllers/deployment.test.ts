import { expect, test } from 'vitest';
import type { Deployment } from '#kube/generated/apps-v1.ts';
import type { Stored } from '#kube/object.ts';
import { deployments, pods, replicaSets } from '#kube/refs.ts';
import { deploymentController } from './deployment.ts';
import { replicaSetController } from './replica-set.ts';
import { startCluster, type TestCluster } from './testing.ts';

const both = [deploymentController, replicaSetController];

const deployment = (replicas: number, more: Partial<Deployment['spec'] & object> = {}, image = 'web:1'): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
    ...more,
  },
});

const rolling = (maxSurge: number | string, maxUnavailable: number | string) => ({
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
});

const setImage = (cluster: TestCluster, image: string) =>
  cluster.patch(deployments, 'web', { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } });

const get = async (cluster: TestCluster): Promise<Stored<Deployment>> => {
  const d = await cluster.get(deployments, 'web');
  if (d === undefined) throw new Error('no deployment');
  return d;
};

const condition = async (cluster: TestCluster, type: string) => (await get(cluster)).status?.conditions?.find((c) => c.type === type);

/** "image spec/status/available", oldest first. */
const sizes = async (cluster: TestCluster): Promise<readonly string[]> =>
  [...(await cluster.list(replicaSets))]
    .sort(
      (a, b) =>
        Number(a.metadata.annotations?.['deployment.kubernetes.io/revision']) -
        Number(b.metadata.annotations?.['deployment.kubernetes.io/revision']),
    )
    .map((rs) => `${rs.spec?.template?.spec?.containers[0]?.image} ${rs.spec?.replicas}`);

/** Lets the rollout finish. */
const rollOut = async (cluster: TestCluster): Promise<void> => {
  for (let i = 0; i < 20; i++) await cluster.runPods();
};

test('a new Deployment gets one ReplicaSet with revision 1 and the template hash', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(3));
  await cluster.settle();
  const [set, ...others] = await cluster.list(replicaSets);
  expect(others).toEqual([]);
  const hash = set?.metadata.labels?.['pod-template-hash'] ?? '';
  expect(hash).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]+$/);
  expect(set).toMatchObject({
    metadata: {
      name: `web-${hash}`,
      labels: { app: 'web' },
      annotations: {
        'deployment.kubernetes.io/revision': '1',
        'deployment.kubernetes.io/desired-replicas': '3',
        'deployment.kubernetes.io/max-replicas': '4',
      },
      ownerReferences: [{ kind: 'Deployment', name: 'web', controller: true, blockOwnerDeletion: true }],
    },
    spec: { selector: { matchLabels: { app: 'web', 'pod-template-hash': hash } } },
  });
  expect((await get(cluster)).metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('1');
  expect(await condition(cluster, 'Progressing')).toMatchObject({ status: 'True', reason: 'ReplicaSetUpdated' });
  expect(await condition(cluster, 'Available')).toMatchObject({ status: 'False', reason: 'MinimumReplicasUnavailable' });
  await cluster.runPods();
  expect((await get(cluster)).status).toMatchObject({
    replicas: 3,
    updatedReplicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    observedGeneration: 1,
  });
  expect(await condition(cluster, 'Progressing')).toMatchObject({
    status: 'True',
    reason: 'NewReplicaSetAvailable',
    message: `ReplicaSet "web-${hash}" has successfully progressed.`,
  });
  expect(await condition(cluster, 'Available')).toMatchObject({ status: 'True', message: 'Deployment has minimum availability.' });
  expect(await cluster.events()).toContain(`ScalingReplicaSet: Scaled up replica set web-${hash} from 0 to 3`);
});

test.each([
  { name: 'surge 1, none unavailable', strategy: rolling(1, 0), most: 5, least: 4 },
  { name: 'no surge, one unavailable', strategy: rolling(0, 1), most: 4, least: 3 },
  { name: 'half of either', strategy: rolling('50%', '50%'), most: 6, least: 2 },
  { name: 'everything at once', strategy: rolling('100%', '100%'), most: 8, least: 0 },
  { name: 'neither, which counts as one unavailable', strategy: rolling('1%', 0), most: 5, least: 4 },
])('a rolling update stays within its bounds: $name', async ({ strategy, most, least }) => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(4, strategy));
  await cluster.settle();
  await cluster.runPods();
  await setImage(cluster, 'web:2');
  for (let i = 0; i < 200; i++) {
    await cluster.settle();
    const all = await cluster.list(pods);
    const alive = all.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const available = alive.filter((pod) => pod.status?.phase === 'Running').length;
    expect(alive.length).toBeLessThanOrEqual(most);
    expect(available).toBeGreaterThanOrEqual(least);
    const next = all.find((pod) => pod.metadata.deletionTimestamp !== undefined || pod.status?.phase !== 'Running');
    if (next === undefined) break;
    await cluster.runPods((pod) => pod.metadata.name === next.metadata.name);
  }
  expect(await sizes(cluster)).toEqual(['web:1 0', 'web:2 4']);
  expect(await condition(cluster, 'Progressing')).toMatchObject({ reason: 'NewReplicaSetAvailable' });
});

test('going back to an earlier template reuses its ReplicaSet under a new revision', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(2));
  await cluster.settle();
  await rollOut(cluster);
  await setImage(cluster, 'web:2');
  await cluster.settle();
  await rollOut(cluster);
  const before = await cluster.names(replicaSets);
  await setImage(cluster, 'web:1');
  await cluster.settle();
  await rollOut(cluster);
  expect(await cluster.names(replicaSets)).toEqual(before);
  const current = (await cluster.list(replicaSets)).find((rs) => rs.spec?.replicas === 2);
  expect(current?.metadata.annotations).toMatchObject({
    'deployment.kubernetes.io/revision': '3',
    'deployment.kubernetes.io/revision-history': '1',
  });
  expect((await get(cluster)).metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
});

test('old ReplicaSets beyond revisionHistoryLimit are deleted, oldest first', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(1, { revisionHistoryLimit: 2 }));
  await cluster.settle();
  await rollOut(cluster);
  for (const version of [2, 3, 4, 5]) {
    await setImage(cluster, `web:${version}`);
    await cluster.settle();
    await rollOut(cluster);
  }
  expect(await sizes(cluster)).toEqual(['web:3 0', 'web:4 0', 'web:5 1']);
});

test('a paused Deployment does not roll out but scales; resumed it goes on', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(2));
  await cluster.settle();
  await rollOut(cluster);
  await cluster.patch(deployments, 'web', { spec: { paused: true } });
  await cluster.settle();
  expect(await condition(cluster, 'Progressing')).toMatchObject({
    status: 'Unknown',
    reason: 'DeploymentPaused',
    message: 'Deployment is paused',
  });
  await setImage(cluster, 'web:2');
  await cluster.patch(deployments, 'web', { spec: { replicas: 3 } });
  await cluster.settle();
  await rollOut(cluster);
  expect(await sizes(cluster)).toEqual(['web:1 3']);
  await cluster.patch(deployments, 'web', { spec: { paused: false } });
  await cluster.settle();
  await rollOut(cluster);
  expect(await sizes(cluster)).toEqual(['web:1 0', 'web:2 3']);
});

test('a rollout that makes no progress within its deadline is reported as timed out', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(1, { progressDeadlineSeconds: 30 }));
  await cluster.settle();
  await cluster.pass(32_000);
  expect(await condition(cluster, 'Progressing')).toMatchObject({
    status: 'False',
    reason: 'ProgressDeadlineExceeded',
    message: expect.stringMatching(/^ReplicaSet "web-[a-z0-9]+" has timed out progressing\.$/),
  });
  await rollOut(cluster);
  expect(await condition(cluster, 'Progressing')).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
});

test('scaling in the middle of a rollout is shared out in proportion', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(10, rolling(3, 2)));
  await cluster.settle();
  await rollOut(cluster);
  await setImage(cluster, 'web:broken');
  await cluster.settle();
  await cluster.runPods((pod) => pod.metadata.deletionTimestamp !== undefined);
  expect(await sizes(cluster)).toEqual(['web:1 8', 'web:broken 5']);
  await cluster.patch(deployments, 'web', { spec: { replicas: 15 } });
  await cluster.settle();
  expect(await sizes(cluster)).toEqual(['web:1 11', 'web:broken 7']);
});

test('Recreate takes down every old pod before it makes a new one', async () => {
  await using cluster = await startCluster(both);
  const spec = deployment(2, { strategy: { type: 'Recreate' } });
  // Pods on a node are deleted gracefully: they stay until the kubelet lets them go.
  const template = { ...spec.spec?.template, spec: { containers: [{ name: 'c', image: 'web:1' }], nodeName: 'n1' } };
  await cluster.client.create(
    deployments,
    deployment(2, { strategy: { type: 'Recreate' }, template: { metadata: { labels: { app: 'web' } }, ...template } }),
  );
  await cluster.settle();
  await rollOut(cluster);
  await setImage(cluster, 'web:2');
  await cluster.settle();
  expect((await cluster.list(pods)).map((pod) => pod.spec?.containers[0]?.image)).toEqual(['web:1', 'web:1']);
  expect(await sizes(cluster)).toEqual(['web:1 0']);
  await cluster.runPods();
  await rollOut(cluster);
  expect((await cluster.list(pods)).map((pod) => pod.spec?.containers[0]?.image)).toEqual(['web:2', 'web:2']);
});

test('a stranger that has the name of the new ReplicaSet leads to another hash', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(1));
  await cluster.settle();
  const [set] = await cluster.list(replicaSets);
  const name = set?.metadata.name ?? '';
  await cluster.client.delete(deployments, { namespace: 'default', name: 'web' });
  await cluster.client.delete(replicaSets, { namespace: 'default', name });
  await cluster.settle();
  await cluster.client.create(replicaSets, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace: 'default', labels: { mine: 'yes' } },
    spec: {
      replicas: 0,
      selector: { matchLabels: { mine: 'yes' } },
      template: { metadata: { labels: { mine: 'yes' } }, spec: { containers: [{ name: 'c', image: 'x' }] } },
    },
  });
  await cluster.client.create(deployments, deployment(1));
  await cluster.settle();
  const made = (await cluster.list(replicaSets)).filter((rs) => rs.metadata.labels?.['app'] === 'web');
  expect(made.length).toBe(1);
  expect(made[0]?.metadata.name).not.toBe(name);
  expect((await get(cluster)).status?.collisionCount).toBe(1);
});

test('a settled Deployment is not written again', async () => {
  await using cluster = await startCluster(both);
  await cluster.client.create(deployments, deployment(2));
  await cluster.settle();
  await rollOut(cluster);
  const before = (await get(cluster)).metadata.resourceVersion;
  await cluster.pass(3_600_000);
  expect((await get(cluster)).metadata.resourceVersion).toBe(before);
});

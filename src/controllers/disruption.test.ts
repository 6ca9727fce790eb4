import { expect, test } from 'vitest';
import type { PodDisruptionBudget } from '#kube/generated/policy-v1.ts';
import { deployments, podDisruptionBudgets, pods } from '#kube/refs.ts';
import { deploymentController } from './deployment.ts';
import { disruptionController } from './disruption.ts';
import { replicaSetController } from './replica-set.ts';
import { startCluster, type TestCluster } from './testing.ts';
import { isoTime } from './times.ts';

const budget = (spec: PodDisruptionBudget['spec'] & object): PodDisruptionBudget => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: 'web', namespace: 'default' },
  spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
});

async function start(replicas: number): Promise<TestCluster> {
  const cluster = await startCluster([disruptionController, deploymentController, replicaSetController]);
  const template = { metadata: { labels: { app: 'web' } }, spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] } };
  await cluster.client.create(deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas, selector: { matchLabels: { app: 'web' } }, template },
  });
  await cluster.settle();
  await cluster.runPods();
  return cluster;
}
const status = async (cluster: TestCluster) => (await cluster.get(podDisruptionBudgets, 'web'))?.status;

test.each([
  [{ minAvailable: 2 }, { expectedPods: 4, desiredHealthy: 2, currentHealthy: 4, disruptionsAllowed: 2 }],
  [{ minAvailable: '75%' }, { expectedPods: 4, desiredHealthy: 3, currentHealthy: 4, disruptionsAllowed: 1 }],
  [{ maxUnavailable: 1 }, { expectedPods: 4, desiredHealthy: 3, currentHealthy: 4, disruptionsAllowed: 1 }],
  [{ maxUnavailable: '30%' }, { expectedPods: 4, desiredHealthy: 2, currentHealthy: 4, disruptionsAllowed: 2 }],
  [{ maxUnavailable: 0 }, { expectedPods: 4, desiredHealthy: 4, currentHealthy: 4, disruptionsAllowed: 0 }],
])('%j of four pods', async (spec, wanted) => {
  await using cluster = await start(4);
  await cluster.client.create(podDisruptionBudgets, budget(spec));
  await cluster.settle();
  expect(await status(cluster)).toMatchObject({ ...wanted, observedGeneration: 1 });
  expect((await status(cluster))?.conditions?.[0]).toMatchObject({
    type: 'DisruptionAllowed',
    status: wanted.disruptionsAllowed > 0 ? 'True' : 'False',
    reason: wanted.disruptionsAllowed > 0 ? 'SufficientPods' : 'InsufficientPods',
  });
});

test('pods that are not ready or being deleted are not healthy', async () => {
  await using cluster = await start(3);
  await cluster.client.create(podDisruptionBudgets, budget({ minAvailable: 1 }));
  await cluster.settle();
  const [a, b] = await cluster.list(pods);
  if (a === undefined || b === undefined) throw new Error('no pods');
  await cluster.setPodStatus(a, { conditions: [{ type: 'Ready', status: 'False' }] });
  await cluster.client.delete(pods, { namespace: 'default', name: b.metadata.name });
  await cluster.settle();
  expect((await status(cluster))?.currentHealthy).toBe(1);
  expect((await status(cluster))?.disruptionsAllowed).toBe(0);
});

test('an eviction that was granted counts until the pod goes, or two minutes', async () => {
  await using cluster = await start(3);
  await cluster.client.create(podDisruptionBudgets, budget({ minAvailable: 1 }));
  await cluster.settle();
  const [a] = await cluster.list(pods);
  const fresh = await cluster.client.get(podDisruptionBudgets, { namespace: 'default', name: 'web' });
  const disruptedPods = { [a?.metadata.name ?? '']: isoTime(cluster.clock.now()) };
  await cluster.client.update(podDisruptionBudgets, { ...fresh, status: { ...fresh.status, disruptedPods } }, { subresource: 'status' });
  await cluster.settle();
  expect(await status(cluster)).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1 });
  await cluster.pass(121_000);
  expect(await status(cluster)).toMatchObject({ currentHealthy: 3, disruptionsAllowed: 2 });
  expect(await cluster.events()).toContain("NotDeleted: Pod was expected by PDB default/web to be deleted but it wasn't");
});

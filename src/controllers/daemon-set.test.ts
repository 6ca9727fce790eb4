import { expect, test } from 'vitest';
import type { DaemonSet } from '#kube/generated/apps-v1.ts';
import { controllerRevisions, daemonSets, nodes, pods } from '#kube/refs.ts';
import { daemonSetController } from './daemon-set.ts';
import { nodeOf } from './daemon-set-nodes.ts';
import { startCluster, type TestCluster } from './testing.ts';

const daemonSet = (more: Partial<DaemonSet['spec'] & object> = {}, image = 'i:1'): DaemonSet => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'agent', namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: 'agent' } },
    template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'c', image }] } },
    ...more,
  },
});

const addNode = (
  cluster: TestCluster,
  name: string,
  labels: Record<string, string> = {},
  taints: readonly { key: string; effect: string }[] = [],
) => cluster.client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: { taints } });

const placed = async (cluster: TestCluster): Promise<readonly string[]> =>
  (await cluster.list(pods))
    .filter((p) => p.metadata.deletionTimestamp === undefined)
    .map((p) => `${nodeOf(p)} ${p.spec?.containers[0]?.image}`)
    .sort();

/** Binds pods to the node that they are meant for, as the scheduler would, and runs them. */
async function run(cluster: TestCluster, which: (node: string) => boolean = () => true): Promise<void> {
  await cluster.runPods((pod) => which(nodeOf(pod) ?? ''));
}

test('every node gets one pod, pinned to it; new nodes get theirs when they come', async () => {
  await using cluster = await startCluster([daemonSetController]);
  await addNode(cluster, 'a');
  await cluster.client.create(daemonSets, daemonSet());
  await cluster.settle();
  expect(await placed(cluster)).toEqual(['a i:1']);
  await addNode(cluster, 'b');
  await cluster.settle();
  await run(cluster);
  expect(await placed(cluster)).toEqual(['a i:1', 'b i:1']);
  expect((await cluster.get(daemonSets, 'agent'))?.status).toMatchObject({
    desiredNumberScheduled: 2,
    currentNumberScheduled: 2,
    numberReady: 2,
    numberAvailable: 2,
    updatedNumberScheduled: 2,
    numberMisscheduled: 0,
    observedGeneration: 1,
  });
  const [pod] = await cluster.list(pods);
  expect(pod?.spec?.tolerations).toEqual(
    expect.arrayContaining([expect.objectContaining({ key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' })]),
  );
});

test('nodes that do not match or that repel the pods are left out', async () => {
  await using cluster = await startCluster([daemonSetController]);
  await addNode(cluster, 'a', { disk: 'ssd' });
  await addNode(cluster, 'b');
  await addNode(cluster, 'c', { disk: 'ssd' }, [{ key: 'only', effect: 'NoSchedule' }]);
  const template = {
    metadata: { labels: { app: 'agent' } },
    spec: { nodeSelector: { disk: 'ssd' }, containers: [{ name: 'c', image: 'i:1' }] },
  };
  await cluster.client.create(daemonSets, daemonSet({ template }));
  await cluster.settle();
  expect(await placed(cluster)).toEqual(['a i:1']);
  await cluster.patch(nodes, 'b', { metadata: { labels: { disk: 'ssd' } } });
  await cluster.patch(nodes, 'a', { metadata: { labels: { disk: null } } });
  await cluster.settle();
  expect(await placed(cluster)).toEqual(['b i:1']);
});

test('a rolling update replaces pods one by one; revisions record the templates', async () => {
  await using cluster = await startCluster([daemonSetController]);
  for (const name of ['a', 'b', 'c']) await addNode(cluster, name);
  await cluster.client.create(daemonSets, daemonSet());
  await cluster.settle();
  await run(cluster);
  await cluster.patch(daemonSets, 'agent', { spec: { template: { spec: { containers: [{ name: 'c', image: 'i:2' }] } } } });
  await cluster.settle();
  for (let i = 0; i < 10; i++) {
    const available = (await cluster.list(pods)).filter(
      (p) => p.metadata.deletionTimestamp === undefined && p.status?.phase === 'Running',
    ).length;
    expect(available).toBeGreaterThanOrEqual(2);
    await run(cluster);
  }
  expect(await placed(cluster)).toEqual(['a i:2', 'b i:2', 'c i:2']);
  const revisions = await cluster.list(controllerRevisions);
  expect(revisions.map((r) => r.revision).sort((a, b) => a - b)).toEqual([1, 2]);
  expect(revisions[0]?.data).toMatchObject({ spec: { template: { $patch: 'replace', spec: { containers: [{ name: 'c' }] } } } });
});

test('with maxSurge the new pod is there before the old one goes', async () => {
  await using cluster = await startCluster([daemonSetController]);
  for (const name of ['a', 'b']) await addNode(cluster, name);
  await cluster.client.create(
    daemonSets,
    daemonSet({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
  );
  await cluster.settle();
  await run(cluster);
  await cluster.patch(daemonSets, 'agent', { spec: { template: { spec: { containers: [{ name: 'c', image: 'i:2' }] } } } });
  await cluster.settle();
  expect((await placed(cluster)).length).toBe(3);
  for (let i = 0; i < 10; i++) await run(cluster);
  expect(await placed(cluster)).toEqual(['a i:2', 'b i:2']);
});

test('OnDelete leaves old pods until somebody deletes them', async () => {
  await using cluster = await startCluster([daemonSetController]);
  await addNode(cluster, 'a');
  await cluster.client.create(daemonSets, daemonSet({ updateStrategy: { type: 'OnDelete' } }));
  await cluster.settle();
  await run(cluster);
  await cluster.patch(daemonSets, 'agent', { spec: { template: { spec: { containers: [{ name: 'c', image: 'i:2' }] } } } });
  await cluster.settle();
  expect(await placed(cluster)).toEqual(['a i:1']);
  const [pod] = await cluster.list(pods);
  await cluster.client.delete(pods, { namespace: 'default', name: pod?.metadata.name ?? '' }, { gracePeriodSeconds: 0 });
  await cluster.settle();
  expect(await placed(cluster)).toEqual(['a i:2']);
});

test('a failed pod is replaced, the next time only after a while', async () => {
  await using cluster = await startCluster([daemonSetController]);
  await addNode(cluster, 'a');
  await cluster.client.create(daemonSets, daemonSet());
  await cluster.settle();
  const fail = async () => {
    const [pod] = await cluster.list(pods);
    if (pod === undefined) throw new Error('no pod');
    await cluster.setPodStatus(pod, { phase: 'Failed' });
    await cluster.settle();
    return pod.metadata.name;
  };
  const first = await fail();
  expect(await cluster.names(pods)).not.toContain(first);
  const second = await fail();
  expect(await cluster.names(pods)).toContain(second);
  await cluster.pass(3000);
  expect(await cluster.names(pods)).not.toContain(second);
  expect((await cluster.events()).filter((e) => e.startsWith('FailedDaemonPod')).length).toBeGreaterThanOrEqual(1);
});

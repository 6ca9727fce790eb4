import { expect, test } from 'vitest';
import type { Node, Toleration } from '#kube/generated/core-v1.ts';
import { events1, leases, namespaces, nodes, pods } from '#kube/refs.ts';
import { nodeIpamController } from './node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { podGcController } from './pod-gc.ts';
import { taintEvictionController } from './taint-eviction.ts';
import { startCluster, type TestCluster } from './testing.ts';
import { isoMicroTime, isoTime } from './times.ts';

const node = (name: string, more: Partial<Node> = {}): Node => ({ apiVersion: 'v1', kind: 'Node', metadata: { name }, ...more });

async function readyNode(cluster: TestCluster, name: string): Promise<void> {
  await cluster.client.create(nodes, node(name));
  await report(cluster, name, 'True');
  await cluster.settle();
}

async function report(cluster: TestCluster, name: string, status: string): Promise<void> {
  const fresh = await cluster.client.get(nodes, { name });
  const at = isoTime(cluster.clock.now());
  const conditions = [{ type: 'Ready', status, reason: 'KubeletReady', lastHeartbeatTime: at, lastTransitionTime: at }];
  await cluster.client.update(nodes, { ...fresh, status: { ...fresh.status, conditions } }, { subresource: 'status' });
}

async function renew(cluster: TestCluster, name: string): Promise<void> {
  const namespace = 'kube-node-lease';
  if ((await cluster.get(namespaces, namespace)) === undefined)
    await cluster.client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: isoMicroTime(cluster.clock.now()) };
  const current = await cluster.get(leases, name, namespace);
  if (current === undefined)
    await cluster.client.create(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec });
  else await cluster.client.update(leases, { ...current, spec });
}

const taints = async (cluster: TestCluster, name: string): Promise<readonly string[]> =>
  ((await cluster.get(nodes, name))?.spec?.taints ?? []).map((t) => `${t.key}:${t.effect}`).sort();
const ready = async (cluster: TestCluster, name: string) =>
  (await cluster.get(nodes, name))?.status?.conditions?.find((c) => c.type === 'Ready');

async function podOn(cluster: TestCluster, name: string, nodeName: string, tolerations: readonly Toleration[] = []): Promise<void> {
  await cluster.client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName, tolerations, containers: [{ name: 'c', image: 'i' }] },
  });
  await cluster.runPods();
}

test('a node is registered by node-controller, as upstream calls the source of these events', async () => {
  await using cluster = await startCluster([nodeLifecycleController]);
  await readyNode(cluster, 'a');
  expect(await cluster.list(events1, 'default')).toMatchObject([{ reason: 'RegisteredNode', source: { component: 'node-controller' } }]);
});

test('a node that falls silent becomes Unknown after the grace period, and its pods not ready', async () => {
  await using cluster = await startCluster([nodeLifecycleController]);
  await readyNode(cluster, 'a');
  await readyNode(cluster, 'b');
  await podOn(cluster, 'web', 'a');
  for (let i = 0; i < 6; i++) {
    await renew(cluster, 'b');
    await cluster.pass(8000);
  }
  expect((await ready(cluster, 'a'))?.status).toBe('True');
  await renew(cluster, 'b');
  await cluster.pass(8000);
  expect(await ready(cluster, 'a')).toMatchObject({
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: 'Kubelet stopped posting node status.',
  });
  expect((await ready(cluster, 'b'))?.status).toBe('True');
  expect((await cluster.get(pods, 'web'))?.status?.conditions?.find((c) => c.type === 'Ready')?.status).toBe('False');
  expect(await taints(cluster, 'a')).toEqual(['node.kubernetes.io/unreachable:NoExecute', 'node.kubernetes.io/unreachable:NoSchedule']);
  expect(await cluster.events()).toEqual(
    expect.arrayContaining(['NodeNotReady: Node a status is now: NodeNotReady', 'NodeNotReady: Node is not ready']),
  );
  await report(cluster, 'a', 'True');
  await cluster.settle();
  expect(await taints(cluster, 'a')).toEqual([]);
});

test('leases alone keep a node ready', async () => {
  await using cluster = await startCluster([nodeLifecycleController]);
  await readyNode(cluster, 'a');
  for (let i = 0; i < 20; i++) {
    await renew(cluster, 'a');
    await cluster.pass(10_000);
  }
  expect((await ready(cluster, 'a'))?.status).toBe('True');
});

test('conditions and cordoning become NoSchedule taints, and go with them', async () => {
  await using cluster = await startCluster([nodeLifecycleController]);
  await readyNode(cluster, 'a');
  await cluster.patch(nodes, 'a', { spec: { unschedulable: true } });
  await cluster.settle();
  expect(await taints(cluster, 'a')).toEqual(['node.kubernetes.io/unschedulable:NoSchedule']);
  await cluster.patch(nodes, 'a', { spec: { unschedulable: null } });
  await cluster.settle();
  const fresh = await cluster.client.get(nodes, { name: 'a' });
  const conditions = [...(fresh.status?.conditions ?? []), { type: 'DiskPressure', status: 'True' }];
  await cluster.client.update(nodes, { ...fresh, status: { ...fresh.status, conditions } }, { subresource: 'status' });
  await cluster.settle();
  expect(await taints(cluster, 'a')).toEqual(['node.kubernetes.io/disk-pressure:NoSchedule']);
});

test('when every node is silent nothing is evicted: it is the server that is cut off', async () => {
  await using cluster = await startCluster([nodeLifecycleController, taintEvictionController]);
  await readyNode(cluster, 'a');
  await podOn(cluster, 'web', 'a');
  await cluster.pass(60_000);
  expect((await ready(cluster, 'a'))?.status).toBe('Unknown');
  expect(await taints(cluster, 'a')).toEqual(['node.kubernetes.io/unreachable:NoSchedule']);
  await cluster.pass(600_000);
  expect((await cluster.get(pods, 'web'))?.metadata.deletionTimestamp).toBeUndefined();
});

test('pods leave a tainted node at once, after tolerationSeconds, or not at all', async () => {
  await using cluster = await startCluster([taintEvictionController]);
  await readyNode(cluster, 'a');
  const tolerate = { key: 'k', operator: 'Exists', effect: 'NoExecute' };
  await podOn(cluster, 'none', 'a');
  await podOn(cluster, 'some', 'a', [{ ...tolerate, tolerationSeconds: 300 }]);
  await podOn(cluster, 'always', 'a', [tolerate]);
  await cluster.patch(nodes, 'a', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } });
  await cluster.settle();
  const deleted = async () =>
    (await cluster.list(pods)).filter((p) => p.metadata.deletionTimestamp !== undefined).map((p) => p.metadata.name);
  expect(await deleted()).toEqual(['none']);
  expect((await cluster.get(pods, 'none'))?.status?.conditions?.find((c) => c.type === 'DisruptionTarget')).toMatchObject({
    status: 'True',
    reason: 'DeletionByTaintManager',
  });
  await cluster.pass(299_000);
  expect(await deleted()).toEqual(['none']);
  await cluster.pass(2000);
  expect([...(await deleted())].sort()).toEqual(['none', 'some']);
});

test('an eviction that waits is called off when the taint goes', async () => {
  await using cluster = await startCluster([taintEvictionController]);
  await readyNode(cluster, 'a');
  await podOn(cluster, 'some', 'a', [{ key: 'k', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }]);
  await cluster.patch(nodes, 'a', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } });
  await cluster.pass(100_000);
  await cluster.patch(nodes, 'a', { spec: { taints: [] } });
  await cluster.pass(600_000);
  expect((await cluster.get(pods, 'some'))?.metadata.deletionTimestamp).toBeUndefined();
  expect(await cluster.events()).toContain('TaintManagerEviction: Cancelling deletion of Pod default/some');
});

test('nodes get pod networks of their own, and those of deleted nodes are used again', async () => {
  await using cluster = await startCluster([nodeIpamController], { clusterCidrs: ['10.42.0.0/23'] });
  for (const name of ['a', 'b']) await cluster.client.create(nodes, node(name));
  await cluster.settle();
  const cidr = async (name: string) => (await cluster.get(nodes, name))?.spec?.podCIDRs;
  expect([await cidr('a'), await cidr('b')]).toEqual([['10.42.0.0/24'], ['10.42.1.0/24']]);
  await cluster.client.create(nodes, node('c'));
  await cluster.settle();
  expect(await cidr('c')).toBeUndefined();
  expect(await cluster.events()).toContain('CIDRNotAvailable: Node c status is now: CIDRNotAvailable');
  await cluster.client.delete(nodes, { name: 'a' });
  await cluster.settle();
  expect(await cidr('c')).toEqual(['10.42.0.0/24']);
});

test('networks that nodes have already are left to them', async () => {
  await using cluster = await startCluster([nodeIpamController]);
  await cluster.client.create(nodes, node('old', { spec: { podCIDR: '10.42.0.0/24', podCIDRs: ['10.42.0.0/24'] } }));
  await cluster.client.create(nodes, node('new'));
  await cluster.settle();
  expect((await cluster.get(nodes, 'new'))?.spec?.podCIDR).toBe('10.42.1.0/24');
});

test('pods of a node that is gone fail and go, after a quarantine', async () => {
  await using cluster = await startCluster([podGcController]);
  await readyNode(cluster, 'a');
  await podOn(cluster, 'web', 'a');
  await cluster.client.delete(nodes, { name: 'a' });
  await cluster.pass(35_000);
  expect(await cluster.names(pods)).toEqual(['web']);
  await cluster.pass(6000);
  expect(await cluster.names(pods)).toEqual([]);
});

test('ended pods beyond the threshold are removed, oldest first', async () => {
  await using cluster = await startCluster([podGcController], { terminatedPodThreshold: 2 });
  for (const name of ['a', 'b', 'c', 'd']) {
    const made = await cluster.client.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    await cluster.setPodStatus(made, { phase: 'Succeeded' });
    await cluster.pass(5000);
  }
  await cluster.pass(5000);
  expect(await cluster.names(pods)).toEqual(['c', 'd']);
});

/** The scheduler against the real API server (over the memory store). */
import { expect, test } from 'vitest';
import { createInformerFactory } from '#client/informer-factory.ts';
import { startCluster } from '#controllers/testing.ts';
import type { Pod, PodSpec } from '#kube/generated/core-v1.ts';
import { nodes, pods } from '#kube/refs.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import { createScheduler } from './scheduler.ts';

const pod = (name: string, spec: Partial<PodSpec> = {}, cpu = '1'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }], ...spec },
});

async function running() {
  const cluster = await startCluster([]);
  const log = memoryLogger();
  const deps = { client: cluster.client, clock: cluster.clock, random: seededRandom(1), log };
  const informers = createInformerFactory(deps);
  const scheduler = createScheduler({ ...deps, informers });
  const tasks = new TaskGroup();
  informers.start(tasks);
  await scheduler.start();
  const addNode = (name: string, cpu = '2') =>
    cluster.client.create(nodes, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      status: { allocatable: { cpu, memory: '4Gi', pods: '10' } },
    });
  const condition = async (name: string) => {
    const { status } = (await cluster.get(pods, name)) ?? {};
    const found = status?.conditions?.find((c) => c.type === 'PodScheduled');
    return { status: found?.status, reason: found?.reason, message: found?.message };
  };
  return {
    ...cluster,
    scheduler,
    addNode,
    condition,
    nodeOf: async (name: string) => (await cluster.get(pods, name))?.spec?.nodeName,
    stop: async () => {
      await scheduler.stop();
      await tasks.close();
      await cluster[Symbol.asyncDispose]();
      return log.lines.filter((l) => /^(warn|error)/.test(l));
    },
  };
}

test('pods get nodes, events and conditions as upstream writes them', async () => {
  const t = await running();
  await t.addNode('a');
  await t.client.create(pods, pod('one'));
  await t.client.create(pods, pod('two', {}, '1500m'));
  await t.settle();
  expect(await t.nodeOf('one')).toBe('a');
  expect(await t.condition('one')).toEqual({ status: 'True', reason: undefined, message: undefined });
  const why =
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.';
  expect(await t.condition('two')).toEqual({ status: 'False', reason: 'Unschedulable', message: why });
  expect(await t.events()).toEqual(['Scheduled: Successfully assigned default/one to a', `FailedScheduling: ${why}`]);
  await t.addNode('b');
  await t.pass(1000);
  expect(await t.nodeOf('two')).toBe('b');
  expect(await t.stop()).toEqual([]);
});

test('a gated pod says so and is scheduled when the gate is removed', async () => {
  const t = await running();
  await t.addNode('a');
  await t.client.create(pods, pod('gated', { schedulingGates: [{ name: 'example.com/wait' }] }));
  await t.settle();
  expect(await t.nodeOf('gated')).toBeUndefined();
  expect(await t.condition('gated')).toMatchObject({ status: 'False', reason: 'SchedulingGated' });
  expect(t.scheduler.pending().gated).toBe(1);
  await t.patch(pods, 'gated', { spec: { schedulingGates: null } });
  await t.settle();
  expect(await t.nodeOf('gated')).toBe('a');
  await t.stop();
});

test('an important pod has a lesser one deleted, is nominated, and follows', async () => {
  const t = await running();
  await t.addNode('a');
  await t.client.create(pods, pod('low', {}, '2'));
  await t.settle();
  const high = await t.client.create(pods, pod('high', { priority: 1000 }, '2'));
  await t.settle();
  const victim = await t.get(pods, 'low');
  expect(victim?.metadata.deletionTimestamp).toBeDefined();
  expect(victim?.status?.conditions?.find((c) => c.type === 'DisruptionTarget')).toMatchObject({ reason: 'PreemptionByScheduler' });
  expect((await t.get(pods, 'high'))?.status?.nominatedNodeName).toBe('a');
  expect(await t.events()).toContain(`Preempted: Preempted by pod ${high.metadata.uid} on node a`);
  await t.runPods();
  await t.pass(2000);
  expect(await t.nodeOf('high')).toBe('a');
  await t.stop();
});

test('a deleted pod frees its place', async () => {
  const t = await running();
  await t.addNode('a');
  await t.client.create(pods, pod('one', {}, '2'));
  await t.settle();
  await t.client.create(pods, pod('two', {}, '2'));
  await t.settle();
  await t.client.delete(pods, { namespace: 'default', name: 'one' }, { gracePeriodSeconds: 0 });
  await t.pass(2000);
  expect(await t.nodeOf('two')).toBe('a');
  await t.stop();
});

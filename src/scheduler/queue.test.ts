import { expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { testNode, testPod, testView } from './fixtures.ts';
import { defaultPlugins } from './plugins/index.ts';
import { podInfo } from './pod-info.ts';
import { type QueuedPod, SchedulingQueue } from './queue.ts';

function setup() {
  const clock = fakeClock();
  return { clock, queue: new SchedulingQueue({ clock, plugins: defaultPlugins }) };
}
const popped = (queue: SchedulingQueue): QueuedPod => {
  const pod = queue.pop();
  if (pod === undefined) throw new Error('the queue is empty');
  return pod;
};
const nodeInfoOf = (cpu: string) => {
  const info = testView([testNode('a', { cpu })]).cache.node('a');
  if (info === undefined) throw new Error('no node');
  return info;
};

test('pods come out by priority, then in the order they came', () => {
  const { queue } = setup();
  for (const [name, priority] of [
    ['a', 0],
    ['b', 5],
    ['c', 0],
    ['d', 9],
  ] as const) {
    queue.set(podInfo(testPod(name, { priority })));
  }
  expect(['', '', '', ''].map(() => popped(queue).info.pod.metadata.name)).toEqual(['d', 'b', 'a', 'c']);
  expect(queue.pop()).toBeUndefined();
});

test('an unschedulable pod wakes, after its backoff, for an event that may help, and for no other', async () => {
  const { clock, queue } = setup();
  queue.set(podInfo(testPod('p', { cpu: '3' })));
  queue.failed(popped(queue), new Set(['NodeResourcesFit']));
  queue.happened({ on: 'node', what: 'labels', node: nodeInfoOf('8') });
  queue.happened({ on: 'node', what: 'allocatable', node: nodeInfoOf('1') });
  expect(queue.sizes().unschedulable).toBe(1);
  queue.happened({ on: 'node', what: 'allocatable', node: nodeInfoOf('8') });
  expect(queue.sizes()).toMatchObject({ backoff: 1, unschedulable: 0 });
  expect(queue.pop()).toBeUndefined();
  await clock.advance(1000);
  expect(popped(queue).attempts).toBe(2);
});

test('backoff doubles up to ten seconds', async () => {
  const { clock, queue } = setup();
  queue.set(podInfo(testPod('p')));
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    queue.retry(popped(queue));
    let waited = 0;
    while (queue.sizes().active === 0) {
      await clock.advance(500);
      waited += 500;
    }
    waits.push(waited);
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test('a pod nothing happens for is tried again after five minutes', async () => {
  const { clock, queue } = setup();
  queue.set(podInfo(testPod('p')));
  queue.failed(popped(queue), new Set(['NodeAffinity']));
  await clock.advance(299_000);
  expect(queue.sizes().unschedulable).toBe(1);
  await clock.advance(31_000);
  expect(queue.sizes().active).toBe(1);
});

test('a gated pod waits until its last gate is gone', () => {
  const { queue } = setup();
  const gated = testPod('p', { schedulingGates: [{ name: 'x' }], meta: { generation: 1 } });
  queue.set(podInfo(gated));
  queue.happened({ on: 'timeout' });
  expect(queue.sizes()).toMatchObject({ gated: 1, active: 0 });
  queue.set(podInfo(testPod('p', { schedulingGates: [], meta: { generation: 2 } })));
  expect(popped(queue).uid).toBe('uid-p');
});

test('a status change alone wakes nobody', () => {
  const { queue } = setup();
  queue.set(podInfo(testPod('p', { meta: { generation: 1 } })));
  queue.failed(popped(queue), new Set(['NodeAffinity']));
  queue.set(podInfo(testPod('p', { meta: { generation: 1 }, status: { conditions: [{ type: 'PodScheduled', status: 'False' }] } })));
  expect(queue.sizes().unschedulable).toBe(1);
});

test('ready resolves when a pod comes, and idle queues hold no timers', async () => {
  const { clock, queue } = setup();
  expect(clock.waiting()).toBe(0);
  const ready = queue.ready(new AbortController().signal);
  queue.set(podInfo(testPod('p')));
  await ready;
  queue.delete('uid-p');
  expect(queue.pop()).toBeUndefined();
  expect(clock.waiting()).toBe(0);
});

import { expect, test } from 'vitest';
import type { Pod } from '#kube/generated/core-v1.ts';
import type { PodDisruptionBudget } from '#kube/generated/policy-v1.ts';
import type { Stored } from '#kube/object.ts';
import { schedule } from './cycle.ts';
import { testNode, testPod, testView } from './fixtures.ts';
import { defaultPlugins } from './plugins/index.ts';
import { podInfo } from './pod-info.ts';
import { preempt } from './preemption.ts';

function run(
  pod: Stored<Pod>,
  nodes: Parameters<typeof testView>[0],
  placed: Parameters<typeof testView>[1],
  budgets: readonly Stored<PodDisruptionBudget>[] = [],
): string {
  const { view } = testView(nodes, placed);
  const info = podInfo(pod);
  const decision = schedule(info, view, { plugins: defaultPlugins, nominated: () => [], fraction: () => 0, startAt: 0 });
  if (decision.fits) return `fits ${decision.node.name}`;
  const result = preempt(info, view, decision.diagnosis, { plugins: defaultPlugins, budgets: () => budgets, fraction: () => 0 });
  return result.node === undefined ? result.message : `${result.node}: ${result.victims.map((v) => v.pod.metadata.name).join(' ')}`;
}

const important = testPod('p', { cpu: '2', priority: 100 });
const one = testNode('a', { cpu: '4' });

test('the fewest, least important pods make way', () => {
  const placed = {
    a: [testPod('low', { cpu: '2', priority: 1 }), testPod('mid', { cpu: '1', priority: 5 }), testPod('high', { cpu: '1', priority: 200 })],
  };
  expect(run(important, [one], placed)).toBe('a: low');
});

test('the node whose victims matter least is chosen', () => {
  const placed = { a: [testPod('x', { cpu: '4', priority: 50 })], b: [testPod('y', { cpu: '4', priority: 10 })] };
  expect(run(important, [one, testNode('b')], placed)).toBe('b: y');
});

test('pods under an exhausted disruption budget are spared where others can go', () => {
  const budget: Stored<PodDisruptionBudget> = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'b', namespace: 'default', uid: 'b', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { selector: { matchLabels: { app: 'web' } } },
    status: { disruptionsAllowed: 0 },
  };
  const placed = { a: [testPod('guarded', { cpu: '2', priority: 1, labels: { app: 'web' } }), testPod('free', { cpu: '2', priority: 2 })] };
  expect(run(important, [one], placed, [budget])).toBe('a: free');
});

test('without lower-priority pods the message says so', () => {
  expect(run(important, [one], { a: [testPod('x', { cpu: '4', priority: 100 })] })).toBe(
    'preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  );
});

test('where removing pods cannot help the message says so', () => {
  expect(run(testPod('p', { priority: 9, nodeSelector: { x: 'y' } }), [one], {})).toBe(
    'preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  );
});

test('a pod that must not preempt does not', () => {
  expect(run(testPod('p', { cpu: '4', priority: 9, preemptionPolicy: 'Never' }), [one], { a: [testPod('x', { cpu: '1' })] })).toBe(
    'preemption: not eligible due to preemptionPolicy=Never.',
  );
});

test('while its victims are still ending a pod takes no more', () => {
  const ending = testPod('x', {
    cpu: '4',
    meta: { deletionTimestamp: '2026-01-01T00:00:00Z' },
    status: { conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' }] },
  });
  const waiting = testPod('p', { cpu: '2', priority: 100, status: { nominatedNodeName: 'a' } });
  expect(run(waiting, [one], { a: [ending] })).toBe('preemption: not eligible due to a terminating pod on the nominated node.');
});

import { describe, expect, test } from 'vitest';
import { type Health, podActions } from './actions.ts';
import { container, exited, testPod, testRecord, testRuntime, testSandbox } from './fixtures.ts';

const healthy: Health = { failed: () => undefined, started: () => true };
const names = (list: readonly { readonly name: string }[]): string[] => list.map((c) => c.name);

describe('sandbox', () => {
  test('a new pod gets a sandbox and then its first init container only', () => {
    const pod = testPod({ initContainers: [container('i1'), container('i2')] });
    const actions = podActions(pod, testRuntime([], []), healthy);
    expect(actions).toMatchObject({ createSandbox: true, killPod: false, attempt: 0 });
    expect(names(actions.startInit)).toEqual(['i1']);
    expect(actions.start).toEqual([]);
  });

  test('a sandbox that ended is replaced and everything starts over', () => {
    const actions = podActions(testPod(), testRuntime([testRecord('c')], [testSandbox({ ready: false, attempt: 2 })]), healthy);
    expect(actions).toMatchObject({ createSandbox: true, killPod: true, attempt: 3 });
    expect(names(actions.start)).toEqual(['c']);
  });

  test('a sandbox without an address is replaced, unless the pod uses the network of the node', () => {
    const bare = [testSandbox({ ips: [] })];
    expect(podActions(testPod(), testRuntime([], bare), healthy).createSandbox).toBe(true);
    const host = [testSandbox({ ips: [], hostNetwork: true })];
    expect(podActions(testPod({ hostNetwork: true }), testRuntime([], host), healthy).createSandbox).toBe(false);
  });

  test('a pod that is never restarted and has run gets no new sandbox', () => {
    const runtime = testRuntime([exited('c', 0)], [testSandbox({ ready: false })]);
    expect(podActions(testPod({ restartPolicy: 'Never' }), runtime, healthy)).toMatchObject({ createSandbox: false, killPod: true });
  });
});

describe('init containers', () => {
  const pod = testPod({ initContainers: [container('i1'), container('i2')] });

  test('run one after the other, then the others', () => {
    expect(names(podActions(pod, testRuntime([exited('i1', 0)]), healthy).startInit)).toEqual(['i2']);
    expect(podActions(pod, testRuntime([testRecord('i2'), exited('i1', 0)]), healthy)).toMatchObject({ startInit: [], start: [] });
    expect(names(podActions(pod, testRuntime([exited('i2', 0), exited('i1', 0)]), healthy).start)).toEqual(['c']);
  });

  test('a failed one is retried, and ends a pod that is never restarted', () => {
    expect(names(podActions(pod, testRuntime([exited('i1', 1)]), healthy).startInit)).toEqual(['i1']);
    const never = testPod({ restartPolicy: 'Never', initContainers: [container('i1')] });
    expect(podActions(never, testRuntime([exited('i1', 1)]), healthy)).toMatchObject({ killPod: true, startInit: [], start: [] });
  });

  test('a sidecar holds back what follows until it has started, and is restarted beside the others', () => {
    const withSidecar = testPod({ initContainers: [container('s', { restartPolicy: 'Always' }), container('i')] });
    const waiting: Health = { failed: () => undefined, started: () => false };
    expect(podActions(withSidecar, testRuntime([testRecord('s')]), waiting)).toMatchObject({ startInit: [], start: [] });
    expect(names(podActions(withSidecar, testRuntime([testRecord('s')]), healthy).startInit)).toEqual(['i']);
    const later = testRuntime([testRecord('c'), exited('i', 0), exited('s', 1)]);
    expect(names(podActions(withSidecar, later, healthy).startInit)).toEqual(['s']);
  });
});

describe('containers', () => {
  test.each([
    ['Always', 0, ['c']],
    ['Always', 1, ['c']],
    ['OnFailure', 1, ['c']],
  ] as const)('with restartPolicy %s, one that exited with %i is started again', (restartPolicy, code, expected) => {
    expect(names(podActions(testPod({ restartPolicy }), testRuntime([exited('c', code)]), healthy).start)).toEqual(expected);
  });

  test.each([
    ['OnFailure', 0],
    ['Never', 0],
    ['Never', 1],
  ] as const)('with restartPolicy %s, exit %i ends the pod', (restartPolicy, code) => {
    expect(podActions(testPod({ restartPolicy }), testRuntime([exited('c', code)]), healthy)).toMatchObject({ killPod: true, start: [] });
  });

  test('a failed liveness probe kills and starts again, but not where the pod is never restarted', () => {
    const failing: Health = { failed: () => 'liveness', started: () => true };
    const always = podActions(testPod(), testRuntime([testRecord('c')]), failing);
    expect(always.kill.map((k) => k.message)).toEqual(['Container c failed liveness probe, will be restarted']);
    expect(names(always.start)).toEqual(['c']);
    const never = podActions(testPod({ restartPolicy: 'Never' }), testRuntime([testRecord('c')]), failing);
    expect(never.kill).toHaveLength(1);
    expect(never.start).toEqual([]);
  });

  test('another image restarts the container; nothing else in the spec does', () => {
    const changed = testPod({ containers: [container('c', { image: 'img:2' })] });
    expect(podActions(changed, testRuntime([testRecord('c')]), healthy).kill.map((k) => k.message)).toEqual([
      'Container c definition changed, will be restarted',
    ]);
    const same = testPod({ containers: [container('c', { env: [{ name: 'A', value: 'b' }] })] });
    expect(podActions(same, testRuntime([testRecord('c')]), healthy)).toMatchObject({ kill: [], start: [] });
  });

  test('a debug container is started once', () => {
    const pod = testPod({ ephemeralContainers: [{ name: 'dbg', image: 'img' }] });
    expect(names(podActions(pod, testRuntime([testRecord('c')]), healthy).startEphemeral)).toEqual(['dbg']);
    expect(podActions(pod, testRuntime([exited('dbg', 1), testRecord('c')]), healthy).startEphemeral).toEqual([]);
  });

  test('restart rules of a container can bring it back under policy Never', () => {
    const rules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }];
    const pod = testPod({ restartPolicy: 'Never', containers: [container('c', { restartPolicy: 'Never', restartPolicyRules: rules })] });
    expect(names(podActions(pod, testRuntime([exited('c', 42)]), healthy).start)).toEqual(['c']);
    expect(podActions(pod, testRuntime([exited('c', 1)]), healthy).start).toEqual([]);
  });
});

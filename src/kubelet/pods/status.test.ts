import { describe, expect, test } from 'vitest';
import type { Pod, PodStatus } from '#kube/generated/core-v1.ts';
import { container, exited, testPod, testRecord, testRuntime, testSandbox } from './fixtures.ts';
import { podStatus, type StatusInput } from './status.ts';
import { statusPatch } from './status-patch.ts';

const status = (pod: Pod, runtime: StatusInput['runtime'], more: Partial<StatusInput> = {}): PodStatus =>
  podStatus({
    pod,
    runtime,
    failures: new Map(),
    ready: () => true,
    started: () => true,
    terminationMessages: new Map(),
    ending: false,
    ended: false,
    nodeIps: ['192.168.1.2'],
    startedMs: Date.UTC(2026, 0, 1),
    nowMs: Date.UTC(2026, 0, 1, 0, 1),
    old: {},
    ...more,
  });
const condition = (s: PodStatus, type: string) => s.conditions?.find((c) => c.type === type);

describe('phase', () => {
  const never = testPod({ restartPolicy: 'Never', containers: [container('a'), container('b')] });
  test.each([
    ['nothing made yet', testPod(), testRuntime([], []), 'Pending'],
    ['running', testPod(), testRuntime([testRecord('c')]), 'Running'],
    ['restarting', testPod(), testRuntime([exited('c', 1)]), 'Running'],
    ['one of two waits', testPod({ containers: [container('a'), container('b')] }), testRuntime([testRecord('a')]), 'Pending'],
    ['one of two ended', never, testRuntime([testRecord('a'), exited('b', 0)]), 'Running'],
    ['all succeeded', never, testRuntime([exited('a', 0), exited('b', 0)]), 'Succeeded'],
    ['one failed', never, testRuntime([exited('a', 0), exited('b', 1)]), 'Failed'],
    ['failed, to be retried', testPod({ restartPolicy: 'OnFailure' }), testRuntime([exited('c', 1)]), 'Running'],
    ['init runs', testPod({ initContainers: [container('i')] }), testRuntime([testRecord('i')]), 'Pending'],
    [
      'init failed for good',
      testPod({ restartPolicy: 'Never', initContainers: [container('i')] }),
      testRuntime([exited('i', 1)]),
      'Failed',
    ],
  ] as const)('%s', (_, pod, runtime, phase) => {
    expect(status(pod, runtime).phase).toBe(phase);
  });

  test('a phase that is final stays', () => {
    expect(status(testPod(), testRuntime([], []), { old: { phase: 'Succeeded' } }).phase).toBe('Succeeded');
  });

  test('a verdict of the node makes the pod Failed with its reason', () => {
    const s = status(testPod(), testRuntime([exited('c', 137)]), { ended: true, verdict: { reason: 'DeadlineExceeded', message: 'late' } });
    expect(s).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded', message: 'late' });
  });
});

describe('conditions', () => {
  test('unready containers are named', () => {
    const s = status(testPod(), testRuntime([testRecord('c')]), { ready: () => false });
    expect(condition(s, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [c]',
    });
    expect(condition(s, 'ContainersReady')?.status).toBe('False');
    expect(condition(s, 'PodReadyToStartContainers')?.status).toBe('True');
  });

  test('init containers that have not finished are named', () => {
    const pod = testPod({ initContainers: [container('i1'), container('i2')] });
    const s = status(pod, testRuntime([exited('i1', 0)]));
    expect(condition(s, 'Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [i2]',
    });
    expect(s.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: 'PodInitializing' } });
  });

  test('a readiness gate without a condition keeps the pod unready', () => {
    const pod = testPod({ readinessGates: [{ conditionType: 'example.com/ready' }] });
    expect(condition(status(pod, testRuntime([testRecord('c')])), 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ReadinessGatesNotReady',
      message: 'corresponding condition of pod readiness gate "example.com/ready" does not exist.',
    });
  });

  test('the time of a condition changes only with its status', () => {
    const first = status(testPod(), testRuntime([testRecord('c')]));
    const second = status(testPod(), testRuntime([testRecord('c')]), { old: first, nowMs: Date.UTC(2027, 0, 1) });
    expect(second.conditions).toEqual(first.conditions);
  });

  test('a pod that is done is Initialized and no longer Ready, both because it completed', () => {
    const s = status(testPod({ restartPolicy: 'Never' }), testRuntime([exited('c', 0)]));
    expect(condition(s, 'Ready')).toMatchObject({ status: 'False', reason: 'PodCompleted' });
  });
});

describe('container statuses', () => {
  test('a container that waits for its restart shows why, and how it ended as its last state', () => {
    const failures = new Map([['c', { reason: 'CrashLoopBackOff', message: 'back-off 10s' }]]);
    const s = status(testPod(), testRuntime([exited('c', 1, { restartCount: 3 })]), {
      failures,
      terminationMessages: new Map([['c-0', 'oops']]),
    });
    expect(s.containerStatuses?.[0]).toMatchObject({
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
      lastState: { terminated: { exitCode: 1, reason: 'Error', message: 'oops' } },
      restartCount: 3,
      ready: false,
    });
  });

  test('the run before the current one is the last state', () => {
    const s = status(testPod(), testRuntime([testRecord('c', { id: 'c-1', restartCount: 1, createdMs: 9000 }), exited('c', 2)]));
    expect(s.containerStatuses?.[0]).toMatchObject({ state: { running: {} }, lastState: { terminated: { exitCode: 2 } }, restartCount: 1 });
  });

  test('a record that vanished from a pod that has ended is told as lost', () => {
    const old: PodStatus = {
      containerStatuses: [{ name: 'c', image: 'img', imageID: '', ready: true, restartCount: 0, state: { running: {} } }],
    };
    const s = status(testPod({ restartPolicy: 'Never' }), testRuntime([], []), { old, ending: true, ended: true });
    expect(s.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 137, reason: 'ContainerStatusUnknown' });
    expect(s.phase).toBe('Failed');
  });
});

describe('addresses', () => {
  test('come from the sandbox, and from the node in its own network', () => {
    expect(status(testPod(), testRuntime([testRecord('c')]))).toMatchObject({
      podIP: '10.42.0.5',
      podIPs: [{ ip: '10.42.0.5' }],
      hostIP: '192.168.1.2',
    });
    const host = testRuntime([], [testSandbox({ hostNetwork: true, ips: [] })]);
    expect(status(testPod({ hostNetwork: true }), host).podIP).toBe('192.168.1.2');
  });

  test('stay in the status when the runtime has forgotten them', () => {
    const old: PodStatus = { podIP: '10.42.0.9', podIPs: [{ ip: '10.42.0.9' }] };
    expect(status(testPod(), testRuntime([], [testSandbox({ ready: false, ips: [] })]), { old }).podIP).toBe('10.42.0.9');
  });
});

describe('patch', () => {
  const wanted = status(testPod(), testRuntime([testRecord('c')]));

  test('nothing is written when nothing changed', () => {
    expect(statusPatch(wanted, wanted, 'u1')).toBeUndefined();
  });

  test('only what changed is written, and only own conditions', () => {
    const stored: PodStatus = {
      ...wanted,
      phase: 'Pending',
      conditions: [...(wanted.conditions ?? []), { type: 'DisruptionTarget', status: 'True' }],
    };
    expect(statusPatch(stored, wanted, 'u1')).toEqual({ metadata: { uid: 'u1' }, status: { phase: 'Running' } });
  });

  test('addresses replace the old ones', () => {
    const stored: PodStatus = { ...wanted, podIP: '10.42.0.1', podIPs: [{ ip: '10.42.0.1' }] };
    expect(statusPatch(stored, wanted, 'u1')).toMatchObject({ status: { podIPs: [{ $patch: 'replace' }, { ip: '10.42.0.5' }] } });
  });

  test('a reason that no longer holds is taken away', () => {
    const conditions = (wanted.conditions ?? []).map((c) =>
      c.type === 'Ready' ? { ...c, status: 'False', reason: 'ContainersNotReady' } : c,
    );
    expect(statusPatch({ ...wanted, conditions }, wanted, 'u1')?.['status']).toMatchObject({
      conditions: [{ type: 'Ready', status: 'True', reason: null }],
    });
  });
});

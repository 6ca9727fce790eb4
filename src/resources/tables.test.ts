import { describe, expect, test } from 'vitest';
import type { KubeObject } from '#kube/object.ts';
import { builtinKinds } from './index.ts';
import { humanDuration } from './print.ts';
import { defaulted, kindNamed, testContext } from './testing.ts';

const now = testContext.now;
const metadata = { name: 'x', creationTimestamp: '2026-01-02T03:00:00Z' };

const row = (kind: string, fields: object): Record<string, unknown> => {
  const def = kindNamed(kind);
  const object = defaulted(def, { metadata, ...fields });
  const cells = def.table?.cells(object as unknown as KubeObject, now) ?? [];
  return Object.fromEntries((def.table?.columns ?? []).map((column, i) => [column.name, cells[i]]));
};

test.each(builtinKinds.filter((kind) => kind.table !== undefined).map((kind) => [kind.ref.kind, kind] as const))(
  '%s: an empty object has a cell for every column',
  (_name, kind) => {
    const cells = kind.table?.cells(defaulted(kind, {}) as unknown as KubeObject, now) ?? [];
    expect(cells).toHaveLength(kind.table?.columns.length ?? 0);
    for (const cell of cells) expect(cell).not.toBeUndefined();
  },
);

const running = { ready: true, restartCount: 0, state: { running: {} } };
const waiting = (reason: string) => ({ ready: false, restartCount: 0, state: { waiting: { reason } } });
const ended = (exitCode: number, reason?: string) => ({ ready: false, restartCount: 0, state: { terminated: { exitCode, reason } } });
const two = { containers: [{ name: 'a' }, { name: 'b' }] };
const withInit = { ...two, initContainers: [{ name: 'i' }, { name: 'j' }] };

describe('pods', () => {
  test.each<[string, object, string, string, string]>([
    ['pending', { spec: two, status: { phase: 'Pending' } }, '0/2', 'Pending', '0'],
    ['running', { spec: two, status: { phase: 'Running', containerStatuses: [running, running] } }, '2/2', 'Running', '0'],
    [
      'one crashing',
      {
        spec: two,
        status: {
          phase: 'Running',
          containerStatuses: [
            running,
            {
              ...waiting('CrashLoopBackOff'),
              restartCount: 3,
              lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-02T03:03:05Z' } },
            },
          ],
        },
      },
      '1/2',
      'CrashLoopBackOff',
      '3 (60s ago)',
    ],
    ['init', { spec: withInit, status: { phase: 'Pending', initContainerStatuses: [ended(0), waiting('')] } }, '0/2', 'Init:1/2', '0'],
    ['init failed', { spec: withInit, status: { phase: 'Pending', initContainerStatuses: [ended(2)] } }, '0/2', 'Init:ExitCode:2', '0'],
    [
      'init pull',
      { spec: withInit, status: { phase: 'Pending', initContainerStatuses: [waiting('ErrImagePull')] } },
      '0/2',
      'Init:ErrImagePull',
      '0',
    ],
    [
      'completed',
      { spec: two, status: { phase: 'Succeeded', containerStatuses: [ended(0, 'Completed'), ended(0, 'Completed')] } },
      '0/2',
      'Completed',
      '0',
    ],
    [
      'one completed',
      { spec: two, status: { phase: 'Running', containerStatuses: [running, ended(0, 'Completed')] } },
      '1/2',
      'NotReady',
      '0',
    ],
    [
      'signal',
      { spec: two, status: { phase: 'Failed', containerStatuses: [{ ...ended(0), state: { terminated: { exitCode: 137, signal: 9 } } }] } },
      '0/2',
      'Signal:9',
      '0',
    ],
    ['evicted', { spec: two, status: { phase: 'Failed', reason: 'Evicted' } }, '0/2', 'Evicted', '0'],
    [
      'terminating',
      {
        metadata: { ...metadata, deletionTimestamp: '2026-01-02T03:04:00Z' },
        spec: two,
        status: { phase: 'Running', containerStatuses: [running, running] },
      },
      '2/2',
      'Terminating',
      '0',
    ],
    [
      'sidecar',
      {
        spec: { containers: [{ name: 'a' }], initContainers: [{ name: 'i', restartPolicy: 'Always' }] },
        status: {
          phase: 'Running',
          initContainerStatuses: [{ ...running, name: 'i', started: true, restartCount: 2 }],
          containerStatuses: [running],
        },
      },
      '2/2',
      'Running',
      '2',
    ],
  ])('%s', (_name, fields, ready, status, restarts) => {
    expect(row('Pod', fields)).toMatchObject({ Ready: ready, Status: status, Restarts: restarts, Age: '4m5s' });
  });
});

test('services show how they are reached', () => {
  const ports = [{ port: 80 }, { port: 53, protocol: 'UDP', nodePort: 30053 }];
  expect(
    row('Service', { spec: { clusterIPs: ['10.43.0.1'], clusterIP: '10.43.0.1', ports, selector: { b: '2', a: '1' } } }),
  ).toMatchObject({
    Type: 'ClusterIP',
    'Cluster-IP': '10.43.0.1',
    'External-IP': '<none>',
    'Port(s)': '80/TCP,53:30053/UDP',
    Selector: 'a=1,b=2',
  });
  expect(row('Service', { spec: { type: 'LoadBalancer' } })).toMatchObject({ 'External-IP': '<pending>', 'Port(s)': '<none>' });
  expect(row('Service', { spec: { type: 'ExternalName', externalName: 'a.b' } })).toMatchObject({
    'Cluster-IP': '<none>',
    'External-IP': 'a.b',
  });
});

test('nodes show status and roles', () => {
  const fields = {
    metadata: { ...metadata, labels: { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' } },
    spec: { unschedulable: true },
    status: { conditions: [{ type: 'Ready', status: 'True' }], addresses: [{ type: 'InternalIP', address: '1.2.3.4' }] },
  };
  expect(row('Node', fields)).toMatchObject({
    Status: 'Ready,SchedulingDisabled',
    Roles: 'control-plane,worker',
    'Internal-IP': '1.2.3.4',
    'External-IP': '<none>',
    'OS-Image': '<unknown>',
  });
});

test('jobs show their state, autoscalers their metrics, quotas their use', () => {
  const job = { spec: { completions: 3, parallelism: 1 }, status: { succeeded: 1, startTime: '2026-01-02T03:03:05Z' } };
  expect(row('Job', job)).toMatchObject({ Status: 'Running', Completions: '1/3', Duration: '60s' });
  expect(row('HorizontalPodAutoscaler', { spec: { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'd' } } })).toMatchObject({
    Reference: 'Deployment/d',
  });
  expect(row('ResourceQuota', { status: { hard: { pods: 2, 'limits.cpu': 1 }, used: { pods: 1 } } })).toMatchObject({
    Request: 'pods: 1/2',
    Limit: 'limits.cpu: 0/1',
  });
});

test.each<[number, string]>([
  [-5000, '<invalid>'],
  [0, '0s'],
  [119_000, '119s'],
  [120_000, '2m'],
  [125_000, '2m5s'],
  [600_000, '10m'],
  [3 * 3600_000, '3h'],
  [3 * 3600_000 + 60_000, '3h1m'],
  [47 * 3600_000, '47h'],
  [49 * 3600_000, '2d1h'],
  [9 * 86400_000, '9d'],
  [800 * 86400_000, '2y70d'],
])('%d ms are shown as %s', (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

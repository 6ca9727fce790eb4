import { describe, expect, test } from 'vitest';
import type { Node, PersistentVolume, PersistentVolumeSpec, Pod } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { explain, nodesToFind, schedule, scores } from './cycle.ts';
import { testNode, testPod, testView } from './fixtures.ts';
import type { ClusterView } from './framework.ts';
import { defaultPlugins } from './plugins/index.ts';
import { claimPlans } from './plugins/volume-binding.ts';
import { podInfo } from './pod-info.ts';
import type { Listers } from './view.ts';

const decide = (pod: Stored<Pod>, view: ClusterView) =>
  schedule(podInfo(pod), view, { plugins: defaultPlugins, nominated: () => [], fraction: () => 0, startAt: 0 });

/** Node name, or upstream's message. */
function outcome(
  pod: Stored<Pod>,
  nodes: readonly Stored<Node>[],
  placed: Readonly<Record<string, readonly Stored<Pod>[]>> = {},
  listers: Partial<Listers> = {},
): string {
  const decision = decide(pod, testView(nodes, placed, listers).view);
  return decision.fits ? decision.node.name : explain(decision.diagnosis, undefined);
}

const web = { app: 'web' };
const zoneA = { 'topology.kubernetes.io/zone': 'a' };
const zoneB = { 'topology.kubernetes.io/zone': 'b' };
const spread = (topologyKey: string, extra: object = {}) => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: web }, ...extra },
  ],
});
const nearWeb = (topologyKey: string) => ({
  requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey, labelSelector: { matchLabels: web } }],
});

describe('a pod is refused with upstream’s words', () => {
  const hostPort = { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 80 }] }] };
  const claims = { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] };
  const cases: readonly (readonly [string, () => string, string])[] = [
    ['there are no nodes', () => outcome(testPod('p'), []), 'no nodes available to schedule pods'],
    [
      'cpu and memory are short',
      () => outcome(testPod('p', { cpu: '5', memory: '9Gi' }), [testNode('a')]),
      '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.',
    ],
    [
      'the node is full of pods',
      () => outcome(testPod('p'), [testNode('a', { maxPods: '1' })], { a: [testPod('q')] }),
      '0/1 nodes are available: 1 Too many pods.',
    ],
    [
      'nodes are tainted or cordoned',
      () =>
        outcome(testPod('p'), [
          testNode('a', { taints: [{ key: 'k', effect: 'NoSchedule' }] }),
          testNode('b', { unschedulable: true }),
          testNode('c', { taints: [{ key: 'k2', value: 'v', effect: 'NoExecute' }] }),
        ]),
      '0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s).',
    ],
    [
      'no node has the label',
      () => outcome(testPod('p', { nodeSelector: { disk: 'ssd' } }), [testNode('a')]),
      "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    ],
    [
      'the host port is taken',
      () => outcome(testPod('p', hostPort), [testNode('a')], { a: [testPod('q', hostPort)] }),
      "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    ],
    [
      'the claim does not exist',
      () => outcome(testPod('p', claims), [testNode('a')]),
      '0/1 nodes are available: persistentvolumeclaim "data" not found.',
    ],
    [
      'skew would grow beyond the limit',
      () =>
        outcome(
          testPod('p', { labels: web, ...spread('kubernetes.io/hostname') }),
          [testNode('a'), testNode('b', { unschedulable: true })],
          {
            a: [testPod('q', { labels: web })],
          },
        ),
      "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable.",
    ],
    [
      'the topology label is missing',
      () => outcome(testPod('p', { labels: web, ...spread('rack') }), [testNode('a')]),
      "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).",
    ],
    [
      'nobody to be near to',
      () => outcome(testPod('p', { affinity: { podAffinity: nearWeb('kubernetes.io/hostname') } }), [testNode('a')]),
      "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
    ],
    [
      'somebody to keep away from',
      () =>
        outcome(testPod('p', { affinity: { podAntiAffinity: nearWeb('kubernetes.io/hostname') } }), [testNode('a')], {
          a: [testPod('q', { labels: web })],
        }),
      "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
    ],
    [
      'somebody there keeps it away',
      () =>
        outcome(testPod('p', { labels: web }), [testNode('a')], {
          a: [testPod('q', { affinity: { podAntiAffinity: nearWeb('kubernetes.io/hostname') } })],
        }),
      "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    ],
  ];
  test.each(cases)('when %s', (_, run, expected) => {
    expect(run()).toBe(expected);
  });
});

const claim = (name: string, spec: object, meta: object = {}) =>
  ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '', ...meta },
    spec,
  }) as const;
const volume = (name: string, spec: PersistentVolumeSpec, labels: Readonly<Record<string, string>> = {}): Stored<PersistentVolume> => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', labels },
  spec,
});
const usesData = { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] };
const onNode = (name: string) => ({
  required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }] },
});
const boundTo = (volumeName: string) => claim('data', { volumeName }, { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } });

describe('a pod with a claim', () => {
  const nodes = [testNode('a', { labels: zoneA }), testNode('b', { labels: zoneB })];
  const pod = testPod('p', usesData);
  const waiting = { volumeBindingMode: 'WaitForFirstConsumer' } as const;
  const storageClass = (provisioner: string) => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'local', uid: 'local', resourceVersion: '1', creationTimestamp: '' },
    provisioner,
    ...waiting,
  });
  const delayed = claim('data', { storageClassName: 'local', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } });
  const free = (name: string, size: string, node: string) =>
    volume(name, { capacity: { storage: size }, accessModes: ['ReadWriteOnce'], storageClassName: 'local', nodeAffinity: onNode(node) });

  test('goes where its volume can be used', () => {
    const listers = { claim: () => boundTo('pv'), volume: () => volume('pv', { nodeAffinity: onNode('b') }) };
    expect(outcome(pod, nodes, {}, listers)).toBe('b');
    expect(outcome(pod, [testNode('c')], {}, listers)).toBe(
      "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.",
    );
  });
  test('goes to the zone that its volume is labelled with', () => {
    expect(outcome(pod, nodes, {}, { claim: () => boundTo('pv'), volume: () => volume('pv', {}, zoneB) })).toBe('b');
  });
  test('waits while a claim that is bound at once is not', () => {
    expect(outcome(pod, nodes, {}, { claim: () => claim('data', {}) })).toBe(
      '0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.',
    );
  });
  test('goes where a free volume is large enough, and the smallest such is planned', () => {
    const volumes = [free('small', '500Mi', 'a'), free('large', '10Gi', 'b'), free('right', '1Gi', 'b')];
    const listers = { claim: () => delayed, storageClass: () => storageClass('kubernetes.io/no-provisioner'), freeVolumes: () => volumes };
    expect(outcome(pod, nodes, {}, listers)).toBe('b');
    const { view } = testView(nodes, {}, listers);
    const node = view.node('b');
    if (node === undefined) throw new Error('no node');
    expect(claimPlans(podInfo(pod), node, view).map((p) => p.volume?.metadata.name)).toEqual(['right']);
    expect(outcome(pod, [testNode('a')], {}, listers)).toBe(
      "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.",
    );
  });
  test('goes anywhere when a provisioner makes volumes where they are wanted', () => {
    expect(outcome(pod, [testNode('a')], {}, { claim: () => delayed, storageClass: () => storageClass('rancher.io/local-path') })).toBe(
      'a',
    );
  });
  test('waits for the one other pod that a ReadWriteOncePod claim is for', () => {
    const exclusive = { ...boundTo('pv'), spec: { volumeName: 'pv', accessModes: ['ReadWriteOncePod'] } };
    const listers = { claim: () => exclusive, volume: () => volume('pv', {}) };
    expect(outcome(pod, [testNode('a')], { a: [testPod('q', usesData)] }, listers)).toBe(
      '0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.',
    );
    expect(outcome(pod, [testNode('a')], {}, listers)).toBe('a');
  });
});

describe('a pod goes', () => {
  const daemon = {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] }],
        },
      },
    },
  };
  const cases: readonly (readonly [string, () => string, string])[] = [
    [
      'where most is free',
      () => outcome(testPod('p', { cpu: '1' }), [testNode('a'), testNode('b')], { a: [testPod('q', { cpu: '2' })] }),
      'b',
    ],
    ['to the node its affinity names', () => outcome(testPod('p', daemon), [testNode('a'), testNode('b')]), 'b'],
    [
      'to a tainted node that it tolerates',
      () =>
        outcome(testPod('p', { tolerations: [{ operator: 'Exists' }] }), [
          testNode('a', { unschedulable: true, taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }] }),
        ]),
      'a',
    ],
    [
      'away from a node with a taint that says rather not',
      () => outcome(testPod('p'), [testNode('a', { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] }), testNode('b')]),
      'b',
    ],
    [
      'to the emptier zone',
      () =>
        outcome(
          testPod('p', { labels: web, ...spread('topology.kubernetes.io/zone') }),
          [testNode('a1', { labels: zoneA }), testNode('a2', { labels: zoneA }), testNode('b1', { labels: zoneB })],
          { a1: [testPod('q', { labels: web })] },
        ),
      'b1',
    ],
    [
      'near those it wants to be near',
      () =>
        outcome(
          testPod('p', { affinity: { podAffinity: nearWeb('topology.kubernetes.io/zone') } }),
          [testNode('a1', { labels: zoneA }), testNode('b1', { labels: zoneB })],
          { b1: [testPod('q', { labels: web })] },
        ),
      'b1',
    ],
    [
      'anywhere when it is the first of a group that wants to stay together',
      () => outcome(testPod('p', { labels: web, affinity: { podAffinity: nearWeb('kubernetes.io/hostname') } }), [testNode('a')]),
      'a',
    ],
    [
      'away from pods of its service, by system defaults',
      () =>
        outcome(
          testPod('p', { labels: web }),
          [testNode('a'), testNode('b')],
          { a: [testPod('q', { labels: web })] },
          { spreadSelector: () => ({ matchLabels: web }) },
        ),
      'b',
    ],
    [
      'where its image is',
      () =>
        outcome(testPod('p', { containers: [{ name: 'c', image: 'registry/app' }] }), [
          testNode('a'),
          testNode('b', { images: { 'registry/app:latest': 900 * 1024 * 1024 } }),
        ]),
      'b',
    ],
  ];
  test.each(cases)('%s', (_, run, expected) => {
    expect(run()).toBe(expected);
  });
});

test('a terminating pod does not count for spreading', () => {
  const leaving = testPod('q', { labels: web, meta: { deletionTimestamp: '2026-01-01T00:00:00Z' } });
  const pod = testPod('p', { labels: web, ...spread('kubernetes.io/hostname') });
  expect(outcome(pod, [testNode('a'), testNode('b', { unschedulable: true })], { a: [leaving] })).toBe('a');
});

test('a preferred affinity outweighs equal resources', () => {
  const preferred = {
    affinity: {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 10, preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] } },
        ],
      },
    },
  };
  const { view } = testView([testNode('a'), testNode('b', { labels: { disk: 'ssd' } })]);
  const [a = 0, b = 0] = scores(podInfo(testPod('p', preferred)), view, view.nodes, defaultPlugins);
  expect(b - a).toBe(200);
});

test('a node promised to a more important pod is left to it', () => {
  const { view } = testView([testNode('a', { cpu: '2' })]);
  const important = podInfo(testPod('big', { cpu: '2', priority: 100 }));
  const options = { plugins: defaultPlugins, nominated: () => [important], fraction: () => 0, startAt: 0 };
  expect(schedule(podInfo(testPod('p', { cpu: '1' })), view, options).fits).toBe(false);
  expect(schedule(important, view, options).fits).toBe(true);
});

test('sidecars, init containers and overhead count towards what a pod needs', () => {
  const requests = (cpu: string) => ({ resources: { requests: { cpu } } });
  const pod = testPod('p', {
    initContainers: [
      { name: 'side', restartPolicy: 'Always', ...requests('500m') },
      { name: 'init', ...requests('3') },
    ],
    containers: [{ name: 'main', ...requests('1') }],
    overhead: { cpu: '250m' },
  });
  expect(podInfo(pod).requests.get('cpu')).toBe(3750);
});

test('large clusters are searched in part', () => {
  expect([50, 100, 1000, 10_000].map(nodesToFind)).toEqual([50, 100, 420, 500]);
});

test('counts by selector follow pods as they come, change and go', () => {
  const { cache, view } = testView([testNode('a'), testNode('b')], { a: [testPod('q', { labels: web })] });
  const selector = { key: 'web', matches: (labels: Readonly<Record<string, string>>) => labels['app'] === 'web' };
  const counts = () => Object.fromEntries(view.count('default', selector, true));
  expect(counts()).toEqual({ a: 1 });
  cache.setPod(podInfo(testPod('r', { labels: web })), 'b');
  cache.setPod(podInfo(testPod('q')), 'a');
  expect(counts()).toEqual({ b: 1 });
  cache.removePod('uid-r');
  expect(counts()).toEqual({});
});

test('a node that comes back finds its pods counted', () => {
  const { cache } = testView([testNode('a')], { a: [testPod('q', { cpu: '3' })] });
  cache.removeNode('a');
  expect(cache.nodes).toEqual([]);
  cache.setNode(testNode('a'));
  expect(cache.node('a')?.requested.get('cpu')).toBe(3000);
});

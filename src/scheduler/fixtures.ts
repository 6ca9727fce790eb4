/** Nodes, pods and a cluster made of them, for tests of the scheduler's pure parts. */
import type { Node, NodeSpec, Pod, PodSpec, PodStatus } from '#kube/generated/core-v1.ts';
import type { Stored, StoredMeta } from '#kube/object.ts';
import { Cache } from './cache.ts';
import type { ClusterView, Labels, PodInfo } from './framework.ts';
import { podInfo } from './pod-info.ts';
import { clusterView, type Listers } from './view.ts';

interface PodOptions extends Partial<PodSpec> {
  readonly cpu?: string;
  readonly memory?: string;
  readonly labels?: Labels;
  readonly meta?: Partial<StoredMeta>;
  readonly status?: PodStatus;
}

export function testPod(name: string, { cpu, memory, labels, meta, status, ...spec }: PodOptions = {}): Stored<Pod> {
  const requests = { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(labels === undefined ? {} : { labels }),
      ...meta,
    },
    spec: { containers: [{ name: 'main', image: 'app', resources: { requests } }], ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

interface NodeOptions extends NodeSpec {
  readonly cpu?: string;
  readonly memory?: string;
  readonly maxPods?: string;
  readonly labels?: Labels;
  readonly images?: Readonly<Record<string, number>>;
}

export function testNode(name: string, { cpu, memory, maxPods, labels, images, ...spec }: NodeOptions = {}): Stored<Node> {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { 'kubernetes.io/hostname': name, ...labels },
    },
    spec,
    status: {
      allocatable: { cpu: cpu ?? '4', memory: memory ?? '8Gi', pods: maxPods ?? '110' },
      images: Object.entries(images ?? {}).map(([image, sizeBytes]) => ({ names: [image], sizeBytes })),
    },
  };
}

const noListers: Listers = {
  namespaceLabels: () => ({}),
  spreadSelector: () => undefined,
  claim: () => undefined,
  volume: () => undefined,
  freeVolumes: () => [],
  storageClass: () => undefined,
};

/** A cluster view of nodes and of pods on them (by node name). */
export function testView(
  nodes: readonly Stored<Node>[],
  placed: Readonly<Record<string, readonly Stored<Pod>[]>> = {},
  listers: Partial<Listers> = {},
): { readonly cache: Cache; readonly view: ClusterView; readonly pod: (name: string) => PodInfo | undefined } {
  const cache = new Cache();
  for (const node of nodes) cache.setNode(node);
  const byName = new Map<string, PodInfo>();
  for (const [node, pods] of Object.entries(placed)) {
    for (const pod of pods) {
      const info = podInfo(pod);
      byName.set(pod.metadata.name, info);
      cache.setPod(info, node);
    }
  }
  return { cache, view: clusterView(cache, { ...noListers, ...listers }), pod: (name) => byName.get(name) };
}

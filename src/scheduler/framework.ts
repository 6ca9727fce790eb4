/**
 * What plugins see of the cluster and what they answer. A plugin is two pure functions, both optional: `prepareFilter`
 * and `prepareScore` look at the pod once a cycle and return what judges one node.
 */
import type { PersistentVolume, PersistentVolumeClaim, Pod, Taint } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { StorageClass } from '#kube/generated/storage-v1.ts';
import type { Stored } from '#kube/object.ts';

export type Labels = Readonly<Record<string, string>>;

/** Amounts by resource name: cpu in thousandths, the rest in units. */
export type Amounts = ReadonlyMap<string, number>;

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** A term of pod affinity with its defaults applied: `namespaces` holds the pod's own where the term names none. */
export interface AffinityTerm {
  /** Equal terms have equal keys. */
  readonly key: string;
  readonly topologyKey: string;
  readonly namespaces: readonly string[];
  readonly namespaceMatches: ((labels: Labels) => boolean) | undefined;
  readonly selector: Selector;
  readonly weight: number;
}

/** A label selector, compiled. */
export interface Selector {
  readonly key: string;
  readonly matches: (labels: Labels) => boolean;
}

/** What scheduling needs of a pod, computed once for each version of it. */
export interface PodInfo {
  readonly pod: Stored<Pod>;
  /** "namespace/name". */
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly priority: number;
  readonly requests: Amounts;
  /** Requests with upstream's stand-ins (100m, 200 MB) for containers that state none; used by scores only. */
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
  readonly hostPorts: readonly HostPort[];
  /** Names of the persistent volume claims it uses. */
  readonly claims: readonly string[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly AffinityTerm[];
  readonly preferredAntiAffinity: readonly AffinityTerm[];
}

/** A node and the sums over its pods. Changed only by the cache, never while a cycle runs. */
export interface NodeInfo {
  readonly name: string;
  readonly labels: Labels;
  readonly taints: readonly Taint[];
  readonly unschedulable: boolean;
  readonly allocatable: Amounts;
  /** Bytes by image name. */
  readonly images: ReadonlyMap<string, number>;
  readonly pods: ReadonlyMap<string, PodInfo>;
  readonly requested: Amounts;
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
  /** Host ports in use, by "protocol/port": the addresses they are bound to. */
  readonly usedPorts: ReadonlyMap<string, readonly string[]>;
}

export type TermKind = 'requiredAffinity' | 'requiredAntiAffinity' | 'preferredAffinity' | 'preferredAntiAffinity';

/** One distinct term among the scheduled pods, and on how many pods of which node it stands. */
export interface ExistingTerm {
  readonly kind: TermKind;
  readonly term: AffinityTerm;
  readonly nodes: ReadonlyMap<string, number>;
}

/** The cluster during one cycle. Everything is answered from indices. */
export interface ClusterView {
  readonly nodes: readonly NodeInfo[];
  readonly node: (name: string) => NodeInfo | undefined;
  /** By node name: how many of a namespace's scheduled pods match. */
  readonly count: (namespace: string, selector: Selector, countTerminating: boolean) => ReadonlyMap<string, number>;
  readonly namespacesWithPods: () => Iterable<string>;
  readonly namespaceLabels: (namespace: string) => Labels;
  readonly existingTerms: (kind: TermKind) => Iterable<ExistingTerm>;
  /** How many nodes have the image. */
  readonly imageSpread: (image: string) => number;
  /** Selectors of what the pod belongs to (services, its controller), joined: upstream's DefaultSelector. */
  readonly spreadSelector: (pod: PodInfo) => LabelSelector | undefined;
  readonly claim: (namespace: string, name: string) => Stored<PersistentVolumeClaim> | undefined;
  /** Scheduled pods that use a claim. */
  readonly claimUsers: (namespace: string, name: string) => Iterable<PodInfo>;
  readonly volume: (name: string) => Stored<PersistentVolume> | undefined;
  /** Volumes of a class that are bound to no claim. */
  readonly freeVolumes: (storageClass: string) => Iterable<Stored<PersistentVolume>>;
  readonly storageClass: (name: string) => Stored<StorageClass> | undefined;
}

/** Why a node (or, before filtering, every node) does not suit. */
export interface Failure {
  readonly plugin: string;
  readonly reasons: readonly string[];
  /** True: removing pods from the node would not help (upstream's UnschedulableAndUnresolvable). */
  readonly unresolvable: boolean;
}

export type PreparedFilter =
  /** The plugin has nothing to say about this pod. */
  | { readonly verdict: 'skip' }
  /** No node can suit. */
  | { readonly verdict: 'reject'; readonly failure: Failure }
  | {
      readonly verdict: 'filter';
      /** Only these nodes can suit. */
      readonly only?: ReadonlySet<string>;
      readonly filter: (node: NodeInfo) => Failure | undefined;
    };

export interface PreparedScore {
  readonly score: (node: NodeInfo) => number;
  /** Brings the raw scores of all suitable nodes into 0…100; default: they are already. */
  readonly normalize?: (scores: readonly number[], nodes: readonly NodeInfo[]) => number[];
}

/** What can happen in a cluster that may let a waiting pod fit. */
export type ClusterEvent =
  | { readonly on: 'node'; readonly what: 'add' | 'allocatable' | 'labels' | 'taints' | 'conditions'; readonly node: NodeInfo }
  | { readonly on: 'pod'; readonly what: 'delete' | 'add' | 'update'; readonly pod: PodInfo }
  | { readonly on: 'volume' | 'claim' | 'class' | 'namespace' }
  /** A pod lost its last scheduling gate, or another field of its own that scheduling looks at changed. */
  | { readonly on: 'self' }
  | { readonly on: 'timeout' };

export interface Plugin {
  readonly name: string;
  readonly prepareFilter?: (pod: PodInfo, view: ClusterView) => PreparedFilter;
  /** Undefined: nothing to say. `nodes` are those that passed all filters. */
  readonly prepareScore?: (pod: PodInfo, view: ClusterView, nodes: readonly NodeInfo[]) => PreparedScore | undefined;
  /** What the score counts for in the sum; default 1. */
  readonly weight?: number;
  /** Whether the event may turn this plugin's refusal of the pod around. */
  readonly wakesOn: (event: ClusterEvent, pod: PodInfo) => boolean;
}

export const maxScore = 100;

/** Upstream's DefaultNormalizeScore: the highest becomes 100 (or, reversed, 0). */
export function normalizeByMax(scores: readonly number[], reverse: boolean): number[] {
  const max = Math.max(0, ...scores);
  if (max === 0) return scores.map((s) => (reverse ? maxScore : s));
  return scores.map((s) => {
    const scaled = Math.trunc((maxScore * s) / max);
    return reverse ? maxScore - scaled : scaled;
  });
}

export const reject = (plugin: string, unresolvable: boolean, ...reasons: string[]): Failure => ({ plugin, reasons, unresolvable });

/**
 * The scheduler's picture of nodes and of the pods on them, kept up to date by informers and by its own assumptions.
 * Everything a cycle asks is kept as sums and indices, so that a cycle costs no more the more objects are stored.
 */
import type { Node } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import type { ExistingTerm, NodeInfo, PodInfo, Selector, TermKind } from './framework.ts';
import { addPod, type MutableNodeInfo, nodeInfo, removePod, setNode } from './node-info.ts';

/** Counts kept for selectors asked for lately; the one not asked for longest is dropped. */
const maxCounters = 512;

interface Counter {
  readonly namespace: string;
  readonly selector: Selector;
  readonly countTerminating: boolean;
  readonly nodes: Map<string, number>;
}

interface MutableTerm extends ExistingTerm {
  readonly nodes: Map<string, number>;
}

const kinds: readonly TermKind[] = ['requiredAffinity', 'requiredAntiAffinity', 'preferredAffinity', 'preferredAntiAffinity'];

export class Cache {
  readonly #known = new Map<string, MutableNodeInfo>();
  /** Nodes that pods name but that are not there (any more). */
  readonly #ghosts = new Map<string, MutableNodeInfo>();
  /** Where each pod (by uid) counts, and as what. */
  readonly #placed = new Map<string, { readonly info: PodInfo; readonly node: string }>();
  readonly #byNamespace = new Map<string, Map<string, { readonly info: PodInfo; readonly node: string }>>();
  readonly #assumed = new Set<string>();
  readonly #counters = new Map<string, Counter>();
  readonly #terms = new Map<TermKind, Map<string, MutableTerm>>(kinds.map((k) => [k, new Map()]));
  readonly #images = new Map<string, number>();
  /** Pods (by uid) that use a claim, by "namespace/claim". */
  readonly #claimUsers = new Map<string, Map<string, PodInfo>>();
  #list: readonly NodeInfo[] | undefined;

  get nodes(): readonly NodeInfo[] {
    this.#list ??= [...this.#known.values()];
    return this.#list;
  }

  node(name: string): NodeInfo | undefined {
    return this.#known.get(name);
  }

  /** Adds or changes a node; gives its new state and what changed about it. */
  setNode(node: Stored<Node>): { readonly info: NodeInfo; readonly changes: ReadonlySet<'add' | 'allocatable' | 'labels' | 'taints'> } {
    const { name } = node.metadata;
    let info = this.#known.get(name);
    const changes = new Set<'add' | 'allocatable' | 'labels' | 'taints'>();
    if (info === undefined) {
      info = this.#ghosts.get(name) ?? nodeInfo(name);
      this.#ghosts.delete(name);
      this.#known.set(name, info);
      this.#list = undefined;
      changes.add('add');
    }
    const before = { allocatable: info.allocatable, labels: info.labels, taints: info.taints, unschedulable: info.unschedulable };
    for (const image of info.images.keys()) this.#countImage(image, -1);
    setNode(info, node);
    for (const image of info.images.keys()) this.#countImage(image, 1);
    if (!sameMap(before.allocatable, info.allocatable)) changes.add('allocatable');
    if (JSON.stringify(before.labels) !== JSON.stringify(info.labels)) changes.add('labels');
    if (before.unschedulable !== info.unschedulable || JSON.stringify(before.taints) !== JSON.stringify(info.taints)) changes.add('taints');
    return { info, changes };
  }

  removeNode(name: string): void {
    const info = this.#known.get(name);
    if (info === undefined) return;
    for (const image of info.images.keys()) this.#countImage(image, -1);
    this.#known.delete(name);
    this.#list = undefined;
    if (info.pods.size > 0) this.#ghosts.set(name, info);
  }

  imageSpread(image: string): number {
    return this.#images.get(image) ?? 0;
  }

  #countImage(image: string, by: number): void {
    const n = (this.#images.get(image) ?? 0) + by;
    if (n === 0) this.#images.delete(image);
    else this.#images.set(image, n);
  }

  /** Counts the pod on the node, in place of what was known of it. */
  setPod(info: PodInfo, node: string): void {
    const old = this.#placed.get(info.uid);
    if (old !== undefined) this.#unplace(old.info, old.node);
    this.#place(info, node);
    this.#assumed.delete(info.uid);
  }

  /** Counts the pod on a node before the API server has said so. */
  assume(info: PodInfo, node: string): void {
    this.setPod(info, node);
    this.#assumed.add(info.uid);
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid);
  }

  /** Takes an assumption back; a pod that has been confirmed meanwhile stays. */
  forget(uid: string): void {
    if (this.#assumed.has(uid)) this.removePod(uid);
  }

  removePod(uid: string): PodInfo | undefined {
    const old = this.#placed.get(uid);
    this.#assumed.delete(uid);
    if (old === undefined) return undefined;
    this.#unplace(old.info, old.node);
    return old.info;
  }

  #place(info: PodInfo, node: string): void {
    const placed = { info, node };
    this.#placed.set(info.uid, placed);
    let pods = this.#byNamespace.get(info.namespace);
    if (pods === undefined) {
      pods = new Map();
      this.#byNamespace.set(info.namespace, pods);
    }
    pods.set(info.uid, placed);
    let target = this.#known.get(node) ?? this.#ghosts.get(node);
    if (target === undefined) {
      target = nodeInfo(node);
      this.#ghosts.set(node, target);
    }
    addPod(target, info);
    this.#tally(info, node, 1);
  }

  #unplace(info: PodInfo, node: string): void {
    this.#placed.delete(info.uid);
    const pods = this.#byNamespace.get(info.namespace);
    pods?.delete(info.uid);
    if (pods?.size === 0) this.#byNamespace.delete(info.namespace);
    const target = this.#known.get(node) ?? this.#ghosts.get(node);
    if (target !== undefined) removePod(target, info);
    if (target?.pods.size === 0) this.#ghosts.delete(node);
    this.#tally(info, node, -1);
  }

  #tally(info: PodInfo, node: string, by: 1 | -1): void {
    for (const c of this.#counters.values()) if (c.namespace === info.namespace && counts(c, info)) bump(c.nodes, node, by);
    for (const claim of info.claims) this.#useClaim(`${info.namespace}/${claim}`, info, by);
    for (const kind of kinds) {
      const all = this.#terms.get(kind);
      for (const term of info[kind]) {
        let entry = all?.get(term.key);
        if (entry === undefined) {
          entry = { kind, term, nodes: new Map() };
          all?.set(term.key, entry);
        }
        bump(entry.nodes, node, by);
        if (entry.nodes.size === 0) all?.delete(term.key);
      }
    }
  }

  #useClaim(key: string, info: PodInfo, by: 1 | -1): void {
    const users = this.#claimUsers.get(key) ?? new Map<string, PodInfo>();
    if (by > 0) users.set(info.uid, info);
    else users.delete(info.uid);
    if (users.size === 0) this.#claimUsers.delete(key);
    else this.#claimUsers.set(key, users);
  }

  claimUsers(namespace: string, claim: string): Iterable<PodInfo> {
    return this.#claimUsers.get(`${namespace}/${claim}`)?.values() ?? [];
  }

  existingTerms(kind: TermKind): Iterable<ExistingTerm> {
    return this.#terms.get(kind)?.values() ?? [];
  }

  namespacesWithPods(): Iterable<string> {
    return this.#byNamespace.keys();
  }

  /** See ClusterView.count. The first question about a selector looks at the namespace's pods, later ones cost nothing. */
  count(namespace: string, selector: Selector, countTerminating: boolean): ReadonlyMap<string, number> {
    const key = `${namespace}|${countTerminating}|${selector.key}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = { namespace, selector, countTerminating, nodes: new Map() };
      for (const { info, node } of this.#byNamespace.get(namespace)?.values() ?? [])
        if (counts(counter, info)) bump(counter.nodes, node, 1);
    } else this.#counters.delete(key);
    this.#counters.set(key, counter);
    if (this.#counters.size > maxCounters) this.#counters.delete(this.#counters.keys().next().value as string);
    return counter.nodes;
  }
}

function counts(c: Pick<Counter, 'selector' | 'countTerminating'>, pod: PodInfo): boolean {
  return c.selector.matches(pod.labels) && (c.countTerminating || pod.pod.metadata.deletionTimestamp === undefined);
}

function bump(map: Map<string, number>, key: string, by: number): void {
  const n = (map.get(key) ?? 0) + by;
  if (n === 0) map.delete(key);
  else map.set(key, n);
}

function sameMap(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([k, v]) => b.get(k) === v);
}

/** Whether a pod counts for a selector: shared with views that pretend other pods. */
export const podCounts = (selector: Selector, countTerminating: boolean, pod: PodInfo): boolean =>
  counts({ selector, countTerminating }, pod);

import { type Cache, podCounts } from './cache.ts';
import type { ClusterView, ExistingTerm, NodeInfo, PodInfo, TermKind } from './framework.ts';
import { addPod, cloneNodeInfo, removePod } from './node-info.ts';

/** What a view needs that the cache does not hold. */
export type Listers = Pick<ClusterView, 'namespaceLabels' | 'spreadSelector' | 'claim' | 'volume' | 'freeVolumes' | 'storageClass'>;

/** The cluster as it is: reads through to the cache, so it is valid until the next change, that is for one synchronous cycle. */
export function clusterView(cache: Cache, listers: Listers): ClusterView {
  return {
    ...listers,
    get nodes() {
      return cache.nodes;
    },
    node: (name) => cache.node(name),
    count: (namespace, selector, countTerminating) => cache.count(namespace, selector, countTerminating),
    namespacesWithPods: () => cache.namespacesWithPods(),
    existingTerms: (kind) => cache.existingTerms(kind),
    imageSpread: (image) => cache.imageSpread(image),
    claimUsers: (namespace, name) => cache.claimUsers(namespace, name),
  };
}

/** The cluster as it would be with other pods on one node: for preemption, and for pods nominated to a node. */
export function pretend(
  view: ClusterView,
  node: NodeInfo,
  change: { readonly added?: readonly PodInfo[]; readonly removed?: readonly PodInfo[] },
): { readonly view: ClusterView; readonly node: NodeInfo } {
  const added = change.added ?? [];
  const removed = change.removed ?? [];
  const changed = cloneNodeInfo(node);
  for (const pod of removed) removePod(changed, pod);
  for (const pod of added) addPod(changed, pod);
  const signed: readonly (readonly [PodInfo, number])[] = [
    ...removed.map((p): readonly [PodInfo, number] => [p, -1]),
    ...added.map((p): readonly [PodInfo, number] => [p, 1]),
  ];
  const nodes = view.nodes.map((n) => (n.name === node.name ? changed : n));
  return {
    node: changed,
    view: {
      ...view,
      nodes,
      node: (name) => (name === node.name ? changed : view.node(name)),
      count: (namespace, selector, countTerminating) => {
        const real = view.count(namespace, selector, countTerminating);
        let by = 0;
        for (const [pod, sign] of signed) if (pod.namespace === namespace && podCounts(selector, countTerminating, pod)) by += sign;
        return by === 0 ? real : adjusted(real, node.name, by);
      },
      claimUsers: (namespace, name) => {
        const gone = new Set(removed.map((p) => p.uid));
        const come = added.filter((p) => p.namespace === namespace && p.claims.includes(name));
        return [...view.claimUsers(namespace, name), ...come].filter((p) => !gone.has(p.uid));
      },
      existingTerms: (kind) => adjustedTerms(view, kind, signed, node.name),
    },
  };
}

function adjusted(map: ReadonlyMap<string, number>, key: string, by: number): ReadonlyMap<string, number> {
  const result = new Map(map);
  const n = (result.get(key) ?? 0) + by;
  if (n <= 0) result.delete(key);
  else result.set(key, n);
  return result;
}

function adjustedTerms(
  view: ClusterView,
  kind: TermKind,
  signed: readonly (readonly [PodInfo, number])[],
  node: string,
): Iterable<ExistingTerm> {
  const changes = signed.flatMap(([pod, sign]) => pod[kind].map((term) => ({ term, sign })));
  if (changes.length === 0) return view.existingTerms(kind);
  const terms = new Map<string, ExistingTerm>();
  for (const t of view.existingTerms(kind)) terms.set(t.term.key, t);
  for (const { term, sign } of changes) {
    const nodes = adjusted(terms.get(term.key)?.nodes ?? new Map(), node, sign);
    terms.set(term.key, { kind, term, nodes });
  }
  return terms.values();
}

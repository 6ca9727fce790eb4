import type { AffinityTerm, ClusterView, NodeInfo, Plugin, PodInfo, TermKind } from '../framework.ts';
import { maxScore, reject } from '../framework.ts';

/** What an existing pod's required affinity adds to the score (HardPodAffinityWeight). */
const hardWeight = 1;

const key = (topologyKey: string, value: string): string => `${topologyKey}\u0000${value}`;

/** Whether a term of some pod speaks of `pod`. */
function speaksOf(term: AffinityTerm, pod: PodInfo, view: ClusterView): boolean {
  if (!term.selector.matches(pod.labels)) return false;
  return term.namespaces.includes(pod.namespace) || (term.namespaceMatches?.(view.namespaceLabels(pod.namespace)) ?? false);
}

/** By node: how many scheduled pods a term speaks of. */
function counted(term: AffinityTerm, view: ClusterView): ReadonlyMap<string, number> {
  const spaces = new Set(term.namespaces);
  const { namespaceMatches } = term;
  if (namespaceMatches !== undefined) {
    for (const ns of view.namespacesWithPods()) if (namespaceMatches(view.namespaceLabels(ns))) spaces.add(ns);
  }
  const [only] = spaces;
  if (spaces.size === 1 && only !== undefined) return view.count(only, term.selector, true);
  const sum = new Map<string, number>();
  for (const ns of spaces) for (const [node, n] of view.count(ns, term.selector, true)) sum.set(node, (sum.get(node) ?? 0) + n);
  return sum;
}

/** Pods by topology value of one key. */
function byDomain(topologyKey: string, nodes: ReadonlyMap<string, number>, view: ClusterView): Map<string, number> {
  const domains = new Map<string, number>();
  for (const [name, n] of nodes) {
    const value = view.node(name)?.labels[topologyKey];
    if (value !== undefined && n > 0) domains.set(value, (domains.get(value) ?? 0) + n);
  }
  return domains;
}

/** Domains in which a scheduled pod's anti-affinity forbids this pod. */
function forbidden(pod: PodInfo, view: ClusterView): Set<string> {
  const result = new Set<string>();
  for (const { term, nodes } of view.existingTerms('requiredAntiAffinity')) {
    if (!speaksOf(term, pod, view)) continue;
    for (const value of byDomain(term.topologyKey, nodes, view).keys()) result.add(key(term.topologyKey, value));
  }
  return result;
}

function prepareFilter(pod: PodInfo, view: ClusterView): (node: NodeInfo) => ReturnType<typeof reject> | undefined {
  const closed = forbidden(pod, view);
  const closedKeys = new Set([...closed].map((k) => k.slice(0, k.indexOf('\u0000'))));
  const anti = pod.requiredAntiAffinity.map((t) => ({ t, domains: byDomain(t.topologyKey, counted(t, view), view) }));
  const wanted = affinityDomains(pod, view);
  // The first pod of a group that wants to be near itself may go anywhere.
  const first = wanted.every((w) => w.domains.size === 0) && pod.requiredAffinity.every((t) => speaksOf(t, pod, view));
  return (node) => {
    for (const { t, domains } of wanted) {
      const value = node.labels[t.topologyKey];
      if (value === undefined || (!first && !domains.has(value))) {
        return reject('InterPodAffinity', true, "node(s) didn't match pod affinity rules");
      }
    }
    for (const { t, domains } of anti) {
      const value = node.labels[t.topologyKey];
      if (value !== undefined && domains.has(value))
        return reject('InterPodAffinity', false, "node(s) didn't match pod anti-affinity rules");
    }
    for (const k of closedKeys) {
      const value = node.labels[k];
      if (value !== undefined && closed.has(key(k, value))) {
        return reject('InterPodAffinity', false, "node(s) didn't satisfy existing pods anti-affinity rules");
      }
    }
    return undefined;
  };
}

/** For each required affinity term: the domains with pods that match all of the terms (upstream counts only those). */
function affinityDomains(pod: PodInfo, view: ClusterView): { t: AffinityTerm; domains: Map<string, number> }[] {
  const [only, ...more] = pod.requiredAffinity;
  if (only === undefined) return [];
  if (more.length === 0) return [{ t: only, domains: byDomain(only.topologyKey, counted(only, view), view) }];
  const perNode = new Map<string, number>();
  const candidates = counted(only, view);
  for (const name of candidates.keys()) {
    const node = view.node(name);
    if (node === undefined) continue;
    let n = 0;
    for (const other of node.pods.values()) if (pod.requiredAffinity.every((t) => speaksOf(t, other, view))) n++;
    if (n > 0) perNode.set(name, n);
  }
  return pod.requiredAffinity.map((t) => ({ t, domains: byDomain(t.topologyKey, perNode, view) }));
}

/** Adds or subtracts for every domain that preferences (the pod's own and those of scheduled pods) speak for or against. */
function preferences(pod: PodInfo, view: ClusterView): Map<string, number> {
  const sums = new Map<string, number>();
  const addAll = (term: AffinityTerm, nodes: ReadonlyMap<string, number>, weight: number): void => {
    for (const [value, n] of byDomain(term.topologyKey, nodes, view)) {
      const k = key(term.topologyKey, value);
      sums.set(k, (sums.get(k) ?? 0) + n * weight);
    }
  };
  for (const t of pod.preferredAffinity) addAll(t, counted(t, view), t.weight);
  for (const t of pod.preferredAntiAffinity) addAll(t, counted(t, view), -t.weight);
  const others = (kind: TermKind, weightOf: (t: AffinityTerm) => number): void => {
    for (const { term, nodes } of view.existingTerms(kind)) if (speaksOf(term, pod, view)) addAll(term, nodes, weightOf(term));
  };
  others('requiredAffinity', () => hardWeight);
  others('preferredAffinity', (t) => t.weight);
  others('preferredAntiAffinity', (t) => -t.weight);
  return sums;
}

export const interPodAffinity: Plugin = {
  name: 'InterPodAffinity',
  weight: 2,
  prepareFilter: (pod, view) => {
    const noneOwn = pod.requiredAffinity.length === 0 && pod.requiredAntiAffinity.length === 0;
    const [anyExisting] = noneOwn ? view.existingTerms('requiredAntiAffinity') : [];
    if (noneOwn && anyExisting === undefined) return { verdict: 'skip' };
    return { verdict: 'filter', filter: prepareFilter(pod, view) };
  },
  prepareScore: (pod, view) => {
    const sums = preferences(pod, view);
    if (sums.size === 0) return undefined;
    const keys = [...new Set([...sums.keys()].map((k) => k.slice(0, k.indexOf('\u0000'))))];
    return {
      score: (node) =>
        keys.reduce((sum, k) => {
          const value = node.labels[k];
          return value === undefined ? sum : sum + (sums.get(key(k, value)) ?? 0);
        }, 0),
      normalize: (scores) => {
        const min = Math.min(...scores);
        const range = Math.max(...scores) - min;
        return scores.map((s) => (range > 0 ? Math.trunc((maxScore * (s - min)) / range) : 0));
      },
    };
  },
  wakesOn: (event, pod) => {
    if (event.on === 'node') return event.what === 'add' || event.what === 'labels';
    if (event.on === 'namespace' || event.on === 'self') return true;
    if (event.on !== 'pod') return false;
    const other = event.pod;
    const matters = (t: AffinityTerm, p: PodInfo): boolean => t.selector.matches(p.labels);
    return (
      pod.requiredAffinity.some((t) => matters(t, other)) ||
      pod.requiredAntiAffinity.some((t) => matters(t, other)) ||
      other.requiredAntiAffinity.some((t) => matters(t, pod))
    );
  },
};

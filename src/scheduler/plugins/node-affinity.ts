import type { NodeInfo, Plugin, PodInfo } from '../framework.ts';
import { normalizeByMax, reject } from '../framework.ts';
import { compileNodeSelector, compileNodeTerm } from '../selector.ts';

/** Whether the node suits the pod's nodeSelector and required node affinity; undefined when the pod has neither. */
export function requiredNodeTest(pod: PodInfo): ((node: NodeInfo) => boolean) | undefined {
  const labels = Object.entries(pod.pod.spec?.nodeSelector ?? {});
  const required = pod.pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (labels.length === 0 && required === undefined) return undefined;
  const affinity = required === undefined ? undefined : compileNodeSelector(required);
  return (node) => labels.every(([k, v]) => node.labels[k] === v) && (affinity === undefined || affinity(node));
}

/** Node names that required affinity spells out in matchFields (as DaemonSet pods do), where every alternative does. */
function namedNodes(pod: PodInfo): ReadonlySet<string> | undefined {
  const terms = pod.pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  if (terms.length === 0) return undefined;
  const names = new Set<string>();
  for (const term of terms) {
    const lists = (term.matchFields ?? []).filter((r) => r.key === 'metadata.name' && r.operator === 'In').map((r) => r.values ?? []);
    const [first, ...rest] = lists;
    if (first === undefined) return undefined;
    for (const name of first) if (rest.every((l) => l.includes(name))) names.add(name);
  }
  return names;
}

export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  weight: 2,
  prepareFilter: (pod) => {
    const suits = requiredNodeTest(pod);
    if (suits === undefined) return { verdict: 'skip' };
    const only = namedNodes(pod);
    if (only?.size === 0) return { verdict: 'reject', failure: reject('NodeAffinity', true, 'pod affinity terms conflict') };
    return {
      verdict: 'filter',
      ...(only === undefined ? {} : { only }),
      filter: (node) => (suits(node) ? undefined : reject('NodeAffinity', true, "node(s) didn't match Pod's node affinity/selector")),
    };
  },
  prepareScore: (pod) => {
    const preferred = pod.pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (preferred.length === 0) return undefined;
    const terms = preferred.map((p) => ({ weight: p.weight, matches: compileNodeTerm(p.preference) }));
    return {
      score: (node) => terms.reduce((sum, t) => sum + (t.matches(node) ? t.weight : 0), 0),
      normalize: (scores) => normalizeByMax(scores, false),
    };
  },
  wakesOn: (event, pod) =>
    event.on === 'self' ||
    (event.on === 'node' && (event.what === 'add' || event.what === 'labels') && (requiredNodeTest(pod)?.(event.node) ?? true)),
};

import type { Pod } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { Mutable } from '../define.ts';

interface Term {
  labelSelector?: Mutable<LabelSelector>;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}

/**
 * Pods that are to be near, far from or spread among those with the same (or another) value of a label: what the keys
 * stand for is known when the pod is created, and written into the selectors then, as upstream's pod strategy does.
 */
export function mergeLabelKeys(pod: Mutable<Pod>): void {
  const labels = pod.metadata.labels ?? {};
  const add = (term: Term, keys: readonly string[] | undefined, operator: 'In' | 'NotIn'): void => {
    if (term.labelSelector === undefined) return;
    for (const key of keys ?? []) {
      const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
      if (value === undefined) continue;
      term.labelSelector.matchExpressions = [...(term.labelSelector.matchExpressions ?? []), { key, operator, values: [value] }];
    }
  };
  const { affinity, topologySpreadConstraints = [] } = pod.spec ?? {};
  const terms: Term[] = [affinity?.podAffinity, affinity?.podAntiAffinity].flatMap((a) => [
    ...(a?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(a?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((p) => p.podAffinityTerm),
  ]);
  for (const term of [...terms, ...topologySpreadConstraints]) {
    add(term, term.matchLabelKeys, 'In');
    add(term, (term as Term).mismatchLabelKeys, 'NotIn');
  }
}

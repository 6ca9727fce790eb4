/** Which pods of a ReplicaSet go first: k8s.io/kubernetes pkg/controller ActivePodsWithRanks. */
import { isReady, maxRestarts, readyCondition, type StoredPod } from './pods.ts';
import { msOf } from './times.ts';

export const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

const phaseOrder: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

function deletionCost(pod: StoredPod): number {
  const text = pod.metadata.annotations?.[deletionCostAnnotation];
  return text !== undefined && /^(0|-?[1-9]\d*)$/.test(text) ? Number(text) : 0;
}

/** Ages within the same power of two count as equal, so that the youngest are not always the victims. */
function logarithmicRank(time: string | undefined, nowMs: number): number {
  if (time === undefined) return -1;
  const age = (nowMs - msOf(time)) * 1e6;
  return age <= 0 ? 0 : Math.trunc(Math.log2(age));
}

/** Newer first; then by uid. Missing times are the newest. */
function compareAge(a: string | undefined, b: string | undefined, left: StoredPod, right: StoredPod, nowMs: number): number {
  const ranks = logarithmicRank(a, nowMs) - logarithmicRank(b, nowMs);
  if (ranks !== 0) return ranks;
  return left.metadata.uid < right.metadata.uid ? -1 : left.metadata.uid > right.metadata.uid ? 1 : 0;
}

/** The pods in the order in which they are to be deleted. `rankOf`: how many pods of the same workload share its node. */
export function rankForDeletion(pods: readonly StoredPod[], rankOf: (pod: StoredPod) => number, nowMs: number): readonly StoredPod[] {
  const assigned = (pod: StoredPod): number => ((pod.spec?.nodeName ?? '') === '' ? 0 : 1);
  const phase = (pod: StoredPod): number => phaseOrder[pod.status?.phase ?? 'Pending'] ?? 2;
  return [...pods].sort((a, b) => {
    const first =
      assigned(a) - assigned(b) ||
      phase(a) - phase(b) ||
      Number(isReady(a)) - Number(isReady(b)) ||
      deletionCost(a) - deletionCost(b) ||
      rankOf(b) - rankOf(a);
    if (first !== 0) return first;
    if (isReady(a) && isReady(b)) {
      const [ta, tb] = [readyCondition(a)?.lastTransitionTime, readyCondition(b)?.lastTransitionTime];
      if (ta !== tb) return compareAge(ta, tb, a, b, nowMs);
    }
    const restarts = maxRestarts(b) - maxRestarts(a);
    if (restarts !== 0) return restarts;
    return compareAge(a.metadata.creationTimestamp, b.metadata.creationTimestamp, a, b, nowMs);
  });
}

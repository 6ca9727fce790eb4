/** What controllers ask of pods: k8s.io/kubernetes pkg/api/v1/pod and pkg/controller/controller_utils.go. */
import type { Pod, PodCondition } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { msOf } from './times.ts';

export type StoredPod = Stored<Pod>;

export const readyCondition = (pod: Pod | StoredPod): PodCondition | undefined => pod.status?.conditions?.find((c) => c.type === 'Ready');

export const isReady = (pod: Pod | StoredPod): boolean => readyCondition(pod)?.status === 'True';

export const isTerminal = (pod: Pod | StoredPod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Neither ended nor being deleted. */
export const isActive = (pod: StoredPod): boolean => !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined;

/** Being deleted and not ended yet. */
export const isTerminating = (pod: StoredPod): boolean => !isTerminal(pod) && pod.metadata.deletionTimestamp !== undefined;

/** Ready for at least `minReadySeconds`. */
export function isAvailable(pod: StoredPod, minReadySeconds: number, nowMs: number): boolean {
  const condition = readyCondition(pod);
  if (condition?.status !== 'True') return false;
  if (minReadySeconds === 0) return true;
  return condition.lastTransitionTime !== undefined && msOf(condition.lastTransitionTime) + minReadySeconds * 1000 <= nowMs;
}

/** Milliseconds until the next ready pod becomes available, or undefined when none is waiting for that. */
export function nextAvailability(pods: readonly StoredPod[], minReadySeconds: number, nowMs: number): number | undefined {
  let next: number | undefined;
  for (const pod of pods) {
    const condition = readyCondition(pod);
    if (condition?.status !== 'True' || condition.lastTransitionTime === undefined) continue;
    const wait = msOf(condition.lastTransitionTime) + minReadySeconds * 1000 - nowMs;
    if (wait > 0 && (next === undefined || wait < next)) next = wait;
  }
  return next;
}

/** The highest restart count of any container. */
export function maxRestarts(pod: StoredPod): number {
  const all = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return all.reduce((most, c) => Math.max(most, c.restartCount), 0);
}

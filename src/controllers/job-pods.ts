/** Makes and deletes the pods of a Job: manageJob of k8s.io/kubernetes pkg/controller/job. */
import type { KubeClient } from '#client/contract.ts';
import type { EventRecorder } from '#client/events.ts';
import type { Informer } from '#client/informer.ts';
import type { Job } from '#kube/generated/batch-v1.ts';
import type { Pod } from '#kube/generated/core-v1.ts';
import { objectKey } from '#kube/object.ts';
import { jobs } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Expectations } from './expectations.ts';
import {
  finishTime,
  indexedTemplate,
  indexOf,
  isIndexed,
  isSuspended,
  missingIndexes,
  replacesOnlyFailed,
  type StoredJob,
  trackingFinalizer,
} from './job-model.ts';
import type { JobView } from './job-sync.ts';
import { controllerRef } from './ownership.ts';
import { isNamespaceTerminating, type PodControl, slowStartBatch } from './pod-control.ts';
import type { StoredPod } from './pods.ts';
import { rankForDeletion } from './replica-ranking.ts';

const maxPodsPerSync = 500;
const podFailureBackoff = { baseMs: 10_000, maxMs: 600_000 };

/** What every part of the Job controller works with. */
export interface JobContext {
  readonly client: KubeClient;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly owners: Informer<Job>;
  readonly allPods: Informer<Pod>;
  readonly expectations: Expectations;
  readonly control: PodControl;
  /** Pods whose finalizer is gone although the informer may still show it: they must not be counted twice. */
  readonly released: Set<string>;
  /** Failures since the last success: they delay the next pods. */
  readonly failures: Map<string, FailureRecord>;
}

export interface FailureRecord {
  /** Uids of the failed pods: a sync that has to be repeated must not count them again. */
  readonly pods: Set<string>;
  lastMs: number;
}

export function recordFailures(c: JobContext, v: JobView): void {
  const { uid } = v.job.metadata;
  const now = c.clock.now();
  const ended = [...v.newSucceeded, ...v.newFailed].map((pod) => ({ pod, at: finishTime(pod, now) })).sort((a, b) => a.at - b.at);
  for (const { pod, at } of ended) {
    if (pod.status?.phase === 'Succeeded') c.failures.delete(uid);
    else {
      const record = c.failures.get(uid) ?? { pods: new Set<string>(), lastMs: 0 };
      record.pods.add(pod.metadata.uid);
      record.lastMs = Math.max(record.lastMs, at);
      c.failures.set(uid, record);
    }
  }
}
function backoffLeft(c: JobContext, job: StoredJob): number {
  const record = c.failures.get(job.metadata.uid);
  if (record === undefined) return 0;
  return Math.max(0, record.lastMs + backoffMs(record.pods.size, podFailureBackoff) - c.clock.now());
}

export async function remove(
  c: JobContext,
  job: StoredJob,
  key: string,
  victims: readonly StoredPod[],
  signal: AbortSignal,
): Promise<void> {
  c.expectations.expectDeletions(key, victims.map(objectKey));
  const results = await Promise.allSettled(
    victims.map(async (pod) => {
      try {
        await c.control.remove(pod, job, signal);
      } catch (error) {
        c.expectations.deletionObserved(key, objectKey(pod));
        if (!isStatus(error, 'NotFound')) throw error;
      }
    }),
  );
  const failed = results.find((r) => r.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function add(c: JobContext, v: JobView, key: string, count: number, signal: AbortSignal): Promise<number> {
  const { job } = v;
  const template = job.spec?.template ?? {};
  const ref = controllerRef(jobs, job);
  const taken = new Set([...v.succeededIndexes, ...(v.failedIndexes ?? [])]);
  for (const pod of v.pods) {
    const index = indexOf(job, pod);
    const working =
      v.active.includes(pod) || (replacesOnlyFailed(job) && pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== 'Failed');
    if (index !== undefined && working) taken.add(index);
  }
  const indexes = isIndexed(job) ? missingIndexes(job, taken, count) : undefined;
  const total = indexes?.length ?? count;
  c.expectations.expectCreations(key, total);
  const { done, failure } = await slowStartBatch(total, async (i) => {
    const index = indexes?.[i];
    const perIndex = job.spec?.backoffLimitPerIndex === undefined ? undefined : (v.indexFailures.get(index ?? -1) ?? 0);
    const request =
      index === undefined
        ? { template }
        : { template: indexedTemplate(job, index, perIndex), generateName: `${job.metadata.name}-${index}-` };
    try {
      await c.control.create({ owner: job, ref, finalizers: [trackingFinalizer], ...request }, signal);
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
      c.expectations.creationObserved(key);
    }
  });
  for (let i = done; i < total; i++) c.expectations.creationObserved(key);
  if (failure !== undefined) throw failure;
  return done;
}

/** Brings the number of running pods to what is wanted; gives how many are active then, and when to look again. */
export async function manage(c: JobContext, v: JobView, key: string, signal: AbortSignal): Promise<{ active: number; wait?: number }> {
  const { job } = v;
  const active = v.active.length;
  if (isSuspended(job)) {
    await remove(c, job, key, v.active, signal);
    return { active: 0 };
  }
  const { parallelism = 1, completions } = job.spec ?? {};
  const left = completions === undefined ? parallelism : completions - v.succeeded - (v.failedIndexes?.size ?? 0);
  const wanted = completions === undefined && v.succeeded > 0 ? active : Math.max(0, Math.min(parallelism, left));
  const surplus = surplusPods(c, v, Math.max(0, active - wanted));
  if (surplus.length > 0) {
    const victims = surplus.slice(0, maxPodsPerSync);
    await remove(c, job, key, victims, signal);
    return { active: active - victims.length };
  }
  const missing = wanted - active - (replacesOnlyFailed(job) ? v.terminating : 0);
  if (missing <= 0) return { active };
  const wait = backoffLeft(c, job);
  if (wait > 0) return { active, wait };
  return { active: active + (await add(c, v, key, Math.min(missing, maxPodsPerSync), signal)) };
}

/** Pods beyond the wanted number, and of an indexed job those whose index is taken or out of range. */
function surplusPods(c: JobContext, v: JobView, atLeast: number): readonly StoredPod[] {
  const useless: StoredPod[] = [];
  if (isIndexed(v.job)) {
    const seen = new Set<number>();
    for (const pod of v.active) {
      const index = indexOf(v.job, pod);
      if (index === undefined || seen.has(index) || v.succeededIndexes.has(index) || v.failedIndexes?.has(index) === true)
        useless.push(pod);
      else seen.add(index);
    }
  }
  const rest = v.active.filter((pod) => !useless.includes(pod));
  const more = Math.max(0, atLeast - useless.length);
  return [...useless, ...rankForDeletion(rest, () => 0, c.clock.now()).slice(0, more)];
}

/** One look at one Job: what its pods amount to. */
import type { Job, JobCondition } from '#kube/generated/batch-v1.ts';
import { getCondition } from './conditions.ts';
import {
  condition,
  failureVerdict,
  hasFailed,
  hasFinalizer,
  indexOf,
  isIndexed,
  isSuspended,
  parseIndexes,
  type StoredJob,
  successRule,
} from './job-model.ts';
import { isActive, isReady, isTerminating, maxRestarts, type StoredPod } from './pods.ts';
import { msOf } from './times.ts';

export interface JobView {
  readonly job: StoredJob;
  readonly pods: readonly StoredPod[];
  readonly active: readonly StoredPod[];
  readonly ready: number;
  readonly terminating: number;
  /** Ended pods that have not been counted, by how they count. */
  readonly newSucceeded: readonly StoredPod[];
  readonly newFailed: readonly StoredPod[];
  /** Ended pods whose finalizer may go without their being counted (or because they are). */
  readonly uncounted: readonly StoredPod[];
  /** With everything that is new. */
  readonly succeeded: number;
  readonly failed: number;
  readonly succeededIndexes: ReadonlySet<number>;
  readonly failedIndexes: ReadonlySet<number> | undefined;
  /** Failures of each index so far, for backoffLimitPerIndex. */
  readonly indexFailures: ReadonlyMap<number, number>;
}

/** `released`: uids of pods whose finalizer has been removed, whatever the informer still shows. */
export function viewJob(job: StoredJob, pods: readonly StoredPod[], released: ReadonlySet<string>): JobView {
  const tracked = job.status?.uncountedTerminatedPods ?? {};
  const known = new Set([...(tracked.succeeded ?? []), ...(tracked.failed ?? [])]);
  const limit = job.spec?.completions ?? 0;
  const indexed = isIndexed(job);
  const succeededIndexes = parseIndexes(indexed ? job.status?.completedIndexes : '', limit);
  const newSucceeded: StoredPod[] = [];
  const newFailed: StoredPod[] = [];
  const uncounted: StoredPod[] = [];
  for (const pod of pods) {
    if (!hasFinalizer(pod) || released.has(pod.metadata.uid)) continue;
    const succeeded = pod.status?.phase === 'Succeeded';
    if (!succeeded && !hasFailed(job, pod)) continue;
    uncounted.push(pod);
    if (known.has(pod.metadata.uid)) continue;
    if (succeeded) {
      const index = indexOf(job, pod);
      if (indexed && index === undefined) continue;
      if (index !== undefined) succeededIndexes.add(index);
      newSucceeded.push(pod);
    } else if (failureVerdict(job, pod).action !== 'Ignore') newFailed.push(pod);
  }
  const indexFailures = countIndexFailures(job, pods);
  const active = pods.filter(isActive);
  return {
    job,
    pods,
    active,
    ready: active.filter(isReady).length,
    terminating: pods.filter(isTerminating).length,
    newSucceeded,
    newFailed,
    uncounted,
    succeeded: indexed ? succeededIndexes.size : (job.status?.succeeded ?? 0) + (tracked.succeeded?.length ?? 0) + newSucceeded.length,
    failed: (job.status?.failed ?? 0) + (tracked.failed?.length ?? 0) + newFailed.length,
    succeededIndexes,
    failedIndexes: job.spec?.backoffLimitPerIndex === undefined ? undefined : failedIndexesOf(job, pods, succeededIndexes, indexFailures),
    indexFailures,
  };
}

function countIndexFailures(job: StoredJob, pods: readonly StoredPod[]): ReadonlyMap<number, number> {
  const failures = new Map<number, number>();
  if (job.spec?.backoffLimitPerIndex === undefined) return failures;
  for (const pod of pods) {
    const index = indexOf(job, pod);
    if (index === undefined || !hasFailed(job, pod) || failureVerdict(job, pod).action === 'Ignore') continue;
    failures.set(index, (failures.get(index) ?? 0) + 1);
  }
  return failures;
}

function failedIndexesOf(
  job: StoredJob,
  pods: readonly StoredPod[],
  succeeded: ReadonlySet<number>,
  failures: ReadonlyMap<number, number>,
): ReadonlySet<number> {
  const out = parseIndexes(job.status?.failedIndexes, job.spec?.completions ?? 0);
  for (const [index, count] of failures) if (count > (job.spec?.backoffLimitPerIndex ?? 0)) out.add(index);
  for (const pod of pods) {
    const index = indexOf(job, pod);
    if (index !== undefined && hasFailed(job, pod) && failureVerdict(job, pod).action === 'FailIndex') out.add(index);
  }
  for (const index of succeeded) out.delete(index);
  return out;
}

/** The end that a job comes to, as the interim condition SuccessCriteriaMet or FailureTarget; undefined while it goes on. */
export function outcome(v: JobView, nowMs: number): JobCondition | undefined {
  const { job } = v;
  const failure = (reason: string, message: string): JobCondition => condition('FailureTarget', 'True', reason, message, nowMs);
  for (const type of ['SuccessCriteriaMet', 'FailureTarget']) {
    const known = getCondition(job.status?.conditions, type);
    if (known?.status === 'True') return known;
  }
  for (const pod of v.uncounted) {
    const verdict = failureVerdict(job, pod);
    if (verdict.action === 'FailJob') return failure('PodFailurePolicy', verdict.message ?? '');
  }
  if (v.failed > (job.spec?.backoffLimit ?? 6) || pastRestarts(job, v.active))
    return failure('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  if (deadlineIn(job, nowMs) === 0) return failure('DeadlineExceeded', 'Job was active longer than specified deadline');
  const maxFailed = job.spec?.maxFailedIndexes;
  if (v.failedIndexes !== undefined && maxFailed !== undefined && v.failedIndexes.size > maxFailed)
    return failure('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes');
  const rule = successRule(job, v.succeededIndexes);
  if (rule !== undefined) return condition('SuccessCriteriaMet', 'True', 'SuccessPolicy', `Matched rules at index ${rule}`, nowMs);
  return undefined;
}

/** The end that a job reaches because everything that was asked for has been done. `active`: after this sync's steps. */
export function completion(v: JobView, active: number, nowMs: number): JobCondition | undefined {
  const { completions } = v.job.spec ?? {};
  if (active > 0) return undefined;
  const met = (): JobCondition =>
    condition('SuccessCriteriaMet', 'True', 'CompletionsReached', 'Reached expected number of succeeded pods', nowMs);
  if (completions === undefined) return v.succeeded > 0 ? met() : undefined;
  const failed = v.failedIndexes?.size ?? 0;
  if (failed > 0 && v.succeeded + failed >= completions)
    return condition('FailureTarget', 'True', 'FailedIndexes', 'Job has failed indexes', nowMs);
  return v.succeeded >= completions ? met() : undefined;
}

/** With restartPolicy OnFailure the restarts of running pods count as failures. */
function pastRestarts(job: StoredJob, active: readonly StoredPod[]): boolean {
  if (job.spec?.template.spec?.restartPolicy !== 'OnFailure') return false;
  const restarts = active.reduce((sum, pod) => sum + maxRestarts(pod), 0);
  const limit = job.spec.backoffLimit ?? 6;
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

/** Milliseconds until activeDeadlineSeconds have passed, 0 when they have, undefined without a deadline. */
export function deadlineIn(job: StoredJob, nowMs: number): number | undefined {
  const seconds = job.spec?.activeDeadlineSeconds;
  if (seconds === undefined || job.status?.startTime === undefined || isSuspended(job)) return undefined;
  return Math.max(0, msOf(job.status.startTime) + seconds * 1000 - nowMs);
}

export type JobStatus = NonNullable<Job['status']>;

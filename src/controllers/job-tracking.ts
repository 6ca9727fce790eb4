/** Counts the ended pods of a Job: trackJobStatusAndRemoveFinalizers of k8s.io/kubernetes pkg/controller/job. */
import type { JobCondition } from '#kube/generated/batch-v1.ts';
import { jobs, pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { getCondition, setCondition } from './conditions.ts';
import { condition, formatIndexes, hasFinalizer, isIndexed, isSuspended, type StoredJob, trackingFinalizer } from './job-model.ts';
import type { JobContext } from './job-pods.ts';
import type { JobStatus, JobView } from './job-sync.ts';
import type { StoredPod } from './pods.ts';
import { sameStatus } from './same-status.ts';
import { isoTime } from './times.ts';

const maxReleased = 100_000;

export async function release(c: JobContext, pod: StoredPod, signal: AbortSignal): Promise<void> {
  const { name: podName, namespace = '', uid } = pod.metadata;
  try {
    const patch = { metadata: { uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] } };
    await c.client.patch(pods, { namespace, name: podName }, 'strategic', patch, { signal });
  } catch (error) {
    // Gone, or another pod under its name.
    if (!isStatus(error, 'NotFound', 'Conflict', 'Invalid')) throw error;
  }
  c.released.add(uid);
  if (c.released.size > maxReleased) c.released.delete(c.released.values().next().value as string);
}

async function writeStatus(c: JobContext, job: StoredJob, status: JobStatus, signal: AbortSignal): Promise<StoredJob> {
  if (sameStatus(status, job.status)) return job;
  const written = await c.client.update(jobs, { ...job, status }, { subresource: 'status', signal });
  await c.owners.reached(written.metadata.resourceVersion, signal);
  return written;
}

/**
 * Counts ended pods so that none is lost or counted twice, whenever we are stopped: first their uids go into the status,
 * then the finalizers are removed, then the uids become numbers.
 */
export async function settle(
  c: JobContext,
  v: JobView,
  counts: { readonly active: number; readonly ready: number; readonly terminating: number },
  end: JobCondition | undefined,
  signal: AbortSignal,
): Promise<void> {
  const now = c.clock.now();
  let { job } = v;
  let status = withProgress(v, counts, end, now);
  announceSuspension(c, job, status);
  const tracked = status.uncountedTerminatedPods ?? {};
  const uids = (list: readonly StoredPod[]): readonly string[] => list.map((pod) => pod.metadata.uid);
  const succeeded = [...(tracked.succeeded ?? []), ...(isIndexed(job) ? [] : uids(v.newSucceeded))];
  const failed = [...(tracked.failed ?? []), ...uids(v.newFailed)];
  if (v.uncounted.length > 0) {
    status = {
      ...status,
      uncountedTerminatedPods: { ...(succeeded.length === 0 ? {} : { succeeded }), ...(failed.length === 0 ? {} : { failed }) },
    };
    job = await writeStatus(c, job, status, signal);
    await Promise.all(v.uncounted.map((pod) => release(c, pod, signal)));
  }
  const total = { succeeded: (status.succeeded ?? 0) + succeeded.length, failed: (status.failed ?? 0) + failed.length };
  const { uncountedTerminatedPods: _done, ...rest } = status;
  status = {
    ...rest,
    uncountedTerminatedPods: {},
    ...(isIndexed(job)
      ? v.succeeded === 0
        ? {}
        : { succeeded: v.succeeded }
      : total.succeeded === 0
        ? {}
        : { succeeded: total.succeeded }),
    ...(total.failed === 0 ? {} : { failed: total.failed }),
  };
  const finished =
    end !== undefined &&
    counts.active === 0 &&
    v.pods.every((pod) => !hasFinalizer(pod) || c.released.has(pod.metadata.uid) || v.uncounted.includes(pod));
  if (end !== undefined && finished && counts.terminating === 0) status = finish(status, end, now);
  await writeStatus(c, job, status, signal);
  if (getCondition(status.conditions, 'Complete') !== undefined) c.recorder.event(job, 'Normal', 'Completed', 'Job completed');
  else if (end !== undefined && getCondition(status.conditions, 'Failed') !== undefined)
    c.recorder.event(job, 'Warning', end.reason ?? '', end.message ?? '');
}
function announceSuspension(c: JobContext, job: StoredJob, status: JobStatus): void {
  const before = getCondition(job.status?.conditions, 'Suspended')?.status ?? 'False';
  const after = getCondition(status.conditions, 'Suspended')?.status ?? 'False';
  if (before === after) return;
  if (after === 'True') c.recorder.event(job, 'Normal', 'Suspended', 'Job suspended');
  else c.recorder.event(job, 'Normal', 'Resumed', 'Job resumed');
}

/** The status before ended pods are counted: start, suspension, numbers of running pods, indexes, the interim condition. */
function withProgress(
  v: JobView,
  counts: { readonly active: number; readonly ready: number; readonly terminating: number },
  end: JobCondition | undefined,
  nowMs: number,
): JobStatus {
  const { job } = v;
  const { active: _a, ready: _r, terminating: _t, completedIndexes: _c, failedIndexes: _f, ...old } = job.status ?? {};
  let { conditions = [], startTime } = old;
  const suspended = getCondition(conditions, 'Suspended');
  if (end === undefined && isSuspended(job) && suspended?.status !== 'True') {
    conditions = setCondition(conditions, condition('Suspended', 'True', 'JobSuspended', 'Job suspended', nowMs));
    startTime = undefined;
  } else if (end === undefined && !isSuspended(job) && suspended?.status === 'True') {
    conditions = setCondition(conditions, condition('Suspended', 'False', 'JobResumed', 'Job resumed', nowMs));
    startTime = isoTime(nowMs);
  }
  if (startTime === undefined && !isSuspended(job)) startTime = isoTime(nowMs);
  if (end !== undefined) conditions = setCondition(conditions, end);
  const { startTime: _s, conditions: _o, ...rest } = old;
  return {
    ...rest,
    ...(startTime === undefined ? {} : { startTime }),
    ...(conditions.length === 0 ? {} : { conditions }),
    ...(counts.active === 0 ? {} : { active: counts.active }),
    ready: counts.ready,
    terminating: counts.terminating,
    ...(isIndexed(job) && v.succeededIndexes.size > 0 ? { completedIndexes: formatIndexes(v.succeededIndexes) } : {}),
    ...(v.failedIndexes === undefined ? {} : { failedIndexes: formatIndexes(v.failedIndexes) }),
  };
}

function finish(status: JobStatus, end: JobCondition, nowMs: number): JobStatus {
  const complete = end.type === 'SuccessCriteriaMet';
  const last = condition(complete ? 'Complete' : 'Failed', 'True', end.reason ?? '', end.message ?? '', nowMs);
  return {
    ...status,
    conditions: setCondition(status.conditions, last),
    ...(complete ? { completionTime: isoTime(nowMs) } : {}),
  };
}

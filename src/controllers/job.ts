/** Runs pods to completion: k8s.io/kubernetes pkg/controller/job. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { JobCondition } from '#kube/generated/batch-v1.ts';
import { controllerOf, objectKey } from '#kube/object.ts';
import { jobs, pods } from '#kube/refs.ts';
import { fromLabelSelector } from '#kube/selector.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import { getCondition, setCondition } from './conditions.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { candidatesFor, indexByController } from './controller-index.ts';
import { createExpectations } from './expectations.ts';
import {
  condition,
  finishTime,
  formatIndexes,
  hasFinalizer,
  indexedTemplate,
  indexOf,
  isFinished,
  isIndexed,
  isSuspended,
  missingIndexes,
  replacesOnlyFailed,
  type StoredJob,
  trackingFinalizer,
} from './job-model.ts';
import { completion, deadlineIn, type JobStatus, type JobView, outcome, viewJob } from './job-sync.ts';
import { followPods, ownerOf } from './owned-pods.ts';
import { claim, controllerRef } from './ownership.ts';
import { createPodControl, isNamespaceTerminating, slowStartBatch } from './pod-control.ts';
import type { StoredPod } from './pods.ts';
import { rankForDeletion } from './replica-ranking.ts';
import { sameStatus } from './same-status.ts';
import { isoTime } from './times.ts';

const name = 'job-controller';
const managedBy = 'kubernetes.io/job-controller';
const maxPodsPerSync = 500;
const podFailureBackoff = { baseMs: 10_000, maxMs: 600_000 };
const maxReleased = 100_000;

/** Failures since the last success: they delay the next pods. */
interface FailureRecord {
  count: number;
  lastMs: number;
}

function create(deps: ControllerDeps) {
  const { client, informers, recorder, clock } = deps;
  const owners = informers.informer(jobs);
  const allPods = informers.informer(pods);
  indexByController(allPods);
  const expectations = createExpectations(clock);
  const control = createPodControl(client, recorder);
  /** Pods whose finalizer is gone although the informer may still show it: they must not be counted twice. */
  const released = new Set<string>();
  const failures = new Map<string, FailureRecord>();

  const release = async (pod: StoredPod, signal: AbortSignal): Promise<void> => {
    const { name: podName, namespace = '', uid } = pod.metadata;
    try {
      const patch = { metadata: { uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] } };
      await client.patch(pods, { namespace, name: podName }, 'strategic', patch, { signal });
    } catch (error) {
      // Gone, or another pod under its name.
      if (!isStatus(error, 'NotFound', 'Conflict', 'Invalid')) throw error;
    }
    released.add(uid);
    if (released.size > maxReleased) released.delete(released.values().next().value as string);
  };

  const writeStatus = async (job: StoredJob, status: JobStatus, signal: AbortSignal): Promise<StoredJob> => {
    if (sameStatus(status, job.status)) return job;
    const written = await client.update(jobs, { ...job, status }, { subresource: 'status', signal });
    await owners.reached(written.metadata.resourceVersion, signal);
    return written;
  };

  const recordFailures = (v: JobView): void => {
    const { uid } = v.job.metadata;
    const now = clock.now();
    const ended = [...v.newSucceeded, ...v.newFailed].map((pod) => ({ pod, at: finishTime(pod, now) })).sort((a, b) => a.at - b.at);
    for (const { pod, at } of ended) {
      if (pod.status?.phase === 'Succeeded') failures.delete(uid);
      else {
        const record = failures.get(uid) ?? { count: 0, lastMs: 0 };
        failures.set(uid, { count: record.count + 1, lastMs: Math.max(record.lastMs, at) });
      }
    }
  };
  const backoffLeft = (job: StoredJob): number => {
    const record = failures.get(job.metadata.uid);
    if (record === undefined) return 0;
    return Math.max(0, record.lastMs + backoffMs(record.count, podFailureBackoff) - clock.now());
  };

  const remove = async (job: StoredJob, key: string, victims: readonly StoredPod[], signal: AbortSignal): Promise<void> => {
    expectations.expectDeletions(key, victims.map(objectKey));
    const results = await Promise.allSettled(
      victims.map(async (pod) => {
        try {
          await control.remove(pod, job, signal);
        } catch (error) {
          expectations.deletionObserved(key, objectKey(pod));
          if (!isStatus(error, 'NotFound')) throw error;
        }
      }),
    );
    const failed = results.find((r) => r.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };

  const add = async (v: JobView, key: string, count: number, signal: AbortSignal): Promise<number> => {
    const { job } = v;
    const template = job.spec?.template ?? {};
    const ref = controllerRef(jobs, job);
    const taken = new Set([...v.succeededIndexes, ...(v.failedIndexes ?? [])]);
    for (const pod of v.pods) {
      const index = indexOf(job, pod);
      const working =
        v.active.includes(pod) ||
        (replacesOnlyFailed(job) && pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== 'Failed');
      if (index !== undefined && working) taken.add(index);
    }
    const indexes = isIndexed(job) ? missingIndexes(job, taken, count) : undefined;
    const total = indexes?.length ?? count;
    expectations.expectCreations(key, total);
    const { done, failure } = await slowStartBatch(total, async (i) => {
      const index = indexes?.[i];
      const perIndex = job.spec?.backoffLimitPerIndex === undefined ? undefined : (v.indexFailures.get(index ?? -1) ?? 0);
      const request =
        index === undefined
          ? { template }
          : { template: indexedTemplate(job, index, perIndex), generateName: `${job.metadata.name}-${index}-` };
      try {
        await control.create({ owner: job, ref, finalizers: [trackingFinalizer], ...request }, signal);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
        expectations.creationObserved(key);
      }
    });
    for (let i = done; i < total; i++) expectations.creationObserved(key);
    if (failure !== undefined) throw failure;
    return done;
  };

  /** Brings the number of running pods to what is wanted; gives how many are active then, and when to look again. */
  const manage = async (v: JobView, key: string, signal: AbortSignal): Promise<{ active: number; wait?: number }> => {
    const { job } = v;
    const active = v.active.length;
    if (isSuspended(job)) {
      await remove(job, key, v.active, signal);
      return { active: 0 };
    }
    const { parallelism = 1, completions } = job.spec ?? {};
    const left = completions === undefined ? parallelism : completions - v.succeeded - (v.failedIndexes?.size ?? 0);
    const wanted = completions === undefined && v.succeeded > 0 ? active : Math.max(0, Math.min(parallelism, left));
    const surplus = surplusPods(v, Math.max(0, active - wanted));
    if (surplus.length > 0) {
      const victims = surplus.slice(0, maxPodsPerSync);
      await remove(job, key, victims, signal);
      return { active: active - victims.length };
    }
    const missing = wanted - active - (replacesOnlyFailed(job) ? v.terminating : 0);
    if (missing <= 0) return { active };
    const wait = backoffLeft(job);
    if (wait > 0) return { active, wait };
    return { active: active + (await add(v, key, Math.min(missing, maxPodsPerSync), signal)) };
  };

  /** Pods beyond the wanted number, and of an indexed job those whose index is taken or out of range. */
  const surplusPods = (v: JobView, atLeast: number): readonly StoredPod[] => {
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
    return [...useless, ...rankForDeletion(rest, () => 0, clock.now()).slice(0, more)];
  };

  const sync = async (job: StoredJob, key: string, signal: AbortSignal): Promise<Requeue> => {
    const claimed = await claim({
      client,
      ownerResource: jobs,
      owner: job,
      resource: pods,
      selector: fromLabelSelector(job.spec?.selector),
      candidates: candidatesFor(allPods, job),
      finalizers: [trackingFinalizer],
      signal,
    });
    const v = viewJob(job, claimed, released);
    recordFailures(v);
    let end = outcome(v, clock.now());
    let active = v.active.length;
    let ready = v.ready;
    let { terminating } = v;
    let wait: number | undefined;
    let failure: unknown;
    try {
      if (end !== undefined) {
        await remove(job, key, v.active, signal);
        terminating += active;
        active = 0;
        ready = 0;
      } else if (expectations.satisfied(key) && job.metadata.deletionTimestamp === undefined) {
        const managed = await manage(v, key, signal);
        if (managed.active < active) {
          terminating += active - managed.active;
          if (managed.active === 0) ready = 0;
        }
        ({ active } = managed);
        wait = managed.wait;
        end = completion(v, active, clock.now());
      } else end = completion(v, active, clock.now());
    } catch (error) {
      failure = error;
    }
    await settle(v, { active, ready: Math.min(ready, active), terminating }, end, signal);
    if (failure !== undefined) throw failure;
    const deadline = deadlineIn(owners.get(key) ?? job, clock.now());
    return deadline === undefined || deadline === 0 ? wait : Math.min(deadline, wait ?? deadline);
  };

  /**
   * Counts ended pods so that none is lost or counted twice, whenever we are stopped: first their uids go into the status,
   * then the finalizers are removed, then the uids become numbers.
   */
  const settle = async (
    v: JobView,
    counts: { readonly active: number; readonly ready: number; readonly terminating: number },
    end: JobCondition | undefined,
    signal: AbortSignal,
  ): Promise<void> => {
    const now = clock.now();
    let { job } = v;
    let status = withProgress(v, counts, end, now);
    announceSuspension(job, status);
    const tracked = status.uncountedTerminatedPods ?? {};
    const uids = (list: readonly StoredPod[]): readonly string[] => list.map((pod) => pod.metadata.uid);
    const succeeded = [...(tracked.succeeded ?? []), ...(isIndexed(job) ? [] : uids(v.newSucceeded))];
    const failed = [...(tracked.failed ?? []), ...uids(v.newFailed)];
    if (v.uncounted.length > 0) {
      status = {
        ...status,
        uncountedTerminatedPods: { ...(succeeded.length === 0 ? {} : { succeeded }), ...(failed.length === 0 ? {} : { failed }) },
      };
      job = await writeStatus(job, status, signal);
      await Promise.all(v.uncounted.map((pod) => release(pod, signal)));
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
      v.pods.every((pod) => !hasFinalizer(pod) || released.has(pod.metadata.uid) || isGoing(v, pod));
    if (end !== undefined && finished && counts.terminating === 0) status = finish(status, end, now);
    await writeStatus(job, status, signal);
    if (getCondition(status.conditions, 'Complete') !== undefined) recorder.event(job, 'Normal', 'Completed', 'Job completed');
    else if (end !== undefined && getCondition(status.conditions, 'Failed') !== undefined)
      recorder.event(job, 'Warning', end.reason ?? '', end.message ?? '');
  };
  const isGoing = (v: JobView, pod: StoredPod): boolean => v.uncounted.includes(pod);

  const announceSuspension = (job: StoredJob, status: JobStatus): void => {
    const before = getCondition(job.status?.conditions, 'Suspended')?.status ?? 'False';
    const after = getCondition(status.conditions, 'Suspended')?.status ?? 'False';
    if (before === after) return;
    if (after === 'True') recorder.event(job, 'Normal', 'Suspended', 'Job suspended');
    else recorder.event(job, 'Normal', 'Resumed', 'Job resumed');
  };

  const reconciler = createReconciler(deps, {
    name,
    sources: [owners, allPods],
    keys: () => owners.keys(),
    reconcile: async (key, signal) => {
      const job = owners.get(key);
      if (job === undefined) {
        expectations.forget(key);
        return undefined;
      }
      if (isFinished(job) || (job.spec?.managedBy ?? managedBy) !== managedBy) {
        failures.delete(job.metadata.uid);
        return undefined;
      }
      return sync(job, key, signal);
    },
  });
  const orphans = createReconciler(deps, {
    name: `${name}-orphans`,
    sources: [owners, allPods],
    reconcile: async (key, signal) => {
      const pod = allPods.get(key);
      if (pod === undefined || !isOrphan(pod)) return undefined;
      await release(pod, signal);
      return undefined;
    },
  });
  /** A tracked pod whose job is gone or has ended: nobody will count it, so nothing may hold it. */
  const isOrphan = (pod: StoredPod): boolean => {
    const ref = controllerOf(pod);
    if (!hasFinalizer(pod) || (ref !== undefined && ref.kind !== 'Job')) return false;
    const job = ownerOf(jobs, owners, pod.metadata.namespace, ref);
    return job === undefined || isFinished(job);
  };
  const { queue } = reconciler;
  owners.addHandler({
    added: (job) => queue.add(objectKey(job)),
    updated: (job) => {
      queue.add(objectKey(job));
      if (isFinished(job)) for (const pod of candidatesFor(allPods, job)) if (isOrphan(pod)) orphans.queue.add(objectKey(pod));
    },
    deleted: (job) => {
      expectations.forget(objectKey(job));
      failures.delete(job.metadata.uid);
      queue.add(objectKey(job));
      for (const pod of candidatesFor(allPods, job)) if (isOrphan(pod)) orphans.queue.add(objectKey(pod));
    },
  });
  followPods({
    resource: jobs,
    owners,
    pods: allPods,
    selectorOf: (job) => fromLabelSelector(job.spec?.selector),
    expectations,
    enqueue: (job) => queue.add(objectKey(job)),
  });
  const checkOrphan = (pod: StoredPod): void => {
    if (hasFinalizer(pod) && isOrphan(pod)) orphans.queue.add(objectKey(pod));
    else if (!hasFinalizer(pod)) released.delete(pod.metadata.uid);
  };
  allPods.addHandler({ added: checkOrphan, updated: checkOrphan, deleted: (pod) => void released.delete(pod.metadata.uid) });
  return [reconciler, orphans];
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

export const jobController: ControllerDef = { name, create };

/** Makes Jobs by the clock: k8s.io/kubernetes pkg/controller/cronjob. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { CronJob, CronJobStatus, Job } from '#kube/generated/batch-v1.ts';
import type { ObjectReference } from '#kube/generated/core-v1.ts';
import { controllerOf, objectKey, type Stored } from '#kube/object.ts';
import { cronJobs, jobs } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { hasTrueCondition } from './conditions.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { controlledBy, indexByController } from './controller-index.ts';
import { isTimeZone, parseSchedule, type Schedule } from './cron-schedule.ts';
import { ownerOf } from './owned-pods.ts';
import { controllerRef, isControlledBy } from './ownership.ts';
import { isNamespaceTerminating, textOf } from './pod-control.ts';
import { sameStatus } from './same-status.ts';
import { isoTime, msOf } from './times.ts';

const name = 'cronjob-controller';
const tooManyMissed = 100;
/** A little late, so that the minute has surely begun. */
const slackMs = 100;

type StoredCronJob = Stored<CronJob>;
type StoredJob = Stored<Job>;

const finishedAs = (job: StoredJob): 'Complete' | 'Failed' | undefined =>
  hasTrueCondition(job.status?.conditions, 'Complete')
    ? 'Complete'
    : hasTrueCondition(job.status?.conditions, 'Failed')
      ? 'Failed'
      : undefined;

/** The latest time that has come since the last run, and how many have. */
export function missedTimes(
  schedule: Schedule,
  sinceMs: number,
  nowMs: number,
): { readonly latest: number | undefined; readonly count: number } {
  let latest: number | undefined;
  let count = 0;
  for (let t = schedule.next(sinceMs); t !== undefined && t <= nowMs; t = schedule.next(t)) {
    latest = t;
    count++;
    if (count <= tooManyMissed) continue;
    // Enough to complain: the latest one is found by going back from now.
    for (let back = 60_000; back <= nowMs - sinceMs; back *= 2) {
      let found: number | undefined;
      for (let u = schedule.next(nowMs - back); u !== undefined && u <= nowMs; u = schedule.next(u)) found = u;
      if (found !== undefined) return { latest: found, count };
    }
    return { latest, count };
  }
  return { latest, count };
}

function create(deps: ControllerDeps) {
  const { client, informers, recorder, clock } = deps;
  const owners = informers.informer(cronJobs);
  const allJobs = informers.informer(jobs);
  indexByController(allJobs);

  const scheduleOf = (cj: StoredCronJob): Schedule | undefined => {
    const schedule = cj.spec?.schedule ?? '';
    const timeZone = cj.spec?.timeZone;
    if (timeZone !== undefined && !isTimeZone(timeZone)) {
      recorder.event(cj, 'Warning', 'UnknownTimeZone', `invalid timeZone: "${timeZone}": unknown time zone ${timeZone}`);
      return undefined;
    }
    try {
      return parseSchedule(schedule, timeZone);
    } catch (error) {
      recorder.event(cj, 'Warning', 'UnparseableSchedule', `unparseable schedule: "${schedule}" : ${textOf(error)}`);
      return undefined;
    }
  };

  /** Brings status.active in line with the jobs that there are. */
  const syncActive = async (cj: StoredCronJob, children: readonly StoredJob[], signal: AbortSignal): Promise<CronJobStatus> => {
    let { active = [], lastSuccessfulTime } = cj.status ?? {};
    for (const job of children) {
      const listed = active.some((a) => a.uid === job.metadata.uid);
      const end = finishedAs(job);
      if (!listed && end === undefined) {
        const fresh = await client.get(cronJobs, atOf(cj), { signal });
        if (fresh.status?.active?.some((a) => a.uid === job.metadata.uid) === true) continue;
        recorder.event(cj, 'Warning', 'UnexpectedJob', `Saw a job that the controller did not create or forgot: ${job.metadata.name}`);
      } else if (listed && end !== undefined) {
        active = active.filter((a) => a.uid !== job.metadata.uid);
        recorder.event(cj, 'Normal', 'SawCompletedJob', `Saw completed job: ${job.metadata.name}, condition: ${end}`);
      }
      const done = job.status?.completionTime;
      if (end === 'Complete' && done !== undefined && (lastSuccessfulTime === undefined || msOf(done) > msOf(lastSuccessfulTime)))
        lastSuccessfulTime = done;
    }
    for (const reference of active) {
      if (children.some((job) => job.metadata.uid === reference.uid) || (await exists(cj, reference, signal))) continue;
      recorder.event(cj, 'Normal', 'MissingJob', `Active job went missing: ${reference.name}`);
      active = active.filter((a) => a !== reference);
    }
    return {
      ...cj.status,
      ...(lastSuccessfulTime === undefined ? {} : { lastSuccessfulTime }),
      active,
    };
  };
  const exists = async (cj: StoredCronJob, reference: ObjectReference, signal: AbortSignal): Promise<boolean> => {
    try {
      const job = await client.get(jobs, { ...atOf(cj), name: reference.name ?? '' }, { signal });
      return job.metadata.uid === reference.uid;
    } catch (error) {
      if (isStatus(error, 'NotFound')) return false;
      throw error;
    }
  };

  const deleteJob = async (cj: StoredCronJob, jobName: string, signal: AbortSignal): Promise<void> => {
    try {
      await client.delete(jobs, { ...atOf(cj), name: jobName }, { propagationPolicy: 'Background' }, { signal });
      recorder.event(cj, 'Normal', 'SuccessfulDelete', `Deleted job ${jobName}`);
    } catch (error) {
      if (isStatus(error, 'NotFound')) return;
      recorder.event(cj, 'Warning', 'FailedDelete', `Deleted job: ${textOf(error)}`);
      throw error;
    }
  };
  const trimHistory = async (cj: StoredCronJob, children: readonly StoredJob[], signal: AbortSignal): Promise<void> => {
    const limits = { Complete: cj.spec?.successfulJobsHistoryLimit, Failed: cj.spec?.failedJobsHistoryLimit };
    for (const end of ['Complete', 'Failed'] as const) {
      const limit = limits[end];
      if (limit === undefined) continue;
      const ended = children.filter((job) => finishedAs(job) === end && job.metadata.deletionTimestamp === undefined);
      const sorted = ended.sort(
        (a, b) => msOf(a.status?.startTime ?? a.metadata.creationTimestamp) - msOf(b.status?.startTime ?? b.metadata.creationTimestamp),
      );
      for (const job of sorted.slice(0, Math.max(0, ended.length - limit))) await deleteJob(cj, job.metadata.name, signal);
    }
  };

  /** Starts the job that is due, if any and if it may; gives the status after it. */
  const startDue = async (cj: StoredCronJob, schedule: Schedule, status: CronJobStatus, signal: AbortSignal): Promise<CronJobStatus> => {
    const now = clock.now();
    const deadlineMs = cj.spec?.startingDeadlineSeconds === undefined ? undefined : cj.spec.startingDeadlineSeconds * 1000;
    let since = msOf(cj.status?.lastScheduleTime ?? cj.metadata.creationTimestamp);
    if (deadlineMs !== undefined) since = Math.max(since, now - deadlineMs);
    const { latest, count } = missedTimes(schedule, since, now);
    if (count > tooManyMissed)
      recorder.event(
        cj,
        'Warning',
        'TooManyMissedTimes',
        `too many missed start times: ${count}. Set or decrease .spec.startingDeadlineSeconds or check clock skew`,
      );
    if (latest === undefined) return status;
    if (deadlineMs !== undefined && latest + deadlineMs < now) {
      recorder.event(cj, 'Warning', 'MissSchedule', `Missed scheduled time to start a job: ${new Date(latest).toUTCString()}`);
      return status;
    }
    const jobName = `${cj.metadata.name}-${Math.floor(latest / 60_000)}`;
    if (status.active?.some((a) => a.name === jobName) === true || cj.status?.lastScheduleTime === isoTime(latest)) return status;
    const policy = cj.spec?.concurrencyPolicy;
    let active = status.active ?? [];
    if (policy === 'Forbid' && active.length > 0) {
      const text = 'Not starting job because prior execution is running and concurrency policy is Forbid';
      recorder.event(cj, 'Normal', 'JobAlreadyActive', text);
      return status;
    }
    if (policy === 'Replace') {
      for (const running of active) await deleteJob(cj, running.name ?? '', signal);
      active = [];
    }
    const job = await createJob(cj, jobName, latest, signal);
    if (job === undefined) return { ...status, active };
    const { uid, resourceVersion, namespace = '' } = job.metadata;
    const reference = { apiVersion: 'batch/v1', kind: 'Job', name: jobName, namespace, uid, resourceVersion };
    return { ...status, active: [...active, reference], lastScheduleTime: isoTime(latest) };
  };

  const createJob = async (
    cj: StoredCronJob,
    jobName: string,
    scheduledMs: number,
    signal: AbortSignal,
  ): Promise<StoredJob | undefined> => {
    const template = cj.spec?.jobTemplate;
    const annotations = { ...template?.metadata?.annotations, 'batch.kubernetes.io/cronjob-scheduled-timestamp': isoTime(scheduledMs) };
    const job: Job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name: jobName,
        namespace: cj.metadata.namespace ?? '',
        annotations,
        ...(template?.metadata?.labels === undefined ? {} : { labels: template.metadata.labels }),
        ownerReferences: [controllerRef(cronJobs, cj)],
      },
      ...(template?.spec === undefined ? {} : { spec: template.spec }),
    };
    try {
      const made = await client.create(jobs, job, { signal });
      await allJobs.reached(made.metadata.resourceVersion, signal);
      recorder.event(cj, 'Normal', 'SuccessfulCreate', `Created job ${jobName}`);
      return made;
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined;
      if (isStatus(error, 'AlreadyExists')) {
        const there = await client.get(jobs, { ...atOf(cj), name: jobName }, { signal });
        if (isControlledBy(there, cj)) return there;
      }
      if (!signal.aborted) recorder.event(cj, 'Warning', 'FailedCreate', `Error creating job: ${textOf(error)}`);
      throw error;
    }
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const cj = owners.get(key);
    if (cj === undefined) return undefined;
    const children = controlledBy(allJobs, cj.metadata.uid);
    let status = await syncActive(cj, children, signal);
    await trimHistory(cj, children, signal);
    const runs = cj.metadata.deletionTimestamp === undefined && cj.spec?.suspend !== true;
    const schedule = runs ? scheduleOf(cj) : undefined;
    if (schedule !== undefined) status = await startDue(cj, schedule, status, signal);
    if (!sameStatus(normal(status), normal(cj.status ?? {}))) {
      const written = await client.update(cronJobs, { ...cj, status: normal(status) }, { subresource: 'status', signal });
      await owners.reached(written.metadata.resourceVersion, signal);
    }
    const next = schedule?.next(clock.now());
    return next === undefined ? undefined : next - clock.now() + slackMs;
  };

  const reconciler = createReconciler(deps, { name, sources: [owners, allJobs], reconcile, keys: () => owners.keys() });
  const { queue } = reconciler;
  owners.addHandler({ added: (cj) => queue.add(objectKey(cj)), updated: (cj) => queue.add(objectKey(cj)) });
  const jobChanged = (job: StoredJob): void => {
    const cj = ownerOf(cronJobs, owners, job.metadata.namespace, controllerOf(job));
    if (cj !== undefined) queue.add(objectKey(cj));
  };
  allJobs.addHandler({ added: jobChanged, updated: jobChanged, deleted: jobChanged });
  return [reconciler];
}

const atOf = (o: Stored): { name: string; namespace: string } => ({ name: o.metadata.name, namespace: o.metadata.namespace ?? '' });

/** An empty list of active jobs is left out, as the server does. */
function normal(status: CronJobStatus): CronJobStatus {
  const { active, ...rest } = status;
  return active === undefined || active.length === 0 ? rest : { ...rest, active };
}

export const cronJobController: ControllerDef = { name, create };

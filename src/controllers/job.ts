/** Runs pods to completion: k8s.io/kubernetes pkg/controller/job. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import { controllerOf, objectKey } from '#kube/object.ts';
import { jobs, pods } from '#kube/refs.ts';
import { fromLabelSelector } from '#kube/selector.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { candidatesFor, indexByController } from './controller-index.ts';
import { createExpectations } from './expectations.ts';
import { hasFinalizer, isFinished, type StoredJob, trackingFinalizer } from './job-model.ts';
import { type FailureRecord, type JobContext, manage, recordFailures, remove } from './job-pods.ts';
import { completion, deadlineIn, outcome, viewJob } from './job-sync.ts';
import { release, settle } from './job-tracking.ts';
import { followPods, ownerOf } from './owned-pods.ts';
import { claim } from './ownership.ts';
import { createPodControl } from './pod-control.ts';
import type { StoredPod } from './pods.ts';

const name = 'job-controller';
const managedBy = 'kubernetes.io/job-controller';

function create(deps: ControllerDeps) {
  const { client, informers, recorder, clock } = deps;
  const owners = informers.informer(jobs);
  const allPods = informers.informer(pods);
  indexByController(allPods);
  const expectations = createExpectations(clock);
  const control = createPodControl(client, recorder);
  const released = new Set<string>();
  const failures = new Map<string, FailureRecord>();

  const context: JobContext = { client, recorder, clock, owners, allPods, expectations, control, released, failures };

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
      return sync(context, job, key, signal);
    },
  });
  const orphans = createReconciler(deps, {
    name: `${name}-orphans`,
    sources: [owners, allPods],
    reconcile: async (key, signal) => {
      const pod = allPods.get(key);
      if (pod === undefined || !isOrphan(pod)) return undefined;
      await release(context, pod, signal);
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

async function sync(c: JobContext, job: StoredJob, key: string, signal: AbortSignal): Promise<Requeue> {
  const claimed = await claim({
    client: c.client,
    ownerResource: jobs,
    owner: job,
    resource: pods,
    selector: fromLabelSelector(job.spec?.selector),
    candidates: candidatesFor(c.allPods, job),
    finalizers: [trackingFinalizer],
    signal,
  });
  const v = viewJob(job, claimed, c.released);
  recordFailures(c, v);
  let end = outcome(v, c.clock.now());
  let active = v.active.length;
  let ready = v.ready;
  let { terminating } = v;
  let wait: number | undefined;
  let failure: unknown;
  try {
    if (end !== undefined) {
      await remove(c, job, key, v.active, signal);
      terminating += active;
      active = 0;
      ready = 0;
    } else if (c.expectations.satisfied(key) && job.metadata.deletionTimestamp === undefined) {
      const managed = await manage(c, v, key, signal);
      if (managed.active < active) {
        terminating += active - managed.active;
        if (managed.active === 0) ready = 0;
      }
      ({ active } = managed);
      wait = managed.wait;
      end = completion(v, active, c.clock.now());
    } else end = completion(v, active, c.clock.now());
  } catch (error) {
    failure = error;
  }
  await settle(c, v, { active, ready: Math.min(ready, active), terminating }, end, signal);
  if (failure !== undefined) throw failure;
  const deadline = deadlineIn(c.owners.get(key) ?? job, c.clock.now());
  return deadline === undefined || deadline === 0 ? wait : Math.min(deadline, wait ?? deadline);
}

export const jobController: ControllerDef = { name, create };

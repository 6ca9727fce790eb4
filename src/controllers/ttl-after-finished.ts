/** Deletes finished Jobs when their time is up: k8s.io/kubernetes pkg/controller/ttlafterfinished. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import { objectKey } from '#kube/object.ts';
import { jobs } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isFinished, type StoredJob } from './job-model.ts';
import { msOf } from './times.ts';

const name = 'ttl-after-finished-controller';

/** Milliseconds until the job is to go, or undefined when it is not. */
function timeLeft(job: StoredJob, nowMs: number): number | undefined {
  const seconds = job.spec?.ttlSecondsAfterFinished;
  if (seconds === undefined || !isFinished(job) || job.metadata.deletionTimestamp !== undefined) return undefined;
  const end = job.status?.conditions?.find((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True');
  return Math.max(0, msOf(end?.lastTransitionTime ?? '') + seconds * 1000 - nowMs);
}

function create({ client, informers, clock, log }: ControllerDeps) {
  const all = informers.informer(jobs);
  const reconciler = createReconciler(
    { clock, log },
    {
      name,
      sources: [all],
      keys: () => all.keys(),
      reconcile: async (key, signal): Promise<Requeue> => {
        const job = all.get(key);
        const left = job === undefined ? undefined : timeLeft(job, clock.now());
        if (job === undefined || left === undefined || left > 0) return left;
        const at = { namespace: job.metadata.namespace ?? '', name: job.metadata.name };
        try {
          // The TTL may have been changed a moment ago: the server is asked.
          const fresh = await client.get(jobs, at, { signal });
          const now = timeLeft(fresh, clock.now());
          if (now === undefined || now > 0) return now;
          const { uid, resourceVersion } = fresh.metadata;
          await client.delete(jobs, at, { propagationPolicy: 'Foreground', preconditions: { uid, resourceVersion } }, { signal });
        } catch (error) {
          if (!isStatus(error, 'NotFound')) throw error;
        }
        return undefined;
      },
    },
  );
  const check = (job: StoredJob): void => {
    if (isFinished(job) && job.spec?.ttlSecondsAfterFinished !== undefined) reconciler.queue.add(objectKey(job));
  };
  all.addHandler({ added: check, updated: check });
  return [reconciler];
}

export const ttlAfterFinishedController: ControllerDef = { name, create };

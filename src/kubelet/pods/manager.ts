/** All pods of this node: gives each a worker, and routes to it what the API and the runtime say. */
import type { Informer } from '#client/informer.ts';
import type { Pod } from '#kube/generated/core-v1.ts';
import type { TaskGroup } from '#lib/task-group.ts';
import type { EventSource } from '../cri/events.ts';
import { keepRunning } from '../keep-running.ts';
import type { PodContext } from './context.ts';
import type { MirrorPods } from './mirror-pods.ts';
import { identityOf, type PodIdentity } from './names.ts';
import { cleanOrphans } from './orphans.ts';
import { podCpuRequest, qosClass } from './resources.ts';
import { listRuntimePods } from './runtime.ts';
import { isTerminal } from './status.ts';
import { createPodWorker, type PodWorker } from './worker.ts';

export interface PodManager {
  readonly get: (uid: string) => PodWorker | undefined;
  readonly find: (namespace: string, name: string) => PodWorker | undefined;
  readonly list: () => readonly PodWorker[];
  /** Takes a pod that comes from elsewhere than the informer (static pods). */
  readonly add: (pod: Pod) => void;
  readonly remove: (uid: string, last?: Pod) => void;
  /** Pods taken on that have not ended, but the one named. */
  readonly admitted: (exceptUid: string) => readonly Pod[];
  readonly own: (id: string, podUid: string) => void;
  /** Begins handling pods; resolves when the pods of the API, and those that `addOthers` adds, are known. */
  readonly start: (tasks: TaskGroup, addOthers: () => Promise<void>) => Promise<void>;
}

/** Upstream's safety net: everything is listed anew, in case an event was lost. */
const relistMs = 5 * 60_000;

export function createPodManager(
  context: PodContext,
  informer: Informer<Pod>,
  events: EventSource,
  mirrors: Pick<MirrorPods, 'observed' | 'gone'>,
): PodManager {
  const workers = new Map<string, PodWorker>();
  const owners = new Map<string, string>();
  let group: TaskGroup | undefined;
  let cleaned = false;
  let weighing = false;
  let unweighed = false;

  /** Burstable pods weigh together what those of them that have not ended request. */
  async function weigh(): Promise<void> {
    const active = [...workers.values()].flatMap((w) => w.pod() ?? []).filter((pod) => !isTerminal(pod.status));
    const burstable = active.filter((pod) => qosClass(pod) === 'Burstable');
    await context.cgroups.weighBurstable(burstable.reduce((sum, pod) => sum + podCpuRequest(pod), 0));
  }

  /** One at a time, and once for all changes meanwhile. */
  function weighSoon(): void {
    unweighed = true;
    if (weighing) return;
    weighing = true;
    group?.spawn(async () => {
      while (unweighed) {
        unweighed = false;
        await weigh().catch((error: unknown) => context.log.warn('the weight of the burstable pods could not be set', { error }));
      }
      weighing = false;
    });
  }

  function spawn(worker: PodWorker): void {
    const run = keepRunning(`pod ${worker.identity.namespace}/${worker.identity.name}`, worker.run, context);
    group?.spawn(async (signal) => {
      await run(signal);
      if (signal.aborted || workers.get(worker.identity.uid) !== worker) return;
      workers.delete(worker.identity.uid);
      for (const [id, uid] of owners) if (uid === worker.identity.uid) owners.delete(id);
      weighSoon();
    });
  }

  function ensure(identity: PodIdentity, pod: Pod | undefined): void {
    const worker = createPodWorker(context, identity, pod);
    workers.set(identity.uid, worker);
    spawn(worker);
    weighSoon();
  }

  function add(pod: Pod): void {
    const identity = identityOf(pod);
    const known = workers.get(identity.uid);
    if (known === undefined) ensure(identity, pod);
    else known.update(pod);
  }

  function addFromApi(pod: Pod): void {
    if (mirrors.observed(pod)) return;
    context.statuses.observed(pod);
    add(pod);
  }

  /** Learns which ids belong to whom, and ends what runs without a pod in the API. */
  async function adopt(): Promise<void> {
    const found = await listRuntimePods(context.cri());
    for (const [id, uid] of found.owners) owners.set(id, uid);
    for (const id of owners.keys()) if (!found.owners.has(id)) owners.delete(id);
    for (const [uid, identity] of found.pods) {
      if (workers.has(uid)) continue;
      context.log.info('ending a pod that the API no longer has', { pod: `${identity.namespace}/${identity.name}` });
      ensure(identity, undefined);
    }
  }

  async function follow(signal: AbortSignal): Promise<void> {
    for await (const event of events.subscribe(signal)) {
      if (event.type === 'relist') {
        await relist();
        // A container that ended before the subscription was in force was seen by neither.
        context.clock.after(1000, () => wakeAll());
      } else if (event.type === 'exit') workers.get(owners.get(event.containerId) ?? '')?.exited(event.containerId);
    }
  }

  const wakeAll = (): void => {
    for (const worker of workers.values()) worker.wake();
  };

  async function relist(): Promise<void> {
    try {
      await adopt();
      if (!cleaned) {
        cleaned = true;
        await cleanOrphans(context, new Set(workers.keys()));
      }
      weighSoon();
      wakeAll();
    } catch (error) {
      context.log.debug('the pods of the runtime cannot be listed', { error });
    }
  }

  async function relistNowAndThen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await context.clock.sleep(relistMs, signal).catch(() => undefined);
      if (!signal.aborted) await relist();
    }
  }

  return {
    get: (uid) => workers.get(uid),
    find: (namespace, name) => {
      const matches = [...workers.values()].filter((w) => w.identity.namespace === namespace && w.identity.name === name);
      return matches.find((w) => w.pod() !== undefined) ?? matches[0];
    },
    list: () => [...workers.values()],
    add,
    remove: (uid, last) => workers.get(uid)?.removed(last),
    admitted: (uid) => [...workers.values()].flatMap((w) => (w.identity.uid !== uid && w.admitted() ? (w.pod() ?? []) : [])),
    own: (id, uid) => void owners.set(id, uid),
    start: async (tasks, addOthers) => {
      await informer.synced(tasks.signal);
      group = tasks;
      informer.addHandler({
        added: addFromApi,
        updated: addFromApi,
        deleted: (pod) => {
          if (!mirrors.gone(pod)) workers.get(pod.metadata.uid)?.removed(pod);
        },
      });
      // Only then is what the runtime holds compared with what there should be.
      await addOthers();
      tasks.spawn(keepRunning('runtime events', follow, context));
      tasks.spawn(keepRunning('relist', relistNowAndThen, context));
    },
  };
}

/** The scheduler as a running part: informers feed cache and queue, one loop decides, bindings go on beside it. */
import { setImmediate } from 'node:timers/promises';
import type { KubeClient } from '#client/contract.ts';
import { createEventRecorder, type EventRecorder } from '#client/events.ts';
import type { InformerFactory } from '#client/informer-factory.ts';
import type { Pod } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { nodes, pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import { bindPod } from './binder.ts';
import { Cache } from './cache.ts';
import { type Decision, type Diagnosis, explain, schedule } from './cycle.ts';
import { followCluster } from './follow.ts';
import type { ClusterView, NodeInfo, Plugin } from './framework.ts';
import { createListers } from './listers.ts';
import { Nominator } from './nominator.ts';
import { defaultPlugins } from './plugins/index.ts';
import { claimPlans } from './plugins/volume-binding.ts';
import { preempt } from './preemption.ts';
import { type QueuedPod, SchedulingQueue } from './queue.ts';
import { evictVictims, reportUnschedulable } from './status.ts';
import { clusterView } from './view.ts';

export interface SchedulerDeps {
  readonly client: KubeClient;
  /** Started by the caller; nodes, pods and what plugins read are asked for on creation. */
  readonly informers: InformerFactory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly plugins?: readonly Plugin[];
}

export interface Scheduler {
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  readonly notReady: () => string | undefined;
  /** How many pods wait, and where: scheduler_pending_pods. */
  readonly pending: () => Readonly<Record<'active' | 'backoff' | 'unschedulable' | 'gated', number>>;
}

export const schedulerName = 'default-scheduler';

/** More bindings than this under way at once make the loop wait. */
const maxBindings = 128;
/** A long queue lets timers and sockets in this often. */
const turnMs = 8;

interface State {
  readonly deps: SchedulerDeps;
  readonly log: Logger;
  readonly plugins: readonly Plugin[];
  readonly cache: Cache;
  readonly queue: SchedulingQueue;
  readonly nominator: Nominator;
  readonly view: ClusterView;
  readonly sources: ReturnType<typeof createListers>;
  readonly events: EventRecorder;
  readonly podOf: (key: string) => Stored<Pod> | undefined;
  startAt: number;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const log = deps.log.child('scheduler');
  const plugins = deps.plugins ?? defaultPlugins;
  const { clock, informers } = deps;
  const sources = createListers(informers);
  const podInformer = informers.informer(pods);
  const nodeInformer = informers.informer(nodes);
  const cache = new Cache();
  const queue = new SchedulingQueue({ clock, plugins });
  const nominator = new Nominator();
  const state: State = {
    deps,
    log,
    plugins,
    cache,
    queue,
    nominator,
    sources,
    // Not through a spread: `nodes` must be read anew in every cycle.
    get view() {
      return clusterView(cache, sources.listers);
    },
    events: createEventRecorder({ client: deps.client, clock, log, component: schedulerName }),
    podOf: (key) => podInformer.get(key),
    startAt: 0,
  };
  let tasks: TaskGroup | undefined;
  let ready = false;
  return {
    start: () => {
      if (tasks !== undefined) return Promise.resolve();
      const group = new TaskGroup();
      tasks = group;
      group.spawn((signal) => state.events.run(signal));
      group.spawn(async (signal) => {
        const awaited = [podInformer, nodeInformer, ...informersOf(sources)];
        await Promise.all(awaited.map((s) => s.synced(signal)));
        const detach = followCluster({ pods: podInformer, nodes: nodeInformer, sources, cache, queue, nominator, schedulerName });
        ready = true;
        try {
          await loop(state, group, signal);
        } finally {
          detach();
        }
      });
      return Promise.resolve();
    },
    stop: async () => {
      const group = tasks;
      ready = false;
      if (group === undefined) return;
      await group.close();
      queue.close();
    },
    notReady: () => (ready ? undefined : 'waiting for the caches to fill'),
    pending: () => queue.sizes(),
  };
}

const informersOf = (s: ReturnType<typeof createListers>) => [
  s.namespaces,
  s.claims,
  s.volumes,
  s.budgets,
  s.replicaSets,
  s.controllers,
  s.services,
  s.statefulSets,
  s.classes,
];

async function loop(state: State, tasks: TaskGroup, signal: AbortSignal): Promise<void> {
  let bindings = 0;
  let freed: (() => void) | undefined;
  let turnBegan = performance.now();
  while (!signal.aborted) {
    await state.queue.ready(signal);
    const queued = state.queue.pop();
    if (queued === undefined) continue;
    const decision = decide(state, queued);
    if (decision === undefined) continue;
    if (!decision.fits) {
      tasks.spawn(async (s) => {
        try {
          await refuse(state, queued, decision.diagnosis, s);
        } catch (error) {
          if (s.aborted) return;
          state.log.error('scheduling failed', { pod: queued.info.key, error });
          state.queue.retry(queued);
        }
      });
    } else {
      const plans = claimPlans(queued.info, decision.node, state.view);
      state.cache.assume(queued.info, decision.node.name);
      state.nominator.remove(queued.uid);
      bindings++;
      tasks.spawn(async (s) => {
        await bind(state, queued, decision.node, plans, s);
        bindings--;
        freed?.();
      });
    }
    while (bindings >= maxBindings) {
      await new Promise<void>((resolve) => {
        freed = resolve;
      });
    }
    if (performance.now() - turnBegan > turnMs) {
      await setImmediate();
      turnBegan = performance.now();
    }
  }
}

/** Undefined when the pod needs no node any more. */
function decide(state: State, queued: QueuedPod): Decision | undefined {
  const current = state.podOf(queued.info.key);
  if (current?.metadata.uid !== queued.uid || current.metadata.deletionTimestamp !== undefined || state.cache.isAssumed(queued.uid)) {
    state.queue.delete(queued.uid);
    state.nominator.remove(queued.uid);
    return undefined;
  }
  try {
    const decision = schedule(queued.info, state.view, {
      plugins: state.plugins,
      nominated: (node) => state.nominator.on(node),
      fraction: state.deps.random.fraction,
      startAt: state.startAt,
    });
    if (decision.fits && state.cache.nodes.length > 0) state.startAt = (state.startAt + decision.evaluated) % state.cache.nodes.length;
    return decision;
  } catch (error) {
    state.log.error('scheduling failed', { pod: queued.info.key, error });
    state.queue.retry(queued);
    return undefined;
  }
}

async function bind(
  state: State,
  queued: QueuedPod,
  node: NodeInfo,
  plans: ReturnType<typeof claimPlans>,
  signal: AbortSignal,
): Promise<void> {
  const { info } = queued;
  try {
    await bindPod(info, node.name, plans, { client: state.deps.client, claims: state.sources.claims, clock: state.deps.clock }, signal);
    state.events.event(info.pod, 'Normal', 'Scheduled', `Successfully assigned ${info.key} to ${node.name}`);
    state.queue.delete(queued.uid);
  } catch (error) {
    if (signal.aborted) return;
    state.cache.forget(queued.uid);
    state.queue.happened({ on: 'pod', what: 'delete', pod: info });
    if (isStatus(error, 'NotFound') || isStatus(error, 'Conflict')) {
      // Deleted, or bound by somebody else: the informer says which, and the retry finds out.
      state.log.debug('binding refused', { pod: info.key, error });
    } else {
      const message = `binding rejected: ${error instanceof Error ? error.message : String(error)}`;
      state.log.warn('binding failed', { pod: info.key, node: node.name, error });
      state.events.event(info.pod, 'Warning', 'FailedScheduling', message);
      await reportUnschedulable(state.deps, info.pod, { reason: 'SchedulerError', message }, signal);
    }
    state.queue.retry(queued);
  }
}

/** Parks the pod and says why; where lower-priority pods are in its way, has them removed. */
async function refuse(state: State, queued: QueuedPod, diagnosis: Diagnosis, signal: AbortSignal): Promise<void> {
  const { info } = queued;
  const refusals = [...diagnosis.failures.values(), ...(diagnosis.general === undefined ? [] : [diagnosis.general])];
  const rejectedBy = new Set([...refusals.map((f) => f.plugin), ...diagnosis.leftOutBy]);
  const result =
    diagnosis.totalNodes === 0
      ? undefined
      : preempt(info, state.view, diagnosis, {
          plugins: state.plugins,
          budgets: (namespace) => state.sources.budgets.list(namespace),
          fraction: state.deps.random.fraction,
        });
  // Parked before anything is awaited, so that no event, such as the end of a victim, goes by unseen.
  state.queue.failed(queued, diagnosis.totalNodes === 0 ? new Set() : rejectedBy);
  const message = explain(diagnosis, result?.node === undefined ? result?.message : undefined);
  state.events.event(info.pod, 'Warning', 'FailedScheduling', message);
  if (result?.node === undefined) state.nominator.remove(info.uid);
  else {
    for (const loser of state.nominator.on(result.node)) if (loser.priority < info.priority) state.nominator.remove(loser.uid);
    state.nominator.add(info, result.node);
    await evictVictims(state.deps, state.events, info, result.node, result.victims, signal);
  }
  const latest = state.podOf(info.key) ?? info.pod;
  await reportUnschedulable(state.deps, latest, { reason: 'Unschedulable', message, nominated: result?.node ?? '' }, signal);
}

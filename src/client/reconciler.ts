/** The frame of a controller: informers put keys into a queue, workers reconcile them one by one. */
import { setImmediate } from 'node:timers/promises';
import { isStatus } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { SyncSource } from './informer.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

/** Milliseconds until the key is to be looked at again, or undefined. */
export type Requeue = number | undefined;

export interface ReconcilerOptions {
  readonly name: string;
  /** Work begins when all of these have synced. */
  readonly sources: readonly SyncSource[];
  /** How many keys are worked on at a time. Default 5, upstream's usual --concurrent-*-syncs. */
  readonly workers?: number;
  /** Brings the world to what the object says. What it throws is logged and the key retried with growing delays. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<Requeue>;
  /** Every key there is: added again every `resyncMs`, and after the queue overflowed. */
  readonly keys?: () => Iterable<string>;
  /** The safety net behind the events. Default 10 minutes. */
  readonly resyncMs?: number;
  /** Gives up on a key after so many failures in a row (until its next event). Default: never. */
  readonly maxRetries?: number;
}

export interface Reconciler {
  readonly name: string;
  readonly queue: WorkQueue;
  /** Runs until the signal aborts; ends when the last worker has. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A worker that never waits would keep timers and sockets from being served: it lets them in this often. */
const turnMs = 8;
const overflowResyncMs = 1000;

export function createReconciler(deps: { readonly clock: Clock; readonly log: Logger }, options: ReconcilerOptions): Reconciler {
  const { clock } = deps;
  const log = deps.log.child(options.name);
  let overflowed = false;
  const queue = createWorkQueue({
    clock,
    onOverflow: () => {
      if (overflowed) return;
      overflowed = true;
      log.warn('work queue is full, everything will be looked at again');
    },
  });

  const work = async (key: string, signal: AbortSignal): Promise<void> => {
    try {
      const again = await options.reconcile(key, signal);
      queue.forget(key);
      if (again !== undefined) queue.addAfter(key, again);
    } catch (error) {
      if (signal.aborted) return;
      // Somebody else's write came first: its event brings the key back, the retry is only for safety.
      if (isStatus(error, 'Conflict')) log.debug('conflict, will retry', { key });
      else log.warn('reconcile failed, will retry', { key, error });
      if (options.maxRetries !== undefined && queue.requeues(key) >= options.maxRetries) {
        log.error('giving up until the next event', { key });
        queue.forget(key);
      } else queue.addRateLimited(key);
    } finally {
      queue.done(key);
    }
  };
  const worker = async (signal: AbortSignal): Promise<void> => {
    let turnBegan = performance.now();
    for (let key = await queue.take(signal); key !== undefined; key = await queue.take(signal)) {
      await work(key, signal);
      if (performance.now() - turnBegan > turnMs) {
        await setImmediate();
        turnBegan = performance.now();
      }
    }
  };
  const resync = async (signal: AbortSignal): Promise<void> => {
    const { keys } = options;
    if (keys === undefined) return;
    let waited = 0;
    const period = options.resyncMs ?? 600_000;
    while (!signal.aborted) {
      const step = overflowed ? overflowResyncMs : Math.min(period, 60_000);
      await clock.sleep(step, signal);
      waited += step;
      if (overflowed ? queue.length() > 0 : waited < period) continue;
      overflowed = false;
      waited = 0;
      for (const key of keys()) queue.add(key);
    }
  };

  return {
    name: options.name,
    queue,
    run: async (signal) => {
      await using tasks = new TaskGroup(signal);
      tasks.spawn(async (inner) => {
        await Promise.all(options.sources.map((source) => source.synced(inner)));
        for (let i = 0; i < (options.workers ?? 5); i++) tasks.spawn(worker);
        tasks.spawn(resync);
      });
      await tasks.join();
      queue.close();
    },
  };
}

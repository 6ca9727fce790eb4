/**
 * A local copy of a resource that follows the API server: list once, then watch from the list's resourceVersion,
 * resume after interruptions, relist only when the server no longer has the history (410).
 */

import { type KubeObject, objectKey, type Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import { groupResource, isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import type { KubeClient, WatchEvent } from './contract.ts';
import { type IndexFunction, namespaceIndex, ObjectStore } from './object-store.ts';

export interface InformerHandler<T extends KubeObject> {
  readonly added?: (object: Stored<T>) => void;
  /** An object that was deleted and made again under the same name comes as `deleted` and then `added`. */
  readonly updated?: (object: Stored<T>, old: Stored<T>) => void;
  /** The last state seen. */
  readonly deleted?: (object: Stored<T>) => void;
}

/** What to wait for, whatever the informer holds. */
export interface SyncSource {
  /** True once the first list has been delivered to the handlers. */
  readonly hasSynced: () => boolean;
  /** Resolves when hasSynced; rejects when the signal aborts. */
  readonly synced: (signal: AbortSignal) => Promise<void>;
}

/** All objects handed out are frozen and shared. Handlers run synchronously and must not wait; what they throw is logged. */
export interface Informer<T extends KubeObject> extends SyncSource {
  readonly resource: ResourceRef<T>;
  readonly get: (key: string) => Stored<T> | undefined;
  /** All objects, or those of one namespace. */
  readonly list: (namespace?: string) => readonly Stored<T>[];
  readonly keys: () => readonly string[];
  readonly size: () => number;
  readonly addIndex: (name: string, valuesOf: IndexFunction<T>) => void;
  readonly byIndex: (name: string, value: string) => readonly Stored<T>[];
  /** `added` is called at once for what is already held. The result removes the handler. */
  readonly addHandler: (handler: InformerHandler<T>) => () => void;
  /**
   * Resolves when the informer has seen the write that gave this resourceVersion: a controller that awaits it sees its own
   * writes. Gives up quietly after a second (an informer with selectors may never see it).
   */
  readonly reached: (resourceVersion: string, signal: AbortSignal) => Promise<void>;
  /** Runs until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface InformerScope {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** What to hold of each object, where that is less than all of it; at least what identifies it and its resourceVersion. */
export type Keep<T extends KubeObject> = (object: Stored<T>) => Stored<T>;

export interface InformerDeps {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Quick at first, because a server on the same machine is up within a second; slow enough for a fleet whose server is gone. The
 * transport opens no more than one connection for all informers of a process, and a node learns of its pods only here.
 */
const retry = { baseMs: 100, maxMs: 5000, factor: 2, jitter: 0.5 };
const pageSize = 500;
/** A watch that ends sooner than this without an event counts as a failure, so that it cannot become a busy loop. */
const shortestWatchMs = 1000;
const reachLimitMs = 1000;

export function createInformer<T extends KubeObject>(
  resource: ResourceRef<T>,
  deps: InformerDeps,
  scope: InformerScope = {},
  keep: Keep<T> = (object) => object,
): Informer<T> {
  const store = new ObjectStore<T>();
  const handlers = new Set<InformerHandler<T>>();
  const waiters = new Set<() => void>();
  const name = groupResource(resource);
  const progress = createProgress(deps.clock);
  let synced = false;

  const tell = (call: (handler: InformerHandler<T>) => void): void => {
    for (const handler of handlers) guarded(() => call(handler));
  };
  const guarded = (fn: () => void): void => {
    try {
      fn();
    } catch (error) {
      deps.log.error('informer handler failed', { resource: name, error });
    }
  };
  const put = (object: Stored<T>): void => {
    const old = store.put(object);
    if (old === undefined) tell((h) => h.added?.(object));
    else if (old.metadata.uid !== object.metadata.uid) {
      tell((h) => h.deleted?.(old));
      tell((h) => h.added?.(object));
    } else if (old.metadata.resourceVersion !== object.metadata.resourceVersion) tell((h) => h.updated?.(object, old));
  };
  const remove = (key: string, last?: Stored<T>): void => {
    const old = store.delete(key);
    if (old !== undefined) tell((h) => h.deleted?.(last ?? old));
  };
  const replace = (objects: readonly Stored<T>[], revision: string): void => {
    const present = new Set<string>();
    for (const object of objects) {
      present.add(objectKey(object));
      put(object);
    }
    for (const key of store.keys()) if (!present.has(key)) remove(key);
    progress.advance(revision);
    if (synced) return;
    synced = true;
    for (const wake of waiters) wake();
    waiters.clear();
  };
  const apply = (event: WatchEvent<T>): void => {
    if (event.type === 'DELETED') remove(objectKey(event.object), keep(event.object));
    else if (event.type !== 'BOOKMARK') put(keep(event.object));
    progress.advance(event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion);
  };

  return {
    resource,
    get: (key) => store.get(key),
    list: (namespace) => (namespace === undefined ? store.list() : store.byIndex(namespaceIndex, namespace)),
    keys: () => store.keys(),
    size: () => store.size,
    addIndex: (index, valuesOf) => store.addIndex(index, valuesOf),
    byIndex: (index, value) => store.byIndex(index, value),
    addHandler: (handler) => {
      handlers.add(handler);
      for (const object of store.list()) guarded(() => handler.added?.(object));
      return () => void handlers.delete(handler);
    },
    hasSynced: () => synced,
    synced: (signal) => (synced ? Promise.resolve() : waitFor(waiters, signal)),
    reached: progress.reached,
    run: (signal) => follow({ resource, name, deps, scope, keep, replace, apply }, signal),
  };
}

/** Which revision has been seen, and who waits for one. Revisions are compared as the numbers that they are. */
function createProgress(clock: Clock) {
  const waiting = new Set<{ readonly revision: number; readonly resolve: () => void }>();
  let seen = 0;
  return {
    advance: (revision: string): void => {
      seen = Math.max(seen, Number(revision) || 0);
      for (const one of waiting)
        if (one.revision <= seen) {
          waiting.delete(one);
          one.resolve();
        }
    },
    reached: (revision: string, signal: AbortSignal): Promise<void> => {
      const wanted = Number(revision) || 0;
      if (wanted <= seen || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const finish = (): void => {
          limit.cancel();
          signal.removeEventListener('abort', finish);
          waiting.delete(one);
          resolve();
        };
        const one = { revision: wanted, resolve: finish };
        const limit = clock.after(reachLimitMs, finish);
        waiting.add(one);
        signal.addEventListener('abort', finish, { once: true });
      });
    },
  };
}

function waitFor(waiters: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const wake = (): void => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = (): void => {
      waiters.delete(wake);
      reject(signal.reason);
    };
    waiters.add(wake);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

interface Follower<T extends KubeObject> {
  readonly resource: ResourceRef<T>;
  readonly name: string;
  readonly deps: InformerDeps;
  readonly scope: InformerScope;
  readonly keep: Keep<T>;
  readonly replace: (objects: readonly Stored<T>[], revision: string) => void;
  readonly apply: (event: WatchEvent<T>) => void;
}

/** Where a follower stands: the revision to resume from (none: a list is due) and the failures since it last worked. */
interface Position {
  revision: string | undefined;
  failures: number;
}

async function follow<T extends KubeObject>(self: Follower<T>, signal: AbortSignal): Promise<void> {
  const { clock, random, log } = self.deps;
  const position: Position = { revision: undefined, failures: 0 };
  while (!signal.aborted) {
    try {
      if (position.revision === undefined) {
        position.revision = await relist(self, signal);
        worked(self, position);
      }
      await watchFrom(self, position, signal);
    } catch (error) {
      if (signal.aborted) return;
      position.failures++;
      if (isStatus(error, 'Gone', 'Expired')) {
        position.revision = undefined;
        if (position.failures === 1) continue;
      }
      log[position.failures === 1 ? 'warn' : 'debug']('cannot follow, will retry', { resource: self.name, error });
      await clock.sleep(backoffMs(position.failures, retry, random.fraction()), signal).catch(() => undefined);
    }
  }
}

function worked<T extends KubeObject>(self: Follower<T>, position: Position): void {
  if (position.failures > 1) self.deps.log.info('following again', { resource: self.name });
  position.failures = 0;
}

/** One consistent list, page by page, handed over as a whole; gives its revision. */
async function relist<T extends KubeObject>(self: Follower<T>, signal: AbortSignal): Promise<string> {
  const { client } = self.deps;
  const items: Stored<T>[] = [];
  let page = await client.list(self.resource, { ...self.scope, limit: pageSize }, { signal });
  for (;;) {
    for (const item of page.items) items.push(self.keep(item));
    const next = page.metadata.continue;
    if (next === undefined || next === '') break;
    page = await client.list(self.resource, { ...self.scope, limit: pageSize, continue: next }, { signal });
  }
  signal.throwIfAborted();
  const revision = page.metadata.resourceVersion ?? '';
  self.replace(items, revision);
  return revision;
}

async function watchFrom<T extends KubeObject>(self: Follower<T>, position: Position, signal: AbortSignal): Promise<void> {
  const { client, clock } = self.deps;
  const began = clock.monotonic();
  let events = 0;
  const query = { ...self.scope, allowWatchBookmarks: true, ...(position.revision ? { resourceVersion: position.revision } : {}) };
  for await (const event of client.watch(self.resource, query, signal)) {
    if (signal.aborted) return;
    if (events++ === 0) worked(self, position);
    self.apply(event);
    position.revision = event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion;
  }
  if (events === 0 && clock.monotonic() - began < shortestWatchMs) await clock.sleep(shortestWatchMs, signal);
  else worked(self, position);
}

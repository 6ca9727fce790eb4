/** The service proxy as a running part: service and endpoint events become few, small transactions. */

import type { Informer } from '#client/informer.ts';
import type { Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { createKernelTable, type KernelTable, messageOf } from '../nft/kernel-table.ts';
import { type Deletion, deleteFlows, staleFlows } from './conntrack.ts';
import { type Excluded, type Family, isProxied, type NodeContext, type PortModel, portModels } from './model.ts';
import { type BaseOptions, baseFragment, portFragment } from './rules.ts';

export interface ServiceProxyDeps {
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly node: () => NodeContext;
  readonly bases: readonly BaseOptions[];
  readonly excluded: Excluded;
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each transaction with what is served for a service: health check ports. */
  readonly onModels?: (service: Stored<Service> | undefined, key: string, models: readonly PortModel[]) => void;
}

export interface ServiceProxy {
  /** Runs until the signal aborts. Leaves the table in place. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** True once the first complete table is in the kernel. */
  readonly ready: () => boolean;
  /** Everything is to be computed anew: the node's zone changed. */
  readonly invalidate: () => void;
}

/** Changes are gathered for so long before a transaction, and transactions are at least so far apart. */
const gatherMs = 20;
const minIntervalMs = 100;
/** How often to look whether somebody flushed the table. */
const verifyMs = 60_000;
const retry = { baseMs: 500, maxMs: 30_000 };

export const serviceNameLabel = 'kubernetes.io/service-name';
export const bySlicesOfService = 'net/service';

/** The key of the service that a slice belongs to. */
export function serviceOfSlice(slice: Stored<EndpointSlice>): string | undefined {
  const name = slice.metadata.labels?.[serviceNameLabel];
  return name === undefined ? undefined : `${slice.metadata.namespace ?? ''}/${name}`;
}

interface FamilyState {
  readonly family: Family;
  readonly base: BaseOptions;
  readonly table: KernelTable;
  /** By service, then by port id: what is in the table (or will be with the next transaction). */
  readonly models: Map<string, ReadonlyMap<string, PortModel>>;
  stale: Deletion[];
}

export function createServiceProxy(deps: ServiceProxyDeps): ServiceProxy {
  const dirty = new Set<string>();
  let wake: (() => void) | undefined;
  let ready = false;
  let conntrackMissing = false;
  const states = deps.bases.map((base): FamilyState => {
    const table = createKernelTable(base.family, deps);
    table.setFragment('base', baseFragment(base));
    return { family: base.family, base, table, models: new Map(), stale: [] };
  });
  deps.slices.addIndex(bySlicesOfService, (s) => {
    const key = serviceOfSlice(s);
    return key === undefined ? [] : [key];
  });
  const touch = (key: string | undefined): void => {
    if (key === undefined) return;
    dirty.add(key);
    wake?.();
  };
  const touchAll = (): void => {
    for (const key of deps.services.keys()) dirty.add(key);
    wake?.();
  };

  const recompute = (key: string): void => {
    const service = deps.services.get(key);
    const proxied = service !== undefined && isProxied(service);
    const slices = proxied ? deps.slices.byIndex(bySlicesOfService, key) : [];
    for (const state of states) {
      const models = proxied ? portModels(service, slices, state.family, deps.node(), deps.excluded) : [];
      updateFamily(state, key, models);
      deps.onModels?.(service, key, models);
    }
  };
  const flush = async (signal: AbortSignal): Promise<void> => {
    for (const key of dirty) recompute(key);
    dirty.clear();
    for (const state of states) {
      await state.table.apply(signal);
      const { stale } = state;
      state.stale = [];
      if (stale.length === 0 || conntrackMissing) continue;
      try {
        conntrackMissing = !(await deleteFlows(state.family, stale, deps.exec, signal));
        if (conntrackMissing) deps.log.warn('conntrack is not installed: UDP clients may stay with endpoints that are gone');
      } catch (error) {
        if (!signal.aborted) deps.log.warn('cannot delete stale UDP flows', { error });
      }
    }
  };
  const work = async (signal: AbortSignal): Promise<void> => {
    let failures = 0;
    let verified = deps.clock.monotonic();
    while (!signal.aborted) {
      try {
        await flush(signal);
        if (!ready) deps.log.info('service rules are in place', { services: deps.services.size() });
        ready = true;
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        deps.log.error('cannot write service rules', { why: messageOf(error) });
        await deps.clock.sleep(backoffMs(failures, retry), signal);
        continue;
      }
      await deps.clock.sleep(minIntervalMs, signal);
      for (let waiting = dirty.size === 0; waiting; ) {
        const due = verified + verifyMs - deps.clock.monotonic();
        if (due > 0 && (await wakened(due, signal))) break;
        if (dirty.size > 0) break;
        verified = deps.clock.monotonic();
        const intact = await Promise.all(states.map((s) => s.table.verify(signal)));
        waiting = intact.every(Boolean);
      }
      if (dirty.size > 0) await deps.clock.sleep(gatherMs, signal);
    }
  };
  /** True when woken by a change, false after `ms`. */
  const wakened = (ms: number, signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const end = (by: boolean): void => {
        wake = undefined;
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        resolve(by);
      };
      const onAbort = (): void => {
        timer.cancel();
        reject(signal.reason);
      };
      const timer = deps.clock.after(ms, () => end(false));
      wake = () => end(true);
      signal.addEventListener('abort', onAbort, { once: true });
      if (dirty.size > 0) end(true);
    });

  return {
    ready: () => ready,
    invalidate: touchAll,
    run: async (signal) => {
      await Promise.all([deps.services.synced(signal), deps.slices.synced(signal)]);
      const detach = [
        deps.services.addHandler({
          added: (s) => touch(objectKey(s)),
          updated: (s) => touch(objectKey(s)),
          deleted: (s) => touch(objectKey(s)),
        }),
        deps.slices.addHandler({
          added: (s) => touch(serviceOfSlice(s)),
          updated: (s, old) => {
            touch(serviceOfSlice(s));
            touch(serviceOfSlice(old));
          },
          deleted: (s) => touch(serviceOfSlice(s)),
        }),
      ];
      try {
        await work(signal);
      } finally {
        for (const d of detach) d();
      }
    },
  };
}

function updateFamily(state: FamilyState, key: string, models: readonly PortModel[]): void {
  const before = state.models.get(key) ?? new Map<string, PortModel>();
  const now = new Map(models.map((m) => [m.id, m]));
  for (const [id, model] of now) {
    state.table.setFragment(id, portFragment(model, state.base));
    state.stale.push(...staleFlows(before.get(id), model));
  }
  for (const [id, model] of before) {
    if (now.has(id)) continue;
    state.table.setFragment(id, undefined);
    state.stale.push(...staleFlows(model, undefined));
  }
  if (now.size === 0) state.models.delete(key);
  else state.models.set(key, now);
}

/** The service proxy as a running part: service and endpoint events become few, small transactions. */

import type { Informer } from '#client/informer.ts';
import type { Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { createKernelTable, type KernelTable, messageOf, tableName } from '../nft/kernel-table.ts';
import { createTableLoop } from '../nft/table-loop.ts';
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
  /** Called with what is served for a service whenever that changes: health check ports. */
  readonly onModels?: (key: string, service: Stored<Service> | undefined, models: readonly PortModel[]) => void;
}

export interface ServiceProxy {
  /** Runs until the signal aborts. Leaves the table in place. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** True once the first complete table is in the kernel. */
  readonly ready: () => boolean;
  /** Everything is to be computed anew: the node's zone changed. */
  readonly invalidate: () => void;
}

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
  let conntrackMissing = false;
  const states = deps.bases.map((base): FamilyState => {
    const table = createKernelTable(
      { family: base.family, name: tableName, probe: { chain: 'nat-prerouting', rule: 'jump services' } },
      deps,
    );
    table.setFragment('base', baseFragment(base));
    return { family: base.family, base, table, models: new Map(), stale: [] };
  });
  deps.slices.addIndex(bySlicesOfService, (s) => {
    const key = serviceOfSlice(s);
    return key === undefined ? [] : [key];
  });

  const recompute = (key: string): void => {
    const service = deps.services.get(key);
    const proxied = service !== undefined && isProxied(service);
    const slices = proxied ? deps.slices.byIndex(bySlicesOfService, key) : [];
    const all: PortModel[] = [];
    for (const state of states) {
      const models = proxied ? portModels(service, slices, state.family, deps.node(), deps.excluded) : [];
      updateFamily(state, key, models);
      all.push(...models);
    }
    deps.onModels?.(key, service, all);
  };
  const deleteStaleFlows = async (signal: AbortSignal): Promise<void> => {
    for (const state of states) {
      const { stale } = state;
      state.stale = [];
      if (stale.length === 0 || conntrackMissing) continue;
      try {
        conntrackMissing = !(await deleteFlows(state.family, stale, deps.exec, signal));
        if (conntrackMissing) deps.log.warn('conntrack is not installed: UDP clients may stay with endpoints that are gone');
      } catch (error) {
        if (!signal.aborted) deps.log.warn('cannot delete stale UDP flows', { why: messageOf(error) });
      }
    }
  };
  const loop = createTableLoop({
    what: 'service rules',
    tables: states.map((s) => s.table),
    prepare: () => {
      for (const key of dirty) recompute(key);
      dirty.clear();
    },
    applied: deleteStaleFlows,
    clock: deps.clock,
    log: deps.log,
  });
  const touch = (key: string | undefined): void => {
    if (key === undefined) return;
    dirty.add(key);
    loop.wake();
  };

  return {
    ready: loop.ready,
    invalidate: () => {
      for (const key of deps.services.keys()) touch(key);
    },
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
        await loop.run(signal);
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

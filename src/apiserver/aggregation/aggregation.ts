/** API aggregation, put together: what kube-aggregator is to kube-apiserver. */
import type { Registry as MetricRegistry } from 'prom-client';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import type { ObjectReader } from '../contract.ts';
import type { Catalogue } from '../discovery/discovery.ts';
import type { RemoteDocuments } from '../discovery/openapi.ts';
import type { InProcessTransport } from '../in-process.ts';
import type { Registry } from '../registry.ts';
import { followApiServices } from './api-services.ts';
import { availabilityMetrics } from './metrics.ts';
import { type ServedGroup, servedGroups } from './order.ts';
import { createRegistration } from './registration.ts';
import { createChecks } from './remote-checks.ts';
import { createRemoteTable } from './remote-table.ts';
import { createDelegate, createRemoteDocuments, type Delegate, remoteVersion } from './remotes.ts';
import { groupVersionOfPath } from './route.ts';
import type { RemoteAccess } from './target.ts';

export interface AggregationDeps {
  readonly registry: Registry;
  readonly cache: WatchCache;
  readonly objects: Pick<ObjectReader, 'get' | 'list'>;
  /** Acts as the server itself. */
  readonly transport: InProcessTransport;
  readonly access: RemoteAccess;
  /** How long a request that is no watch or stream may take. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Aggregation {
  readonly catalogue: Catalogue;
  readonly documents: RemoteDocuments;
  readonly delegate: Delegate;
  /** Whether requests for a path as sent go to another server. */
  readonly passesOn: (path: string) => boolean;
  readonly addMetrics: (registry: MetricRegistry) => void;
  /** Registers what this server serves and begins to look after others; to be called once the objects that every cluster has are there. */
  readonly start: () => Promise<void>;
  /** Follows APIServices until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export function createAggregation(deps: AggregationDeps): Aggregation {
  const { registry } = deps;
  const apiServices = followApiServices(deps.cache);
  const table = createRemoteTable({ ...deps, apiServices });
  const checks = createChecks({ ...deps, apiServices, table });
  const registration = createRegistration({ ...deps, apiServices });
  let changes = 0;
  const changed = (): void => {
    changes++;
  };
  apiServices.onChange(changed);
  table.onChange(changed);
  const generation = (): number => registry.generation() + changes;
  let known: { readonly at: number; readonly groups: readonly ServedGroup[] } | undefined;
  return {
    catalogue: {
      groups: () => {
        if (known?.at !== generation()) known = { at: generation(), groups: servedGroups(registry, apiServices) };
        return known.groups;
      },
      remoteVersion: (name) => {
        const remote = table.get(name);
        return remote === undefined ? undefined : remoteVersion(remote);
      },
      generation,
    },
    documents: createRemoteDocuments({ ...deps, apiServices, table }),
    delegate: createDelegate({ ...deps, apiServices, table }),
    passesOn: (path) => {
      if (!apiServices.anyRemote()) return false;
      const groupVersion = groupVersionOfPath(path);
      return groupVersion !== undefined && apiServices.remote(groupVersion.group, groupVersion.version) !== undefined;
    },
    addMetrics: availabilityMetrics(apiServices),
    start: async () => {
      await registration.start();
      checks.start();
    },
    run: async (signal) => {
      await using tasks = new TaskGroup(signal);
      for (const part of [apiServices, registration, checks]) tasks.spawn(part.run);
      await tasks.join();
    },
  };
}

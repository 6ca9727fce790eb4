/** API aggregation, put together: what kube-aggregator is to kube-apiserver. */
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import type { Catalogue } from '../discovery/discovery.ts';
import type { InProcessTransport } from '../in-process.ts';
import type { Registry } from '../registry.ts';
import { followApiServices } from './api-services.ts';
import { type ServedGroup, servedGroups } from './order.ts';
import { createRegistration } from './registration.ts';

export interface AggregationDeps {
  readonly registry: Registry;
  readonly cache: WatchCache;
  /** Acts as the server itself. */
  readonly transport: InProcessTransport;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Aggregation {
  readonly catalogue: Catalogue;
  /** Registers what this server serves; to be called once the objects that every cluster has are there. */
  readonly start: () => Promise<void>;
  /** Follows APIServices until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export function createAggregation(deps: AggregationDeps): Aggregation {
  const { registry } = deps;
  const apiServices = followApiServices(deps.cache);
  const registration = createRegistration({ ...deps, apiServices });
  let changes = 0;
  apiServices.onChange(() => {
    changes++;
  });
  const generation = (): number => registry.generation() + changes;
  let known: { readonly at: number; readonly groups: readonly ServedGroup[] } | undefined;
  return {
    catalogue: {
      groups: () => {
        if (known?.at !== generation()) known = { at: generation(), groups: servedGroups(registry, apiServices) };
        return known.groups;
      },
      remoteVersion: () => undefined,
      generation,
    },
    start: registration.start,
    run: async (signal) => {
      await using tasks = new TaskGroup(signal);
      tasks.spawn(apiServices.run);
      tasks.spawn(registration.run);
      await tasks.join();
    },
  };
}

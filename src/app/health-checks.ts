/** What /livez and /readyz of a server look at, under upstream's names where they mean the same. */
import { type HealthCheck, probe } from '#apiserver/health.ts';
import type { Clock } from '#platform/clock.ts';
import type { Store, WatchCache } from '#store/contract.ts';

/** Upstream's --etcd-healthcheck-timeout and --etcd-readycheck-timeout. */
const limitMs = 2000;

/** Component name → undefined when ready, else why not. */
export type Readiness = () => ReadonlyMap<string, string | undefined>;

export interface ServerHealth {
  /** Undefined while lines can be written. */
  readonly logProblem: () => string | undefined;
  readonly readiness: Readiness;
  readonly stopping: () => boolean;
}

interface Storage {
  readonly store: Pick<Store, 'revision' | 'stats'>;
  readonly cache: Pick<WatchCache, 'reached'>;
  readonly clock: Clock;
}

/** A question to the store's thread, which answers it between two commits. */
const askStore = ({ store, clock }: Storage): Promise<string | undefined> => probe({ ask: store.revision, limitMs, clock });

/** `hooks`: the checks of what is done once at the start. */
export function serverChecks(health: ServerHealth, storage: Storage, hooks: readonly HealthCheck[]): readonly HealthCheck[] {
  const etcd = (): Promise<string | undefined> => askStore(storage);
  const synced = async (): Promise<string | undefined> => {
    const limit = new AbortController();
    const ask = (): Promise<void> => storage.cache.reached(storage.store.stats().revision, limit.signal);
    return await probe({ ask, limitMs, clock: storage.clock }).finally(() => limit.abort());
  };
  return [
    { name: 'log', problem: health.logProblem, live: true },
    { name: 'etcd', problem: etcd, live: true },
    { name: 'etcd-readiness', problem: etcd, live: false },
    { name: 'informer-sync', problem: synced, live: false },
    ...hooks,
    { name: 'shutdown', problem: () => (health.stopping() ? 'process is shutting down' : undefined), live: false },
    ...[...health.readiness()]
      // The node may come and go without the API being any less ready.
      .filter(([name]) => name !== 'agent')
      .map(([name, notReady]): HealthCheck => ({ name, problem: () => notReady, live: false })),
  ];
}

/** The parts that ComponentStatus tells of, under the names that upstream gives them. */
export const componentChecks = (readiness: Readiness, storage: Storage): readonly Pick<HealthCheck, 'name' | 'problem'>[] => {
  const ready = readiness();
  return [
    { name: 'controller-manager', problem: () => ready.get('controllers') },
    { name: 'scheduler', problem: () => ready.get('scheduler') },
    { name: 'etcd-0', problem: () => askStore(storage) },
  ];
};

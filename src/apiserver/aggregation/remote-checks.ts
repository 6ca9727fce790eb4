/** Keeps what is known of remote servers current: whether they are there, told in the APIService's status, and what they serve. */
import type { APIServiceCondition } from '#kube/generated/apiregistration-v1.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import { timestamp } from '../core.ts';
import { follow } from '../follow.ts';
import type { InProcessTransport } from '../in-process.ts';
import { availableCondition } from './api-services.ts';
import { type Availability, checkDiscovery, serviceProblem } from './availability.ts';
import { aggregatorUser } from './documents.ts';
import { createKeyedWork } from './keyed-work.ts';
import { readDiscovery } from './remote-discovery.ts';
import { readOpenApi } from './remote-openapi.ts';
import { available, closeIdle, fetcherOver, hostFor, type Remote, type RemoteTable, type TableDeps } from './remote-table.ts';

export interface ChecksDeps extends TableDeps {
  readonly table: RemoteTable;
  readonly cache: WatchCache;
  /** Acts as the server itself. */
  readonly transport: InProcessTransport;
  readonly log: Logger;
}

export interface Checks {
  /** Begins to ask servers. */
  readonly start: () => void;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Upstream's resync of APIServices, its longest wait after failures, and its refresh of discovery. */
const recheckMs = 30_000;
const retry = { baseMs: 100, maxMs: 30_000 };
const rediscoverMs = 60_000;
const probeTimeoutMs = 5000;
/** Servers asked at once: slow ones must not keep the others waiting. */
const workers = 16;

async function check(deps: ChecksDeps, remote: Remote, signal: AbortSignal): Promise<Availability> {
  const problem = serviceProblem(deps.objects, remote.target);
  if (problem !== undefined) return problem;
  const { group, version } = remote.groupVersion;
  const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const fetch = fetcherOver(deps, remote, remote.probes);
  const request = { path, accept: 'application/json', user: aggregatorUser, maxBytes: 0, timeoutMs: probeTimeoutMs };
  return await checkDiscovery(path, hostFor(deps.objects, remote), async () => (await fetch(request, signal)).status, signal);
}

async function writeStatus(deps: ChecksDeps, name: string, found: Availability): Promise<void> {
  const current = deps.apiServices.get(name);
  if (current?.spec?.service === undefined) return;
  const before = availableCondition(current);
  if (before?.status === found.status && before.reason === found.reason && before.message === found.message) return;
  const since = before?.status === found.status ? before.lastTransitionTime : undefined;
  const condition: APIServiceCondition = { type: 'Available', ...found, lastTransitionTime: since ?? timestamp(deps.clock.now()) };
  const others = (current.status?.conditions ?? []).filter((c) => c.type !== 'Available');
  if (before?.status !== found.status) deps.log.info('availability of an API service changed', { name, ...found });
  const body = { ...current, status: { conditions: [...others, condition] } };
  const path = `/apis/apiregistration.k8s.io/v1/apiservices/${name}/status`;
  try {
    await deps.transport.call({ method: 'PUT', path, contentType: 'application/json', body });
  } catch (error) {
    // Somebody else's write came first: its event brings us back.
    if (!isStatus(error, 'Conflict', 'NotFound')) throw error;
  }
}

/** Reads discovery when it is due. True: it is known as it is. */
async function discover(deps: ChecksDeps, remote: Remote, found: Availability, signal: AbortSignal): Promise<boolean> {
  const { table, clock } = deps;
  if (found.status !== 'True') {
    if (remote.fresh) table.note(remote, { fresh: false });
    return false;
  }
  if (remote.fresh && clock.monotonic() - remote.discoveredAt < rediscoverMs) return true;
  try {
    const discovered = await readDiscovery(fetcherOver(deps, remote, remote.connections), remote.discovered, remote.groupVersion, signal);
    table.note(remote, { discovered, discoveredAt: clock.monotonic(), fresh: true });
    return true;
  } catch (error) {
    if (signal.aborted) return true;
    if (remote.fresh) table.note(remote, { fresh: false });
    deps.log.info('discovery of an API service failed', { name: remote.name, reason: reasonOf(error) });
    return false;
  }
}

/** Reads the OpenAPI documents when they are due. That there are none is nothing to hurry for. */
async function describe(deps: ChecksDeps, remote: Remote, signal: AbortSignal): Promise<void> {
  const { table, clock, log } = deps;
  if (clock.monotonic() - remote.openApiAt < rediscoverMs) return;
  try {
    const openApi = await readOpenApi(fetcherOver(deps, remote, remote.connections), remote.openApi, remote.groupVersion, signal);
    table.note(remote, { openApi, openApiAt: clock.monotonic() });
  } catch (error) {
    if (signal.aborted) return;
    log.info('the OpenAPI documents of an API service cannot be read', { name: remote.name, reason: reasonOf(error) });
    table.note(remote, { openApiAt: clock.monotonic() });
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** One look at one server; gives the wait until the next. */
async function look(deps: ChecksDeps, name: string, signal: AbortSignal): Promise<number | undefined> {
  const remote = deps.table.get(name);
  if (remote === undefined) return undefined;
  const found = await check(deps, remote, signal);
  await writeStatus(deps, name, found);
  const good = await discover(deps, remote, found, signal);
  if (good) await describe(deps, remote, signal);
  const failures = good ? 0 : (deps.table.get(name)?.failures ?? 0) + 1;
  if (failures !== remote.failures) deps.table.note(remote, { failures });
  return good ? recheckMs : backoffMs(failures, retry);
}

/** Tells of changes below a prefix of namespaced objects: of a service by its own name, of an endpoint slice by its label. */
function feedOf(
  { cache, table }: ChecksDeps,
  resource: 'core/services' | 'discovery.k8s.io/endpointslices',
  changed: (namespace: string, service: string) => void,
) {
  const prefix = `/registry/${resource}/`;
  return follow(cache, prefix, {
    reset: () => undefined,
    apply: ({ entry }) => {
      if (table.empty()) return;
      const [namespace = '', name = ''] = entry.key.slice(prefix.length).split('/');
      if (resource === 'core/services') return changed(namespace, name);
      const { metadata } = entry.object() as { readonly metadata?: { readonly labels?: Readonly<Record<string, string>> } };
      const service = metadata?.labels?.['kubernetes.io/service-name'];
      if (service !== undefined) changed(namespace, service);
    },
  });
}

/** Whether a change of a remote is one that only a look at its server can answer. */
const toBeLookedAt = (now: Remote, before: Remote | undefined): boolean =>
  before?.connections !== now.connections || available(before) !== available(now);

export function createChecks(deps: ChecksDeps): Checks {
  const { table, access } = deps;
  let started = false;
  let proxyCert = access.proxyClient().cert;
  /** A renewed certificate counts for new connections. */
  const renewConnections = (): void => {
    const { cert } = access.proxyClient();
    if (cert === proxyCert) return;
    proxyCert = cert;
    for (const remote of table.all()) closeIdle(remote);
  };
  const work = createKeyedWork(
    {
      name: 'check of an API service',
      workers,
      retry,
      work: async (name, signal) => {
        renewConnections();
        return await look(deps, name, signal);
      },
    },
    deps,
  );
  table.onChange((name, now, before) => {
    if (now === undefined) work.drop(name);
    else if (started && toBeLookedAt(now, before)) work.add(name);
  });
  const poke = (namespace: string, service: string): void => {
    for (const remote of table.all()) {
      if (remote.target.namespace !== namespace || remote.target.name !== service) continue;
      closeIdle(remote);
      if (remote.failures > 0) table.note(remote, { failures: 0 });
      if (started) work.add(remote.name);
    }
  };
  const feeds = [feedOf(deps, 'core/services', poke), feedOf(deps, 'discovery.k8s.io/endpointslices', poke)];
  return {
    start: () => {
      started = true;
      for (const { name } of table.all()) work.add(name);
    },
    run: async (signal) => {
      await using tasks = new TaskGroup(signal);
      tasks.spawn(work.run);
      for (const feed of feeds) tasks.spawn(feed.run);
      await tasks.join();
      for (const remote of table.all()) closeIdle(remote);
    },
  };
}

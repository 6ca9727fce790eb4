/**
 * Priority and fairness around the server's handler: flow schemas choose a priority level, and the level a seat, a place in
 * a queue, or 429. k8s.io/apiserver pkg/util/flowcontrol and endpoints/filters/priority-and-fairness.go.
 */
import type { Registry as MetricRegistry } from 'prom-client';
import type { FlowSchema, PriorityLevelConfiguration } from '#kube/generated/flowcontrol-v1.ts';
import { StatusError, toStatus } from '#kube/status-error.ts';
import { Channel } from '#lib/channel.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { CachedEntry, WatchCache } from '#store/contract.ts';
import type { ApiRequest, ApiResponse, ExtraRoute, ObjectStore, WatchMessage } from '../contract.ts';
import { follow } from '../follow.ts';
import { parseRequestInfo, type RequestInfo } from '../request-info.ts';
import { allocate } from './borrowing.ts';
import { distinguisher, isLongRunning, schemaMatches, sortSchemas } from './classify.ts';
import { writeDangling } from './dangling.ts';
import { dumpRoutes } from './dumps.ts';
import { type LevelSettings, PriorityLevel, type Ticket } from './level.ts';
import { createFlowFigures, type FlowFigures } from './metrics.ts';
import { workOf } from './work.ts';

export interface FlowControlOptions {
  /** --max-requests-inflight and --max-mutating-requests-inflight together; default 600, upstream's. */
  readonly totalSeats?: number;
  /** The longest wait in a queue: a quarter of upstream's request timeout. */
  readonly waitMs?: number;
}

export interface FlowControl {
  readonly handle: (inner: (request: ApiRequest) => Promise<ApiResponse>) => (request: ApiRequest) => Promise<ApiResponse>;
  /** Follows the flow schemas and priority levels until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly addMetrics: (registry: MetricRegistry) => void;
  /** Dumps for administrators. */
  readonly routes: readonly ExtraRoute[];
}

const prefix = '/registry/flowcontrol.apiserver.k8s.io/';
const exempt = { seats: Number.POSITIVE_INFINITY, lower: 0, upper: Number.POSITIVE_INFINITY };
/** How often seats are lent anew: upstream's borrowingAdjustmentPeriod. */
const borrowingMs = 10_000;

interface Level {
  readonly level: PriorityLevel;
  readonly uid: string;
}

/** Seats of the levels: shares of the total, at least one each, and what they may lend and borrow of them. */
export function settingsOf(
  levels: ReadonlyMap<string, PriorityLevelConfiguration>,
  totalSeats: number,
): ReadonlyMap<string, LevelSettings> {
  const sharesOf = (l: PriorityLevelConfiguration): number =>
    l.spec?.type === 'Limited' ? (l.spec.limited?.nominalConcurrencyShares ?? 30) : (l.spec?.exempt?.nominalConcurrencyShares ?? 0);
  const sum = [...levels.values()].reduce((n, l) => n + sharesOf(l), 0);
  const settings = new Map<string, LevelSettings>();
  for (const [name, l] of levels) {
    if (l.spec?.type !== 'Limited') {
      settings.set(name, exempt);
      continue;
    }
    const { lendablePercent = 0, borrowingLimitPercent, limitResponse: response } = l.spec.limited ?? {};
    const { queues = 64, handSize = 8, queueLengthLimit = 50 } = response?.queuing ?? {};
    const seats = Math.ceil((totalSeats * sharesOf(l)) / Math.max(1, sum));
    settings.set(name, {
      seats,
      lower: seats - Math.round((seats * lendablePercent) / 100),
      upper: borrowingLimitPercent === undefined ? totalSeats : seats + Math.round((seats * borrowingLimitPercent) / 100),
      ...(response?.type === 'Queue' ? { queuing: { queues, handSize, queueLengthLimit } } : {}),
    });
  }
  return settings;
}

const tooMany = (): ApiResponse => ({
  type: 'object',
  status: 429,
  headers: { 'retry-after': '1' },
  object: toStatus(new StatusError('TooManyRequests', 'Too many requests, please try again later.', { details: { retryAfterSeconds: 1 } })),
});

/** The configuration as stored, as a lookup that is made anew after a change. */
class Configuration {
  readonly #clock: Clock;
  readonly #totalSeats: number;
  readonly #schemas = new Map<string, FlowSchema>();
  readonly #configs = new Map<string, PriorityLevelConfiguration>();
  #sorted: readonly FlowSchema[] = [];
  settings: ReadonlyMap<string, LevelSettings> = new Map();
  readonly levels = new Map<string, Level>();

  constructor(clock: Clock, totalSeats: number) {
    this.#clock = clock;
    this.#totalSeats = totalSeats;
  }

  reset(entries: readonly CachedEntry[]): void {
    this.#schemas.clear();
    this.#configs.clear();
    for (const entry of entries) this.#put(entry, true);
    this.#rebuild();
  }

  apply(entry: CachedEntry, present: boolean): void {
    this.#put(entry, present);
    this.#rebuild();
  }

  #put(entry: CachedEntry, present: boolean): void {
    const [plural = '', name = ''] = entry.key.slice(prefix.length).split('/');
    const [map, object]: [Map<string, unknown>, unknown] = [
      plural === 'flowschemas' ? this.#schemas : this.#configs,
      present ? entry.object() : undefined,
    ];
    if (object === undefined) map.delete(name);
    else map.set(name, object);
  }

  #rebuild(): void {
    this.#sorted = sortSchemas(this.#schemas.values());
    this.settings = settingsOf(this.#configs, this.#totalSeats);
    for (const [name, settings] of this.settings) {
      const known = this.levels.get(name);
      const uid = this.#configs.get(name)?.metadata.uid ?? '';
      if (known === undefined) this.levels.set(name, { level: new PriorityLevel(settings, this.#clock), uid });
      else {
        known.level.update(settings);
        if (known.uid !== uid) this.levels.set(name, { ...known, uid });
      }
    }
    for (const name of [...this.levels.keys()]) if (!this.settings.has(name)) this.levels.delete(name);
  }

  schemas(): readonly FlowSchema[] {
    return this.#sorted;
  }

  /** Undefined while there is no configuration: everything is let through. */
  find(request: ApiRequest, info: RequestInfo): { readonly schema: FlowSchema; readonly name: string; readonly level: Level } | undefined {
    for (const schema of this.#sorted) {
      const name = schema.spec?.priorityLevelConfiguration.name ?? '';
      const level = this.levels.get(name);
      // A schema whose level does not exist is passed over, as upstream.
      if (level !== undefined && schemaMatches(schema, request.user, info, request.path)) return { schema, name, level };
    }
    return undefined;
  }
}

/** Watches that are open, by resource. */
class OpenWatches {
  readonly #counts = new Map<string, number>();

  count(group: string, resource: string): number {
    return this.#counts.get(`${resource}.${group}`) ?? 0;
  }

  #add(info: RequestInfo, by: 1 | -1): void {
    const key = `${info.resource}.${info.group}`;
    const left = (this.#counts.get(key) ?? 0) + by;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }

  /** Counts a watch from its first message to its end. */
  async *follow(info: RequestInfo, messages: AsyncIterable<WatchMessage>): AsyncIterable<WatchMessage> {
    this.#add(info, 1);
    try {
      yield* messages;
    } finally {
      this.#add(info, -1);
    }
  }
}

/** Runs a task after changes, once for all that came together. */
function coalesced(task: () => Promise<void>): { readonly wake: () => void; readonly run: (signal: AbortSignal) => Promise<void> } {
  const changes = new Channel<undefined>(1);
  return {
    wake: () => void changes.push(undefined),
    run: async (signal) => {
      signal.addEventListener('abort', () => changes.close(), { once: true });
      changes.push(undefined);
      for await (const _ of changes) await task();
    },
  };
}

export interface FlowControlDeps {
  readonly cache: WatchCache;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Lends seats anew some time after a request came: where nobody asks, nothing is done. */
function createLender(configuration: Configuration, clock: Clock, figures: Pick<FlowFigures, 'allocated'>): { readonly wake: () => void } {
  let armed = false;
  const lend = (): void => {
    armed = false;
    const limited = [...configuration.levels].filter(([, { level }]) => Number.isFinite(level.settings.seats));
    const demands = limited.map(([, { level }]) => ({ settings: level.settings, demand: level.demand.settle() }));
    const allocation = allocate(demands);
    for (const [i, [, { level }]] of limited.entries()) level.setLimit(allocation.seats[i] ?? level.settings.seats);
    figures.allocated(
      limited.map(([name]) => name),
      allocation,
    );
  };
  return {
    wake: () => {
      if (armed) return;
      armed = true;
      clock.after(borrowingMs, lend);
    },
  };
}

export function createFlowControl(options: FlowControlOptions, deps: FlowControlDeps): FlowControl {
  const { cache, store, clock, log } = deps;
  const configuration = new Configuration(clock, options.totalSeats ?? 600);
  const status = coalesced(async () => {
    try {
      await writeDangling(store, clock, configuration.schemas(), (level) => configuration.levels.has(level));
    } catch (error) {
      log.warn('the status of flow schemas could not be written', { error });
    }
  });
  const feed = follow(cache, prefix, {
    reset: (entries) => {
      configuration.reset(entries);
      status.wake();
    },
    apply: (event) => {
      configuration.apply(event.entry, event.type === 'put');
      status.wake();
    },
  });
  const levels = () => configuration.levels;
  const figures = createFlowFigures(levels);
  const lender = createLender(configuration, clock, figures);
  const watches = new OpenWatches();
  const workDeps = { count: cache.count, watches: (group: string, resource: string) => watches.count(group, resource) };
  const waitMs = options.waitMs ?? 15_000;

  const ticketOf = (request: ApiRequest, info: RequestInfo, schema: FlowSchema): Ticket => ({
    schema: schema.metadata.name ?? '',
    distinguisher: distinguisher(schema, request.user, info),
    work: workOf(request, info, workDeps),
    arrived: clock.now(),
    details: [request.user.name, info.verb, request.path, info.namespace, info.name, info.version, info.resource, info.subresource],
  });

  return {
    run: async (signal) => {
      await Promise.all([feed.run(signal), status.run(signal)]);
    },
    addMetrics: figures.register,
    routes: dumpRoutes(levels),
    handle: (inner) => async (request) => {
      let info: RequestInfo;
      try {
        info = parseRequestInfo(request.method, request.path, request.query);
      } catch {
        return await inner(request);
      }
      const found = configuration.find(request, info);
      if (found === undefined) return await inner(request);
      const named = (response: ApiResponse): ApiResponse => ({
        ...response,
        headers: {
          ...response.headers,
          'x-kubernetes-pf-flowschema-uid': found.schema.metadata.uid ?? '',
          'x-kubernetes-pf-prioritylevel-uid': found.level.uid,
        },
      });
      if (isLongRunning(info) && info.verb !== 'watch') return named(await inner(request));
      lender.wake();
      const { level } = found.level;
      const ticket = ticketOf(request, info, found.schema);
      const began = clock.monotonic();
      const entering = level.enter(ticket, waitMs, request.signal);
      const seated = entering instanceof Promise ? await entering : entering;
      const queued = entering instanceof Promise ? (clock.monotonic() - began) / 1000 : 0;
      figures.waited(found.name, ticket, queued, typeof seated !== 'string');
      if (typeof seated === 'string') {
        figures.rejected(found.name, ticket, seated);
        return named(tooMany());
      }
      figures.dispatched(found.name, ticket);
      try {
        const response = named(await inner(request));
        // A watch holds its seat while it is set up; then it would keep others out for hours.
        return response.type === 'watch' ? { ...response, messages: watches.follow(info, response.messages) } : response;
      } finally {
        level.leave(seated);
        figures.executed(found.name, ticket, (clock.monotonic() - seated.since) / 1000, info.verb === 'watch' ? 'watch' : 'regular');
      }
    },
  };
}

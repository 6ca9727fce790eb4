/**
 * Priority and fairness around the server's handler: flow schemas choose a priority level, and the level a seat, a place in
 * a queue, or 429. k8s.io/apiserver pkg/util/flowcontrol and endpoints/filters/priority-and-fairness.go.
 */
import { Counter, Gauge, type Registry as MetricRegistry } from 'prom-client';
import type { FlowSchema, PriorityLevelConfiguration } from '#kube/generated/flowcontrol-v1.ts';
import { StatusError, toStatus } from '#kube/status-error.ts';
import { Channel } from '#lib/channel.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { CachedEntry, WatchCache } from '#store/contract.ts';
import type { ApiRequest, ApiResponse, ObjectStore } from '../contract.ts';
import { follow } from '../follow.ts';
import { parseRequestInfo, type RequestInfo } from '../request-info.ts';
import { distinguisher, isLongRunning, schemaMatches, sortSchemas } from './classify.ts';
import { writeDangling } from './dangling.ts';
import { type LevelSettings, PriorityLevel, type Refusal } from './level.ts';

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
}

const prefix = '/registry/flowcontrol.apiserver.k8s.io/';
const exempt = { seats: Number.POSITIVE_INFINITY };

interface Level {
  readonly level: PriorityLevel;
  readonly uid: string;
}

/** Seats of the levels: shares of the total, at least one each. */
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
    const response = l.spec.limited?.limitResponse;
    const { queues = 64, handSize = 8, queueLengthLimit = 50 } = response?.queuing ?? {};
    settings.set(name, {
      seats: Math.ceil((totalSeats * sharesOf(l)) / Math.max(1, sum)),
      ...(response?.type === 'Queue' ? { queuing: { queues, handSize, queueLengthLimit } } : {}),
    });
  }
  return settings;
}

interface Figures {
  readonly dispatched: (schema: string, level: string) => void;
  readonly rejected: (schema: string, level: string, why: Refusal) => void;
}

function createMetrics(
  levels: () => ReadonlyMap<string, Level>,
  settings: () => ReadonlyMap<string, LevelSettings>,
): { figures: Figures; add: FlowControl['addMetrics'] } {
  const labels = ['flow_schema', 'priority_level'];
  const name = (end: string): string => `apiserver_flowcontrol_${end}`;
  const dispatched = new Counter({
    name: name('dispatched_requests_total'),
    help: 'Number of requests executed by API Priority and Fairness',
    labelNames: labels,
    registers: [],
  });
  const rejected = new Counter({
    name: name('rejected_requests_total'),
    help: 'Number of requests rejected by API Priority and Fairness',
    labelNames: [...labels, 'reason'],
    registers: [],
  });
  const perLevel = (end: string, help: string, read: (l: Level, level: string) => number): Gauge =>
    new Gauge({
      name: name(end),
      help,
      labelNames: ['priority_level'],
      registers: [],
      collect() {
        this.reset();
        for (const [level, l] of levels()) this.set({ priority_level: level }, read(l, level));
      },
    });
  const gauges = [
    perLevel('current_executing_requests', 'Number of requests being executed, by priority level', (l) => l.level.figures().executing),
    perLevel('current_inqueue_requests', 'Number of requests waiting in queues, by priority level', (l) => l.level.figures().waiting),
    perLevel('nominal_limit_seats', 'Nominal number of execution seats, by priority level', (_l, level) => {
      const seats = settings().get(level)?.seats ?? 0;
      return Number.isFinite(seats) ? seats : 0;
    }),
  ];
  return {
    figures: {
      dispatched: (schema, level) => dispatched.inc({ flow_schema: schema, priority_level: level }),
      rejected: (schema, level, reason) => rejected.inc({ flow_schema: schema, priority_level: level, reason }),
    },
    add: (registry) => {
      for (const metric of [dispatched, rejected, ...gauges]) registry.registerMetric(metric);
    },
  };
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
  const { figures, add } = createMetrics(
    () => configuration.levels,
    () => configuration.settings,
  );
  const waitMs = options.waitMs ?? 15_000;
  return {
    run: async (signal) => {
      await Promise.all([feed.run(signal), status.run(signal)]);
    },
    addMetrics: add,
    handle: (inner) => async (request) => {
      let info: RequestInfo;
      try {
        info = parseRequestInfo(request.method, request.path, request.query);
      } catch {
        return await inner(request);
      }
      const found = configuration.find(request, info);
      if (found === undefined) return await inner(request);
      const schemaName = found.schema.metadata.name ?? '';
      const named = (response: ApiResponse): ApiResponse => ({
        ...response,
        headers: {
          ...response.headers,
          'x-kubernetes-pf-flowschema-uid': found.schema.metadata.uid ?? '',
          'x-kubernetes-pf-prioritylevel-uid': found.level.uid,
        },
      });
      if (isLongRunning(info)) return named(await inner(request));
      const { level } = found.level;
      const entering = level.enter(`${schemaName}/${distinguisher(found.schema, request.user, info)}`, waitMs, request.signal);
      const refusal = entering instanceof Promise ? await entering : entering;
      if (refusal !== undefined) {
        figures.rejected(schemaName, found.name, refusal);
        return named(tooMany());
      }
      figures.dispatched(schemaName, found.name);
      try {
        return named(await inner(request));
      } finally {
        level.leave();
      }
    },
  };
}

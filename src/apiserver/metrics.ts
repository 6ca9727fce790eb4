/** /metrics, under upstream's names. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry as MetricsRegistry } from 'prom-client';
import type { StoreStats, WatchCache } from '#store/contract.ts';
import type { ApiRequest, ApiResponse } from './contract.ts';
import { kindPrefix } from './keys.ts';
import type { Registry } from './registry.ts';
import type { RequestInfo } from './request-info.ts';

export interface Metrics {
  readonly registry: MetricsRegistry;
  readonly observe: (info: RequestInfo, request: ApiRequest, status: number, seconds: number) => void;
  readonly started: (longRunning: boolean) => void;
  readonly ended: (longRunning: boolean) => void;
  readonly handle: (request: ApiRequest, info: RequestInfo) => Promise<ApiResponse> | undefined;
}

export interface MetricsOptions {
  readonly cache: WatchCache;
  readonly kinds: Registry;
  readonly storeStats: () => StoreStats;
  readonly gitVersion: string;
}

const requestLabels = ['verb', 'dry_run', 'group', 'version', 'resource', 'subresource', 'scope', 'component'] as const;
const durations = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];
/** Label sets kept ready; beyond this (nobody has that many resources) they are looked up each time. */
const maxPrepared = 4096;

const scopeOf = (info: RequestInfo): string => {
  if (!info.isResource) return '';
  if (info.name !== '') return 'resource';
  return info.namespace === '' ? 'cluster' : 'namespace';
};

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new MetricsRegistry();
  const registers = [registry];
  const requests = new Counter({
    name: 'apiserver_request_total',
    help: 'Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.',
    labelNames: [...requestLabels, 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.',
    labelNames: [...requestLabels],
    buckets: durations,
    registers,
  });
  const inflight = new Gauge({
    name: 'apiserver_current_inflight_requests',
    help: 'Maximal number of currently used inflight request limit of this apiserver per request kind in last second.',
    labelNames: ['request_kind'],
    registers,
  });
  const long = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Gauge of all active long-running apiserver requests.',
    registers,
  });
  addGauges(options, registry);
  // The sampled figures of event loop delay cost a hundred wake-ups a second; nodejs_eventloop_lag_seconds is measured when asked.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 2 ** 31 - 1 });
  for (const name of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'])
    registry.removeSingleMetric(`nodejs_eventloop_lag_${name}_seconds`);
  const prepared = new Map<
    string,
    { readonly count: ReturnType<typeof requests.labels>; readonly time: ReturnType<typeof duration.labels> }
  >();
  return {
    registry,
    started: (longRunning) => (longRunning ? long.inc() : inflight.labels('all').inc()),
    ended: (longRunning) => (longRunning ? long.dec() : inflight.labels('all').dec()),
    observe: (info, request, status, seconds) => {
      const dry = request.query.has('dryRun') ? 'All' : '';
      const known = info.isResource && options.kinds.resource(info.group, info.version, info.resource) !== undefined;
      const resource = known ? info.resource : '';
      const verb = info.isResource ? info.verb.toUpperCase() : request.method;
      const scope = scopeOf(info);
      const key = `${verb} ${status} ${resource} ${info.subresource} ${scope} ${dry} ${known ? info.group : ''} ${known ? info.version : ''}`;
      let labels = prepared.get(key);
      if (labels === undefined) {
        const values = [
          verb,
          dry,
          known ? info.group : '',
          known ? info.version : '',
          resource,
          known && /^[a-z]{0,30}$/.test(info.subresource) ? info.subresource : '',
          scope,
          'apiserver',
        ];
        labels = { count: requests.labels(...values, String(status)), time: duration.labels(...values) };
        if (prepared.size < maxPrepared) prepared.set(key, labels);
      }
      labels.count.inc();
      if (info.verb !== 'watch') labels.time.observe(seconds);
    },
    handle: (request, info) => {
      if (info.segments.length !== 1 || info.segments[0] !== 'metrics' || request.method !== 'GET') return undefined;
      return registry.metrics().then((body): ApiResponse => ({ type: 'bytes', status: 200, contentType: registry.contentType, body }));
    },
  };
}

function addGauges(options: MetricsOptions, registry: MetricsRegistry): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  const { cache, storeStats } = options;
  gauge(
    'apiserver_storage_size_bytes',
    'Size of the storage database file physically allocated in bytes.',
    () => storeStats().databaseBytes,
  );
  gauge(
    'etcd_mvcc_db_total_size_in_bytes',
    'Total size of the underlying database physically allocated in bytes.',
    () => storeStats().databaseBytes,
  );
  gauge('etcd_debugging_mvcc_current_revision', 'The current revision of store.', () => cache.revision());
  gauge('etcd_debugging_mvcc_compact_revision', 'The revision of the last compaction in store.', () => storeStats().compactedRevision);
  gauge('etcd_server_proposals_pending', 'The current number of writes that wait for their commit.', () => storeStats().pendingWrites);
  gauge('etcd_disk_backend_commit_duration_seconds_sum', 'Seconds spent in commits.', () => storeStats().commitSecondsSum);
  gauge('etcd_disk_backend_commit_duration_seconds_count', 'Commits.', () => storeStats().commits);
  gauge('apiserver_watch_cache_events_buffered', 'Events kept for resuming watches.', () => cache.stats().ringEvents);
  gauge('apiserver_registered_watchers', 'Number of currently registered watchers.', () => cache.stats().watchers);
  gauge('apiserver_terminated_watchers_total', 'Watchers closed due to unresponsiveness.', () => cache.stats().overflows);
  new Gauge({
    name: 'apiserver_storage_objects',
    help: 'Number of stored objects at the time of last check split by kind.',
    labelNames: ['resource'],
    registers,
    collect() {
      this.reset();
      for (const { def } of options.kinds.all()) {
        if (def.ephemeral === true) continue;
        const name = def.ref.group === '' ? def.ref.plural : `${def.ref.plural}.${def.ref.group}`;
        this.labels(name).set(cache.count(kindPrefix(def)));
      }
    },
  });
  const [major = '', minor = ''] = options.gitVersion.replace(/^v/, '').split('.');
  new Gauge({
    name: 'kubernetes_build_info',
    help: 'A metric with a constant 1 value labeled by major, minor, git version.',
    labelNames: ['major', 'minor', 'git_version'],
    registers,
  })
    .labels(major, minor, options.gitVersion)
    .set(1);
}

/** The API server, put together. */
import type { Worker } from 'node:worker_threads';
import { createCel } from '#kube/cel.ts';
import type { KindDef } from '#kube/kind.ts';
import { customResourceDefinitions, services, validatingAdmissionPolicies } from '#kube/refs.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { Turns } from '#lib/turns.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import type { StoreStats, WatchCache } from '#store/contract.ts';
import { type AdmissionMetrics, createAdmissionMetrics } from './admission/admission-metrics.ts';
import { createAdmissionChain } from './admission/chain.ts';
import { createPolicyStatusKeeper } from './admission/policy-status.ts';
import type { CallWebhook } from './admission/webhook-client.ts';
import { createAggregation } from './aggregation/aggregation.ts';
import type { RemoteAccess } from './aggregation/target.ts';
import { createIpAddressKeeper } from './alloc/ip-addresses.ts';
import { createServiceAllocator } from './alloc/services.ts';
import { bootstrapObjects } from './bootstrap/bootstrap.ts';
import type {
  AdmissionPlugin,
  ApiRequest,
  Authenticate,
  Authorize,
  ComputedDef,
  ExtraRoute,
  ObjectStore,
  ReviewDef,
  SubresourceDef,
} from './contract.ts';
import type { Core } from './core.ts';
import { createCelMetrics } from './crd/cel-metrics.ts';
import { createConversionMetrics } from './crd/conversion-metrics.ts';
import { createDefinitions } from './crd/definitions.ts';
import { deleteInstances, instancesGone, releaseDefinition } from './crd/instances.ts';
import { createDiscovery } from './discovery/discovery.ts';
import { createOpenApi } from './discovery/openapi.ts';
import { expireObjects } from './expiry.ts';
import { createHandler, type Handle } from './handler.ts';
import { createHealth, createStartHooks, type HealthCheck, healthPaths, type StartHooks } from './health.ts';
import { createHttpServer, defaultTimeoutMs, type HttpServer, type TlsMaterial } from './http/server.ts';
import { createInProcessTransport } from './in-process.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createObjectStore } from './objects.ts';
import { createPlainPaths, type VersionInfo } from './paths.ts';
import { createRegistry, type Registry } from './registry.ts';
import { subresourcesFor } from './subresources/index.ts';
import { createYamlReader } from './yaml-reader.ts';

export interface ApiServerConfig {
  readonly version: VersionInfo;
  /** "10.0.0.1:6443". */
  readonly serverAddress: () => string;
  /** Networks of service addresses, one or two of different families. Default: 10.43.0.0/16. */
  readonly serviceCidrs?: readonly string[];
  /** Default: 30000 to 32767. */
  readonly nodePortRange?: { readonly from: number; readonly to: number };
  /** Largest body in bytes; default 3 MiB. */
  readonly bodyLimit?: number;
  /** Default 60,000. */
  readonly requestTimeoutMs?: number;
}

export interface ApiServerOptions {
  /** Made with `present: presentStored` (view.ts). */
  readonly cache: WatchCache;
  readonly kinds: readonly KindDef[];
  readonly authorize: Authorize;
  /** Called once: plugins read and write through the server's own store. */
  readonly admission: (objects: ObjectStore, metrics: AdmissionMetrics) => readonly AdmissionPlugin[];
  /** Called once: how servers behind APIServices are reached. Absent: they cannot be. */
  readonly remoteAccess?: (objects: ObjectStore) => RemoteAccess;
  /** Called once: how webhooks that convert custom resources are called; their services are looked up in the server's own store. */
  readonly callWebhook: (objects: ObjectStore) => CallWebhook;
  /** Starts a thread that runs yaml-thread.ts. */
  readonly startYamlThread: () => Worker;
  readonly subresources: readonly SubresourceDef[];
  readonly reviews: readonly ReviewDef[];
  readonly computed: readonly ComputedDef[];
  readonly extraRoutes: readonly ExtraRoute[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly config: ApiServerConfig;
  /** Stands around every request, outermost last: audit, priority and fairness. */
  readonly around?: readonly ((handle: Handle) => Handle)[];
  /** Figures of the store below the cache, for /metrics. */
  readonly storeStats: () => StoreStats;
  /** Shown by /readyz and /livez in this order; asked at every request. */
  readonly checks: () => readonly HealthCheck[];
}

export interface ApiServer {
  /** The transport-independent core: a request with its user in, a response out. Never rejects. */
  readonly handle: Handle;
  readonly objects: ObjectStore;
  readonly registry: Registry;
  /** What has to be done once before the server is healthy; `bootstrap` does a part of it, starting authorization the rest. */
  readonly hooks: StartHooks;
  /** Parts may add their own figures. */
  readonly metrics: Metrics['registry'];
  /**
   * Makes the objects that every cluster has: system namespaces, priority classes, flow control, the service `kubernetes`
   * with this server's address. To be called once before clients come; needs no listening server.
   */
  readonly bootstrap: (options: { readonly advertiseAddress: string; readonly port: number }) => Promise<void>;
  /** Ends background work of the core; the cache stays open. */
  readonly close: () => Promise<void>;
  /** An HTTPS server over this core; it is not listening yet. */
  readonly createHttp: (options: { readonly tls: TlsMaterial; readonly authenticate: Authenticate }) => HttpServer;
}

/** The server itself. */
const systemUser = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };

/** Upstream's names, in its order, of what this server does at its start. */
const startHooks = [
  'start-apiserver-admission-initializer',
  'generic-apiserver-start-informers',
  'priority-and-fairness-config-consumer',
  'start-apiextensions-informers',
  'start-apiextensions-controllers',
  'crd-informer-synced',
  'start-system-namespaces-controller',
  'start-cluster-authentication-info-controller',
  'start-service-ip-repair-controllers',
  'rbac/bootstrap-roles',
  'scheduling/bootstrap-system-priority-classes',
  'priority-and-fairness-config-producer',
  'bootstrap-controller',
  'start-kubernetes-service-cidr-controller',
  'start-kube-aggregator-informers',
  'apiservice-status-local-available-controller',
  'apiservice-status-remote-available-controller',
  'apiservice-registration-controller',
  'apiservice-discovery-controller',
  'kube-apiserver-autoregistration',
  'apiservice-openapi-controller',
  'apiservice-openapiv3-controller',
];
/** What is one piece of work here and several upstream is done as soon as that is. */
const doneWith: Readonly<Record<string, readonly string[]>> = {
  'crd-informer-synced': [
    'start-apiserver-admission-initializer',
    'generic-apiserver-start-informers',
    'start-apiextensions-informers',
    'start-apiextensions-controllers',
  ],
  'kube-apiserver-autoregistration': [
    'start-kube-aggregator-informers',
    'apiservice-status-local-available-controller',
    'apiservice-status-remote-available-controller',
    'apiservice-registration-controller',
    'apiservice-discovery-controller',
    'apiservice-openapi-controller',
    'apiservice-openapiv3-controller',
  ],
};
const noAccess: RemoteAccess = {
  dial: () => Promise.reject(new Error('no way to the services of the cluster')),
  proxyClient: () => ({ cert: '', key: '' }),
};

const publicPaths = new Set(['/healthz', '/livez', '/readyz', '/version']);

export function createApiServer(options: ApiServerOptions): ApiServer {
  const { cache, clock, random, log, config } = options;
  const registry = createRegistry(options.kinds, (def) => subresourcesFor(def, options.subresources));
  const objects = createObjectStore({ cache, registry, clock, random });
  const addresses = createIpAddressKeeper(() => objects, log);
  const serviceCidrs = config.serviceCidrs ?? ['10.43.0.0/16'];
  const allocator = createServiceAllocator(
    { serviceCidrs, nodePortRange: config.nodePortRange ?? { from: 30_000, to: 32_767 }, onAddresses: addresses.changed },
    random,
  );
  for (const service of objects.list(services, '')) allocator.adopt(service);
  const metrics = createMetrics({ cache, kinds: registry, storeStats: options.storeStats, gitVersion: config.version.gitVersion });
  const definitions = createDefinitions({
    registry,
    cache,
    clock,
    log,
    converter: {
      call: options.callWebhook(objects),
      uuid: random.uuid,
      now: clock.monotonic,
      observe: createConversionMetrics(metrics.registry),
    },
    snapshot: (name) => objects.snapshot(customResourceDefinitions, '', name),
    setStatus: (name, change) =>
      objects.modify(customResourceDefinitions, '', name, (draft, crd) => {
        draft['status'] = change(crd);
        return true;
      }),
    deleteInstances: (kind, signal) => deleteInstances(core, kind, signal),
    instancesGone: (kind, signal) => instancesGone(core, kind, signal),
    release: (name, signal) => releaseDefinition(handle, name, signal),
    celTimes: createCelMetrics(metrics.registry),
    typesChanged: (group, plural) => policyStatus.typesChanged(group, plural),
  });
  const admissionMetrics = createAdmissionMetrics(metrics.registry);
  const policyStatus = createPolicyStatusKeeper({
    cel: createCel(),
    objects,
    authorize: options.authorize,
    log,
    transport: createInProcessTransport({ handle: (request) => handle(request) }, systemUser, 'kube-apiserver'),
  });
  const core: Core = {
    cache,
    registry,
    objects,
    admission: createAdmissionChain(options.admission(objects, admissionMetrics), { metrics: admissionMetrics, clock }),
    authorize: options.authorize,
    clock,
    random,
    log,
    turns: new Turns(),
    hooks: new Map([
      ['/services', allocator.hooks],
      ['apiextensions.k8s.io/customresourcedefinitions', definitions.hooks],
      ['admissionregistration.k8s.io/validatingadmissionpolicies', policyStatus.hooks],
    ]),
  };
  const openRoutes = options.extraRoutes.filter((r) => r.access === 'none');
  const aggregation = createAggregation({
    registry,
    cache,
    objects,
    access: options.remoteAccess?.(objects) ?? noAccess,
    requestTimeoutMs: config.requestTimeoutMs ?? defaultTimeoutMs,
    clock,
    log: log.child('aggregation'),
    transport: createInProcessTransport({ handle: (request) => handle(request) }, systemUser, 'kube-apiserver'),
  });
  aggregation.addMetrics(metrics.registry);
  const { catalogue } = aggregation;
  const yaml = createYamlReader({ startThread: options.startYamlThread, clock });
  const inner = createHandler({
    core,
    yaml,
    metrics,
    reviews: options.reviews,
    computed: options.computed,
    delegate: aggregation.delegate,
    paths: [
      createDiscovery({ registry, catalogue, serverAddress: config.serverAddress }),
      createOpenApi({ registry, catalogue, remote: aggregation.documents, version: config.version.gitVersion }),
      createHealth(options.checks),
      createPlainPaths(catalogue, config.version, () => [
        ...healthPaths(options.checks()),
        ...options.extraRoutes.map((r) => r.path).filter((path) => !/[*/]$/.test(path)),
      ]),
      metrics.handle,
      routePaths(options.extraRoutes),
    ],
    alwaysAllowed: (path) => publicPaths.has(path) || openRoutes.some((r) => routeMatches(r, path)),
  });
  const handle: Handle = (options.around ?? []).reduce((next, wrap) => wrap(next), inner);
  const hooks = createStartHooks(startHooks, doneWith);
  if (registry.resource('apiextensions.k8s.io', 'v1', 'customresourcedefinitions') !== undefined)
    for (const crd of objects.list(customResourceDefinitions, '')) definitions.adopt(crd);
  hooks.done('crd-informer-synced');
  if (registry.resource('admissionregistration.k8s.io', 'v1', 'validatingadmissionpolicies') !== undefined)
    for (const policy of objects.list(validatingAdmissionPolicies, '')) policyStatus.adopt(policy);
  const tasks = new TaskGroup();
  tasks.spawn(aggregation.run);
  tasks.spawn((signal) => expireObjects({ cache, clock, log, kinds: () => registry.all().map((r) => r.def) }, signal));
  return {
    handle,
    objects,
    registry,
    hooks,
    metrics: metrics.registry,
    bootstrap: async ({ advertiseAddress, port }) => {
      const transport = createInProcessTransport({ handle }, systemUser, 'kube-apiserver');
      await bootstrapObjects(transport, objects, hooks, { advertiseAddress, port, serviceCidrs, serviceIp: allocator.firstIp() });
      await hooks.run('start-service-ip-repair-controllers', async () => {
        await addresses.settled();
        await addresses.repair();
      });
      await hooks.run('kube-apiserver-autoregistration', aggregation.start);
    },
    close: async () => {
      await yaml.close();
      await tasks.close();
      await policyStatus.close();
      await definitions.close();
      await addresses.settled();
    },
    createHttp: ({ tls, authenticate }) =>
      createHttpServer(
        {
          tls,
          ...(config.bodyLimit === undefined ? {} : { bodyLimit: config.bodyLimit }),
          ...(config.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: config.requestTimeoutMs }),
        },
        { handle, passesOn: aggregation.passesOn, authenticate, clock, log },
      ),
  };
}

const routeMatches = (route: ExtraRoute, path: string): boolean =>
  route.path.endsWith('/*') ? path.startsWith(route.path.slice(0, -1)) : path === route.path;

const routePaths = (routes: readonly ExtraRoute[]) => (request: ApiRequest) =>
  routes.find((r) => routeMatches(r, request.path) && r.methods.includes(request.method))?.handle(request);

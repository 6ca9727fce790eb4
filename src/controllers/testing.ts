/** A cluster for tests: a real API server over the memory store, the controllers under test, a stepped clock, and pods that do as told. */
import { setImmediate } from 'node:timers/promises';
import { type Authorization, createAuthorization } from '#apiserver/authz/authorizer.ts';
import { createInProcessTransport } from '#apiserver/in-process.ts';
import { admin, startTestServer } from '#apiserver/testing.ts';
import type { KubeClient } from '#client/contract.ts';
import { createKubeClient } from '#client/kube-client.ts';
import type { Event, Pod, PodStatus } from '#kube/generated/core-v1.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { events1, namespaces, pods, type ResourceRef } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { FakeClock } from '#platform/fake-clock.ts';
import { seededRandom } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { ControllerConfig, ControllerDef } from './controller.ts';
import { createControllers } from './run.ts';
import { isoTime } from './times.ts';

export interface TestCluster extends AsyncDisposable {
  readonly client: KubeClient;
  readonly clock: FakeClock;
  readonly log: readonly string[];
  /** Lets everything run until nothing more happens, without moving the clock by more than some milliseconds. */
  readonly settle: () => Promise<void>;
  /** Moves the clock and settles. */
  readonly pass: (ms: number) => Promise<void>;
  readonly get: <T extends KubeObject>(resource: ResourceRef<T>, name: string, namespace?: string) => Promise<Stored<T> | undefined>;
  readonly list: <T extends KubeObject>(resource: ResourceRef<T>, namespace?: string) => Promise<readonly Stored<T>[]>;
  readonly names: (resource: ResourceRef, namespace?: string) => Promise<readonly string[]>;
  readonly patch: <T extends KubeObject>(
    resource: ResourceRef<T>,
    name: string,
    patch: unknown,
    subresource?: string,
  ) => Promise<Stored<T>>;
  /** What a kubelet would do now: pods run and are ready, deleted ones go away. */
  readonly runPods: (which?: (pod: Stored<Pod>) => boolean) => Promise<void>;
  readonly setPodStatus: (pod: Stored<Pod>, status: PodStatus) => Promise<void>;
  /** What the controllers have asked of the API server, as "method path". Watches are left out. */
  readonly calls: string[];
  /** Events as "reason: message", in the order in which they came. */
  readonly events: (namespace?: string) => Promise<readonly string[]>;
}

export const testConfig: ControllerConfig = {
  clusterCidrs: ['10.42.0.0/16'],
  nodeCidrMaskSizeIPv4: 24,
  nodeCidrMaskSizeIPv6: 64,
  nodeMonitorGraceMs: 50_000,
  terminatedPodThreshold: 12_500,
  rootCa: '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
  csrSigners: [],
};

const quietRounds = 12;
const maxRounds = 2000;

/** `rbac`: the controllers have the rights that upstream's bootstrap roles give them, and no others. */
export async function startCluster(
  controllers: readonly ControllerDef[],
  config: Partial<ControllerConfig> = {},
  options: { readonly rbac?: boolean } = {},
): Promise<TestCluster> {
  let authorization: Authorization | undefined;
  const { server, cache, clock, log, transport } = await startTestServer(builtinKinds, {
    authorize: (attributes, signal) => authorization?.authorize(attributes, signal) ?? { decision: 'allow', reason: '' },
  });
  const client = createKubeClient(transport);
  for (const name of ['default', 'kube-system'])
    await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  if (options.rbac === true) {
    authorization = createAuthorization({ cache, store: server.objects, clock, log });
    await authorization.start();
  }
  const groups =
    options.rbac === true ? ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'] : admin.groups;
  const calls: string[] = [];
  const running = createControllers({
    clientFor: (user) => {
      const transport = createInProcessTransport(server, { name: user, groups });
      return createKubeClient({
        watch: transport.watch,
        call: (request) => {
          calls.push(`${user} ${request.method} ${request.path}`);
          return transport.call(request);
        },
      });
    },
    clock,
    random: seededRandom(7),
    log,
    config: { ...testConfig, ...config },
    controllers,
  });
  await running.start();

  const settle = async (): Promise<void> => {
    let quiet = 0;
    for (let i = 0; i < maxRounds && quiet < quietRounds; i++) {
      const before = cache.revision();
      await clock.advance(2);
      await setImmediate();
      quiet = cache.revision() === before ? quiet + 1 : 0;
    }
  };
  const list = async <T extends KubeObject>(resource: ResourceRef<T>, namespace = 'default'): Promise<readonly Stored<T>[]> =>
    (await client.list(resource, resource.namespaced ? { namespace } : {})).items;
  const setPodStatus = async (pod: Stored<Pod>, status: PodStatus): Promise<void> => {
    const fresh = await client.get(pods, { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name });
    await client.update(pods, { ...fresh, status: { ...fresh.status, ...status } }, { subresource: 'status' });
  };
  const runPod = async (pod: Stored<Pod>): Promise<void> => {
    const at = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name };
    if (pod.metadata.deletionTimestamp !== undefined) {
      await client.delete(pods, at, { gracePeriodSeconds: 0 }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error;
      });
      return;
    }
    if (pod.status?.phase === 'Running' || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
    const condition = { status: 'True', lastTransitionTime: isoTime(clock.now()) };
    await setPodStatus(pod, {
      phase: 'Running',
      podIP: '10.42.0.9',
      podIPs: [{ ip: '10.42.0.9' }],
      conditions: [
        { type: 'Ready', ...condition },
        { type: 'ContainersReady', ...condition },
      ],
    });
  };

  await settle();
  return {
    client,
    clock,
    log: log.lines,
    settle,
    pass: async (ms) => {
      await clock.advance(ms);
      await settle();
    },
    get: async (resource, name, namespace = 'default') => {
      try {
        return await client.get(resource, { name, ...(resource.namespaced ? { namespace } : {}) });
      } catch (error) {
        if (isStatus(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    list,
    names: async (resource, namespace) => (await list(resource, namespace)).map((o) => o.metadata.name).sort(),
    patch: (resource, name, patch, subresource) =>
      client.patch(
        resource,
        { name, ...(resource.namespaced ? { namespace: 'default' } : {}) },
        'merge',
        patch,
        subresource === undefined ? {} : { subresource },
      ),
    runPods: async (which = () => true) => {
      for (const pod of (await client.list(pods)).items) if (which(pod)) await runPod(pod);
      await settle();
    },
    setPodStatus,
    calls,
    events: async (namespace = 'default') => {
      const all = await list(events1 as ResourceRef<Event>, namespace);
      const order = (e: Stored<Event>): number => Number(e.metadata.resourceVersion);
      return [...all].sort((a, b) => order(a) - order(b)).map((e) => `${e.reason}: ${e.message}`);
    },
    [Symbol.asyncDispose]: async () => {
      await running.stop();
      await authorization?.stop();
    },
  };
}

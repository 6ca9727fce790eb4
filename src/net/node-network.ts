/**
 * The network of one node: CNI configuration, masquerading, services, cluster DNS. Runs in the agent; what it has set up
 * stays when it stops, as containers do.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeClient } from '#client/contract.ts';
import type { Informer } from '#client/informer.ts';
import { createInformerFactory, type InformerFactory } from '#client/informer-factory.ts';
import type { Node } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { endpointSlices, namespaces, networkPolicies, nodes, pods, services } from '#kube/refs.ts';
import { backoffMs } from '#lib/backoff.ts';
import { type Cidr, parseCidr, parseIp } from '#lib/cidr.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import { defaultBridge, networkName, removeCniConfig, writeCniConfig } from './cni/config.ts';
import { type ClusterDns, createClusterDns } from './dns/cluster-dns.ts';
import { dnsLink, ensureDnsLink, removeLink } from './host/links.ts';
import { followRoutes, removeRoutes } from './host/routes.ts';
import { applySysctls } from './host/sysctls.ts';
import { messageOf, policyTableName, removeTable, tableName } from './nft/kernel-table.ts';
import { createPolicyEnforcer } from './policy/enforcer.ts';
import { createHealthChecks } from './proxy/health-checks.ts';
import { createServiceProxy, type ServiceProxy } from './proxy/proxy.ts';
import type { BaseOptions } from './proxy/rules.ts';

export interface NetworkPaths {
  /** Where containerd looks for its network configuration. */
  readonly cniConfDir: string;
  /** Where host-local keeps leases: below /var/lib, as they must outlive k3ts and need not outlive the node. */
  readonly cniDataDir: string;
  /** The resolvers of the host: /etc/resolv.conf, or --resolv-conf. */
  readonly resolvConf: string;
}

export interface NodeNetworkDeps {
  readonly client: KubeClient;
  /** Where the agent has a factory of its own, services, slices and nodes are followed once for all. Else one is made and run here. */
  readonly informers?: InformerFactory;
  /** With rights to read pods, namespaces and network policies of all namespaces; absent: policies are not enforced. Started by its owner. */
  readonly policyInformers?: InformerFactory;
  readonly nodeName: string;
  /** The node's own addresses, one for each family. */
  readonly nodeIps: readonly string[];
  readonly clusterCidrs: readonly string[];
  readonly serviceCidrs: readonly string[];
  /** Addresses of the kube-dns service. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly paths: NetworkPaths;
  /** Default cni0. */
  readonly bridge?: string;
  readonly mtu?: number;
  readonly exec: Exec;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface NodeNetwork {
  readonly start: () => Promise<void>;
  /** Leaves rules, links and the CNI configuration in place. */
  readonly stop: () => Promise<void>;
  readonly notReady: () => string | undefined;
  /** For the kubelet's Ready condition and for pods that need a network: undefined when ready, else why not. */
  readonly networkReady: () => string | undefined;
  /** Resolves when networkReady first has nothing to say. */
  readonly networkUp: Promise<void>;
  /** Metrics of the DNS server in Prometheus' text format. */
  readonly metrics: () => string;
}

const retry = { baseMs: 500, maxMs: 30_000 };

interface State {
  readonly deps: NodeNetworkDeps;
  readonly log: Logger;
  readonly node: Informer<Node>;
  readonly informers: InformerFactory;
  cniWritten: boolean;
  hostReady: boolean;
  readonly up: PromiseWithResolvers<void>;
  proxy: ServiceProxy | undefined;
  dns: ClusterDns | undefined;
}

export function createNodeNetwork(deps: NodeNetworkDeps): NodeNetwork {
  const log = deps.log.child('net');
  const informers = deps.informers ?? createInformerFactory({ client: deps.client, clock: deps.clock, random: deps.random, log });
  const state: State = {
    deps,
    log,
    node: informers.informer(nodes),
    informers,
    cniWritten: false,
    hostReady: false,
    up: Promise.withResolvers<void>(),
    proxy: undefined,
    dns: undefined,
  };
  informers.informer(services);
  informers.informer(endpointSlices);
  let tasks: TaskGroup | undefined;

  const networkReady = (): string | undefined => {
    if (!state.hostReady) return 'the host network is not set up yet';
    if (!state.cniWritten) return 'the node has no pod CIDR yet';
    return undefined;
  };
  return {
    start: () => {
      if (tasks !== undefined) return Promise.resolve();
      tasks = new TaskGroup();
      if (deps.informers === undefined) informers.start(tasks);
      tasks.spawn((signal) => persistently(state, 'run the node network', signal, () => run(state, signal)));
      return Promise.resolve();
    },
    stop: async () => {
      const group = tasks;
      if (group !== undefined) await group.close();
    },
    networkReady,
    networkUp: state.up.promise,
    notReady: () => {
      const why = networkReady();
      if (why !== undefined) return why;
      if (state.proxy?.ready() !== true) return 'the service rules are not written yet';
      return state.dns?.notReady() ?? (state.dns === undefined ? 'cluster DNS is not started yet' : undefined);
    },
    metrics: () => state.dns?.metrics() ?? '',
  };
}

async function run(state: State, signal: AbortSignal): Promise<void> {
  const { deps, informers, log } = state;
  await using tasks = new TaskGroup(signal);
  const bridgeNetfilter = await persistently(state, 'set up the host network', signal, () => setUpHost(deps, log, signal));
  state.hostReady = true;
  const zoneOf = (): string | undefined => state.node.get(deps.nodeName)?.metadata.labels?.['topology.kubernetes.io/zone'];
  const checks = createHealthChecks({ log });
  const proxy = createServiceProxy({
    services: informers.informer(services),
    slices: informers.informer(endpointSlices),
    node: () => ({ name: deps.nodeName, zone: zoneOf() }),
    bases: families(deps).map((family): BaseOptions => ({ family, clusterCidrs: ofFamily(deps.clusterCidrs, family), bridgeNetfilter })),
    excluded: new Set(deps.clusterDns),
    exec: deps.exec,
    clock: deps.clock,
    log,
    onModels: checks.update,
  });
  state.proxy = proxy;
  const dns = createClusterDns({
    zone: deps.clusterDomain,
    addresses: deps.clusterDns,
    port: 53,
    ownNetworks: [...deps.clusterCidrs, ...deps.serviceCidrs].map(parseCidr).filter((c): c is Cidr => c !== undefined),
    resolvConf: deps.paths.resolvConf,
    sources: { services: informers.informer(services), slices: informers.informer(endpointSlices), nodes: state.node },
    clock: deps.clock,
    random: deps.random,
    log,
  });
  state.dns = dns;
  tasks.spawn((s) => proxy.run(s));
  tasks.spawn((s) => dns.run(s));
  tasks.spawn((s) => followNode(state, proxy, zoneOf, s));
  const host = { nodeName: deps.nodeName, families: families(deps), exec: deps.exec, clock: deps.clock, log };
  tasks.spawn((s) => persistently(state, 'follow the routes of other nodes', s, () => followRoutes({ ...host, nodes: state.node }, s)));
  const { policyInformers } = deps;
  if (policyInformers !== undefined) {
    const enforcer = createPolicyEnforcer({
      pods: () => policyInformers.informer(pods),
      namespaces: () => policyInformers.informer(namespaces),
      policies: policyInformers.informer(networkPolicies),
      ...host,
    });
    tasks.spawn((s) => persistently(state, 'enforce network policies', s, () => enforcer.run(s)));
  }
  try {
    await tasks.join();
  } finally {
    checks.close();
  }
}

/** Repeats what may fail for a while, such as when another program holds the same link or lock. */
async function persistently<T>(state: State, what: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw error;
      state.log.error(`cannot ${what}, will retry`, { error });
      await state.deps.clock.sleep(backoffMs(failures, retry), signal);
    }
  }
}

async function setUpHost(deps: NodeNetworkDeps, log: Logger, signal: AbortSignal): Promise<boolean> {
  const { bridgeNetfilter } = await applySysctls(new Set(families(deps)), { exec: deps.exec, log });
  if (!bridgeNetfilter) log.warn('br_netfilter is not available: pods see the node as the source of service traffic from the same node');
  await ensureDnsLink(deps.exec, { addresses: deps.clusterDns, serviceCidrs: deps.serviceCidrs, nodeIps: deps.nodeIps }, signal);
  return bridgeNetfilter;
}

/** Writes the CNI configuration for the pod CIDR that the node gets, and notices a change of zone. */
async function followNode(state: State, proxy: ServiceProxy, zoneOf: () => string | undefined, signal: AbortSignal): Promise<void> {
  const { deps } = state;
  let zone = zoneOf();
  let wake: (() => void) | undefined;
  let changed = true;
  const seen = (node: Stored<Node>): void => {
    if (node.metadata.name !== deps.nodeName) return;
    changed = true;
    wake?.();
  };
  const detach = state.node.addHandler({ added: seen, updated: seen });
  const onAbort = (): void => wake?.();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    while (!signal.aborted) {
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      changed = false;
      if (zone !== zoneOf()) {
        zone = zoneOf();
        proxy.invalidate();
      }
      const podCidrs = podCidrsOf(state.node.get(deps.nodeName));
      if (podCidrs.length === 0) continue;
      await persistently(state, 'write the CNI configuration', signal, async () => {
        const mtu = deps.mtu === undefined ? {} : { mtu: deps.mtu };
        const options = { bridge: deps.bridge ?? defaultBridge, podCidrs, dataDir: deps.paths.cniDataDir, ...mtu };
        if (await writeCniConfig(deps.paths.cniConfDir, options)) state.log.info('wrote the CNI configuration', { podCidrs });
      });
      state.cniWritten = true;
      // The host was set up before the node was followed.
      state.up.resolve();
    }
  } finally {
    detach();
    signal.removeEventListener('abort', onAbort);
  }
}

function podCidrsOf(node: Stored<Node> | undefined): readonly string[] {
  const spec = node?.spec;
  const list = spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);
  return list.filter((c) => parseCidr(c) !== undefined);
}

const families = (deps: Pick<NodeNetworkDeps, 'clusterCidrs'>): (4 | 6)[] =>
  ([4, 6] as const).filter((family) => ofFamily(deps.clusterCidrs, family).length > 0);

const ofFamily = (cidrs: readonly string[], family: 4 | 6): string[] =>
  cidrs.filter((c) => parseIp(c.slice(0, c.indexOf('/')))?.family === family);

/**
 * Removes what k3ts made on the node: tables, links, CNI configuration and leases. To be called when no pods run any
 * more; running twice does no harm. Rejects with the first thing that could not be removed, after trying the rest.
 */
export async function cleanUpNodeNetwork(deps: Pick<NodeNetworkDeps, 'exec' | 'log' | 'paths' | 'bridge'>): Promise<void> {
  const steps = [
    ...[tableName, policyTableName].flatMap((name) => [() => removeTable(4, name, deps.exec), () => removeTable(6, name, deps.exec)]),
    () => removeRoutes(deps.exec),
    () => removeLink(deps.exec, dnsLink),
    () => removeLink(deps.exec, deps.bridge ?? defaultBridge),
    () => removeCniConfig(deps.paths.cniConfDir),
    () => rm(join(deps.paths.cniDataDir, networkName), { recursive: true, force: true }),
  ];
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
      deps.log.warn('cannot remove a part of the node network', { why: messageOf(error) });
    }
  }
  if (failures.length > 0) throw failures[0];
}

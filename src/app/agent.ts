/** `k3ts agent`, and the server's own node: join the cluster, then run containerd, the node's network and the kubelet. */
import { existsSync } from 'node:fs';
import type { KubeClient } from '#client/contract.ts';
import { createHttpsTransport } from '#client/https-transport.ts';
import { createInformerFactory, type InformerFactory } from '#client/informer-factory.ts';
import { createKubeClient } from '#client/kube-client.ts';
import { gitVersion } from '#kube/version.ts';
import { detectCgroups } from '#kubelet/cgroup-host.ts';
import { createContainerd } from '#kubelet/containerd/index.ts';
import { createKubelet } from '#kubelet/index.ts';
import { createNodeApi } from '#kubelet/node-api.ts';
import { createTunnel } from '#kubelet/tunnel.ts';
import { cidrContains, parseCidr } from '#lib/cidr.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { createNodeNetwork, type NodeNetwork } from '#net/node-network.ts';
import { realClock } from '#platform/clock.ts';
import { realExec } from '#platform/exec.ts';
import { createLogger } from '#platform/log.ts';
import { realRandom } from '#platform/random.ts';
import { type Component, createSystem, type Running, type System } from './components.ts';
import { type AgentConfig, agentConfig } from './config.ts';
import type { Platform } from './control-plane.ts';
import { flagsOf } from './flags.ts';
import { type ClusterConfig, joinCluster, type NodeIdentity, renewIdentityAt } from './join.ts';
import { checkKubeletArgs, kubeletArgs } from './kubelet-args.ts';
import { nodePaths } from './node-paths.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';
import { runUntilSignal } from './process.ts';

/** What the parts of a node call themselves, and so their field managers: upstream's names where upstream has the part. */
const partAgents = { kubelet: 'kubelet', proxy: 'kube-proxy', policy: 'k3ts-policy' } as const;

/** Runs until a signal ends it. Rejects with OptionError for settings that cannot be used. */
export async function runAgent(sources: OptionSources): Promise<void> {
  const config = agentConfig(resolveOptions(flagsOf('agent'), sources));
  checkKubeletArgs(config);
  if (process.getuid?.() !== 0) throw new OptionError('a node needs root');
  process.umask(0o077);
  const log = createLogger({ debug: config.debug });
  log.info('starting k3ts agent', { version: gitVersion, node: config.node.name, server: config.server });
  await runUntilSignal(log, async () => createAgent(config, { clock: realClock, random: realRandom, log }));
}

interface NodeDeps {
  readonly config: AgentConfig;
  readonly platform: Platform;
  readonly cluster: ClusterConfig;
  readonly client: KubeClient;
  readonly informers: InformerFactory;
  readonly network: NodeNetwork;
  readonly endpoint: string;
  readonly imagesImported: () => Promise<void>;
  readonly identity: () => NodeIdentity;
}

type NodeComponent = Component<AgentConfig, NodeDeps>;

const network: NodeComponent = {
  name: 'network',
  needs: [],
  enabled: () => true,
  create: (deps) => deps.network,
};

/** The kubelet, and the way for the API server to reach it. */
const kubelet: NodeComponent = {
  name: 'kubelet',
  needs: ['network'],
  enabled: () => true,
  create: ({ config, platform, cluster, client, informers, network: net, endpoint, imagesImported, identity }) => {
    const where = nodePaths(config.dataDir, config.node.resolvConf);
    const running = createKubelet({
      ...platform,
      client,
      informers,
      exec: realExec,
      node: { name: config.node.name, ips: [config.node.ip], labels: config.node.labels, taints: config.node.taints },
      paths: where.kubelet,
      endpoint,
      imagesImported,
      networkReady: net.networkReady,
      networkUp: net.networkUp,
      clusterDns: [cluster.clusterDns],
      clusterDomain: cluster.clusterDomain,
      args: kubeletArgs(config),
    });
    const networks = [cluster.clusterCidr, cluster.serviceCidr].map(parseCidr).filter((cidr) => cidr !== undefined);
    const api = createNodeApi({
      ...platform,
      exec: realExec,
      kubelet: running,
      nodeName: config.node.name,
      endpoint,
      runDir: where.run,
      mayDial: (host) => host === config.node.ip || networks.some((cidr) => cidrContains(cidr, host)),
    });
    const tunnel = createTunnel({
      ...platform,
      url: () => `${config.server.replace(/^https/, 'wss')}/v1-k3ts/connect`,
      tls: async () => ({ ca: identity().caPem, cert: identity().certificates.kubelet, key: identity().keyPem }),
      serve: api.serve,
    });
    const tasks = new TaskGroup();
    return {
      start: async () => {
        tasks.spawn(tunnel.run);
        await running.start();
      },
      stop: async () => {
        await tasks.close();
        api.close();
        await running.stop();
      },
      notReady: () => running.notReady() ?? (tunnel.connected() ? undefined : 'the tunnel to the server is not open'),
    };
  },
};

const nodeComponents: readonly NodeComponent[] = [network, kubelet];

const cniBinDirs = ['/usr/lib/cni', '/opt/cni/bin'];

/** A node, not yet started. `start` resolves when the work is under way; joining goes on in the background until it succeeds. */
export function createAgent(config: AgentConfig, platform: Platform): Running {
  const { clock, random, log } = platform;
  const where = nodePaths(config.dataDir, config.node.resolvConf);
  const tasks = new TaskGroup();
  let system: System | undefined;
  let problem: string | undefined = 'not started';
  let closeTransports = (): void => undefined;
  let stopContainerd = async (): Promise<void> => undefined;

  const run = async (signal: AbortSignal): Promise<void> => {
    const host = await detectCgroups();
    const containerd = createContainerd(
      {
        dataDir: where.containerd,
        runDir: where.containerdRun,
        etcDir: where.etc,
        cniBinDir: cniBinDirs.find((dir) => existsSync(dir)) ?? '/opt/cni/bin',
        cniConfDir: where.cniConf,
        imagesDir: where.images,
        pauseProgram: '/usr/bin/catatonit',
        systemdCgroup: host.systemd,
      },
      { clock, exec: realExec, log: log.child('containerd') },
    );
    stopContainerd = () => containerd.stop({ detach: true });
    problem = 'joining the cluster';
    // Neither needs the other: a restart waits for the slower one only.
    const [joined] = await Promise.all([
      joinCluster(
        { server: config.server, token: config.token, nodeName: config.node.name, nodeIp: config.node.ip, folder: where.agent },
        { clock, log },
        signal,
      ),
      containerd.start(),
    ]);
    let identity: NodeIdentity = joined.identity;
    const transports = (['kubelet', 'proxy', 'policy'] as const).map((part) =>
      createHttpsTransport({
        clock,
        random,
        server: config.server,
        userAgent: `${partAgents[part]}/${gitVersion}`,
        tls: () => ({ ca: identity.caPem, cert: identity.certificates[part], key: identity.keyPem }),
      }),
    );
    closeTransports = () => {
      for (const transport of transports) transport.close();
    };
    const [client, proxyClient, policyClient] = transports.map(createKubeClient) as [KubeClient, KubeClient, KubeClient];
    const [informers, proxyInformers, policyInformers] = [client, proxyClient, policyClient].map((c) =>
      createInformerFactory({ client: c, clock, random, log: log.child('informers') }),
    ) as [InformerFactory, InformerFactory, InformerFactory];
    const net = createNodeNetwork({
      clock,
      random,
      client: proxyClient,
      informers: proxyInformers,
      policyInformers,
      log,
      exec: realExec,
      nodeName: config.node.name,
      nodeIps: [config.node.ip],
      clusterCidrs: [joined.config.clusterCidr],
      serviceCidrs: [joined.config.serviceCidr],
      clusterDns: [joined.config.clusterDns],
      clusterDomain: joined.config.clusterDomain,
      paths: { cniConfDir: where.cniConf, cniDataDir: where.cniData, resolvConf: config.node.resolvConf },
    });
    system = createSystem(nodeComponents, config, {
      config,
      platform,
      cluster: joined.config,
      client,
      informers,
      network: net,
      endpoint: containerd.endpoint,
      imagesImported: containerd.imported,
      identity: () => identity,
    });
    for (const factory of [informers, proxyInformers, policyInformers]) factory.start(tasks);
    tasks.spawn(async (inner) => {
      while (!inner.aborted) {
        await clock.sleep(Math.max(60_000, Math.min(renewIdentityAt(identity) - clock.now(), 6 * 3_600_000)), inner);
        if (renewIdentityAt(identity) > clock.now()) continue;
        const options = {
          server: config.server,
          token: config.token,
          nodeName: config.node.name,
          nodeIp: config.node.ip,
          folder: where.agent,
        };
        identity = (await joinCluster(options, { clock, log }, inner)).identity;
        for (const transport of transports) transport.renew();
        log.info('renewed the certificates of the node');
      }
    });
    await system.start();
    problem = undefined;
  };

  return {
    start: async () => {
      tasks.spawn(run);
    },
    stop: async () => {
      problem = 'stopping';
      await system?.stop();
      await tasks.close();
      closeTransports();
      await stopContainerd();
    },
    notReady: () =>
      problem ??
      [...(system?.readiness() ?? [])]
        .map(([name, why]) => (why === undefined ? undefined : `${name}: ${why}`))
        .find((why) => why !== undefined),
  };
}

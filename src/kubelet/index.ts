/** The kubelet: keeps this node's object in the API and runs the pods bound to it. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeClient } from '#client/contract.ts';
import { createEventRecorder } from '#client/events.ts';
import type { InformerFactory } from '#client/informer-factory.ts';
import type { Pod, Taint } from '#kube/generated/core-v1.ts';
import { configMaps, nodes, pods, secrets, services } from '#kube/refs.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import { parseKubeletArgs } from './args.ts';
import { detectCgroups } from './cgroup-host.ts';
import { type Cgroups, createCgroups } from './cgroups.ts';
import { createCri } from './cri/client.ts';
import { createEventSource } from './cri/events.ts';
import { createImagePuller } from './images/puller.ts';
import { keepRunning } from './keep-running.ts';
import { rotateLogs } from './logs/rotate.ts';
import { createNodeAgent } from './node/agent.ts';
import { keepLease } from './node/lease.ts';
import { type Machine, readMachine } from './node/machine.ts';
import { createOomLog, type OomLog } from './oom-log.ts';
import { containerFieldPath, type PodContext } from './pods/context.ts';
import { type ClusterDns, parseResolvConf } from './pods/dns.ts';
import { createPodManager, type PodManager } from './pods/manager.ts';
import { createMirrorPods } from './pods/mirror-pods.ts';
import { identityOf, type KubeletPaths } from './pods/names.ts';
import { createStaticPods } from './pods/static-pods.ts';
import { createStatusWriter } from './pods/status-writer.ts';
import { createProber } from './probes/prober.ts';
import { runProbe } from './probes/run.ts';
import { createVolumeManager } from './volumes/manager.ts';
import { createFollowedObjects } from './volumes/objects.ts';
import { createTokenManager } from './volumes/tokens.ts';

export interface KubeletOptions {
  readonly client: KubeClient;
  /** Shared with the rest of the agent; started by its owner. */
  readonly informers: InformerFactory;
  readonly node: {
    readonly name: string;
    /** The first is the node's own address in the cluster. */
    readonly ips: readonly string[];
    readonly labels?: Readonly<Record<string, string>>;
    readonly taints?: readonly Taint[];
  };
  readonly paths: KubeletPaths;
  /** containerd's socket. */
  readonly endpoint: string;
  /** Resolves when the images that come with the node are there. */
  readonly imagesImported: () => Promise<void>;
  /** Why pods cannot have a network yet. */
  readonly networkReady: () => string | undefined;
  /** Resolves when networkReady first has nothing to say. */
  readonly networkUp: Promise<void>;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** `--kubelet-arg` values. */
  readonly args?: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly exec: Exec;
  readonly log: Logger;
}

export interface Kubelet {
  readonly start: () => Promise<void>;
  /** Ends all work; containers go on. Safe to call twice. */
  readonly stop: () => Promise<void>;
  readonly notReady: () => string | undefined;
  /** What the node API serves from; undefined before start. */
  readonly parts: () => KubeletParts | undefined;
}

export interface KubeletParts {
  readonly context: PodContext;
  readonly manager: PodManager;
  readonly machine: Machine;
  readonly cgroups: Cgroups;
}

const hostResolvConfs = ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf'];

/** systemd-resolved's stub address is of no use in a pod. */
async function readHostDns(path: string) {
  const config = parseResolvConf(await readFile(path, 'utf8').catch(() => ''));
  if (config.servers.every((s) => s.startsWith('127.')) && config.servers.length > 0) {
    for (const other of hostResolvConfs) {
      const found = parseResolvConf(await readFile(other, 'utf8').catch(() => ''));
      if (found.servers.some((s) => !s.startsWith('127.'))) return found;
    }
  }
  return config;
}

/** What the manager of pods gives to the workers that it makes. */
interface Hooks {
  own: (id: string, uid: string) => void;
  admitted: (uid: string) => readonly Pod[];
}

interface ContextParts {
  readonly machine: Machine;
  readonly cgroups: Cgroups;
  readonly kernel: OomLog;
  readonly tasks: TaskGroup;
  readonly hooks: Hooks;
}

function buildContext(options: KubeletOptions, { machine, cgroups, kernel, tasks, hooks }: ContextParts): PodContext {
  const { client, clock, random, exec, paths } = options;
  const log = options.log.child('kubelet');
  const cri = createCri(options.endpoint);
  const recorder = createEventRecorder({ client, clock, log, component: 'kubelet', host: options.node.name });
  tasks.spawn(keepRunning('events', (signal) => recorder.run(signal), { clock, log }));
  const serviceInformer = options.informers.informer(services);
  const nodeInformer = options.informers.informer(nodes, { fieldSelector: `metadata.name=${options.node.name}` });
  const node = (): ReturnType<PodContext['node']> => {
    const allocatable = nodeInformer.get(options.node.name)?.status?.allocatable ?? {};
    return {
      name: options.node.name,
      ips: options.node.ips,
      allocatable: {
        cpu: String(allocatable['cpu'] ?? machine.milliCpu / 1000),
        memory: String(allocatable['memory'] ?? machine.memoryBytes),
        'ephemeral-storage': String(allocatable['ephemeral-storage'] ?? 0),
      },
    };
  };
  const event: PodContext['event'] = (pod, container, type, reason, message) => {
    const { name = '', namespace = '', uid = '', resourceVersion = '' } = pod.metadata;
    const fieldPath = container === undefined ? '' : containerFieldPath(pod, container.name);
    recorder.event(
      { apiVersion: 'v1', kind: 'Pod', name, namespace, uid, resourceVersion, ...(fieldPath === '' ? {} : { fieldPath }) },
      type,
      reason,
      message,
    );
  };
  const deps = { client, clock, random, log };
  const configMapObjects = createFollowedObjects(configMaps, deps);
  const secretObjects = createFollowedObjects(secrets, deps);
  const volumes = createVolumeManager({
    client,
    paths,
    configMaps: configMapObjects,
    secrets: secretObjects,
    tokens: createTokenManager(client, clock),
    node,
    clock,
    exec,
    log,
  });
  return {
    client,
    cri: () => cri,
    paths,
    volumes,
    imagesImported: options.imagesImported,
    images: createImagePuller({ cri: () => cri, clock }),
    configMaps: configMapObjects,
    secrets: secretObjects,
    services: () => serviceInformer.list(),
    prober: createProber({ run: runProbe(() => cri), clock, random, event }),
    statuses: createStatusWriter({ client, clock, log, signal: tasks.signal }),
    cgroups,
    killedByKernel: kernel.killed,
    node,
    memoryCapacity: machine.memoryBytes,
    clusterDns: { servers: options.clusterDns, domain: options.clusterDomain } satisfies ClusterDns,
    hostDns: () => readHostDns(paths.resolvConf),
    networkReady: options.networkReady,
    clock,
    exec,
    log,
    signal: tasks.signal,
    event,
    own: (id, uid) => hooks.own(id, uid),
    nodeObject: () => nodeInformer.get(options.node.name),
    admitted: (uid) => hooks.admitted(uid),
  };
}

export function createKubelet(options: KubeletOptions): Kubelet {
  const { clock, exec } = options;
  const log = options.log.child('kubelet');
  const settings = parseKubeletArgs(options.args ?? []);
  const tasks = new TaskGroup();
  let parts: KubeletParts | undefined;
  let notReady: string | undefined = 'the kubelet has not started';
  let close = (): void => undefined;
  let closeOthers = async (): Promise<void> => undefined;

  async function start(): Promise<void> {
    await mkdir(join(options.paths.root, 'pods'), { recursive: true, mode: 0o750 });
    const machine = await readMachine();
    const cgroups = createCgroups(await detectCgroups(), { exec, log });
    await cgroups.prepare({ milliCpu: machine.milliCpu, memoryBytes: machine.memoryBytes });
    const hooks: Hooks = { own: () => undefined, admitted: () => [] };
    const kernel = createOomLog(log);
    const context = buildContext(options, { machine, cgroups, kernel, tasks, hooks });
    const podInformer = options.informers.informer(pods, { fieldSelector: `spec.nodeName=${options.node.name}` });
    const events = createEventSource(options.endpoint, { clock, log });
    const mirrors = createMirrorPods({ client: options.client, clock, log, node: context.nodeObject, linked: context.statuses.link });
    const manager = createPodManager(context, podInformer, events, mirrors);
    hooks.own = manager.own;
    hooks.admitted = manager.admitted;
    parts = { context, manager, machine, cgroups };
    const agent = createNodeAgent({ options, settings, machine, context, log });
    const keep = (part: string, run: (signal: AbortSignal) => Promise<void>): void => tasks.spawn(keepRunning(part, run, { clock, log }));
    keep('node', (signal) => agent.run(signal));
    keep('lease', (signal) => keepLease(options.node.name, { client: options.client, clock, log }, signal));
    const statics = createStaticPods({
      dir: options.paths.manifests,
      nodeName: options.node.name,
      clock,
      log,
      add: (pod) => {
        // Known before its first status, so that none is written to a pod that the API does not have.
        context.statuses.set(identityOf(pod), {});
        context.statuses.link(pod.metadata.uid ?? '', undefined);
        manager.add(pod);
        mirrors.add(pod);
      },
      remove: (uid, pod) => {
        manager.remove(uid, pod);
        mirrors.remove(pod);
      },
    });
    tasks.spawn(async (signal) => {
      await manager.start(tasks, async () => {
        try {
          await statics.scan();
          mirrors.settled();
        } catch (error) {
          log.error('the folder of static pods cannot be read', { dir: options.paths.manifests, error });
        }
      });
      notReady = undefined;
      await keepRunning('static pods', statics.follow, { clock, log })(signal);
    });
    keep('log rotation', (signal) =>
      rotateLogs({ manager, cri: context.cri, clock, log, maxBytes: settings.logMaxBytes, maxFiles: settings.logMaxFiles }, signal),
    );
    notReady = 'the pods of this node are not known yet';
    closeOthers = async () => {
      await Promise.all([mirrors.close(), kernel.close()]);
    };
    close = () => {
      events.close();
      context.volumes.close();
      context.cri().close();
    };
  }

  return {
    start,
    stop: async () => {
      notReady = 'the kubelet is stopped';
      await tasks.close();
      await closeOthers();
      if (parts !== undefined) await Promise.all([parts.context.configMaps.close(), parts.context.secrets.close()]);
      close();
      close = () => undefined;
    },
    notReady: () => notReady,
    parts: () => parts,
  };
}

/** Tells the API about this node: gathers what its status shows, and the Events that go with changes of it. */

import { createEventRecorder } from '#client/events.ts';
import type { ContainerImage, NodeAddress, NodeStatus } from '#kube/generated/core-v1.ts';
import { bytesValue, milliValue } from '#kube/quantity.ts';
import { nodes } from '#kube/refs.ts';
import type { Logger } from '#platform/log.ts';
import type { KubeletSettings } from '../args.ts';
import { pauseImage } from '../containerd/pause-image.ts';
import { collectImages } from '../images/gc.ts';
import type { KubeletOptions } from '../index.ts';
import type { PodContext } from '../pods/context.ts';
import { availableMemory, diskUse, type Machine, processIds } from './machine.ts';
import { createRegistrar } from './registrar.ts';
import { nodeStatus, type Pressure } from './status.ts';

export interface NodeAgentDeps {
  readonly options: KubeletOptions;
  readonly settings: KubeletSettings;
  readonly machine: Machine;
  readonly context: PodContext;
  readonly log: Logger;
}

/** Upstream's default eviction thresholds. */
const minMemoryBytes = 100 * 1024 * 1024;
const minDiskShare = 0.1;
const minInodeShare = 0.05;
const minPidShare = 0.05;
const maxImages = 50;
const imageGcMs = 5 * 60_000;

const labelsOf = (name: string, architecture: string): Readonly<Record<string, string>> => ({
  'beta.kubernetes.io/arch': architecture,
  'beta.kubernetes.io/instance-type': 'k3ts',
  'beta.kubernetes.io/os': 'linux',
  'kubernetes.io/arch': architecture,
  'kubernetes.io/hostname': name,
  'kubernetes.io/os': 'linux',
  'node.kubernetes.io/instance-type': 'k3ts',
});

/** Condition type and status → the Event upstream's kubelet writes. */
const conditionEvents: Readonly<Record<string, string>> = {
  'MemoryPressure True': 'NodeHasInsufficientMemory',
  'MemoryPressure False': 'NodeHasSufficientMemory',
  'DiskPressure True': 'NodeHasDiskPressure',
  'DiskPressure False': 'NodeHasNoDiskPressure',
  'PIDPressure True': 'NodeHasInsufficientPID',
  'PIDPressure False': 'NodeHasSufficientPID',
  'Ready True': 'NodeReady',
  'Ready False': 'NodeNotReady',
};

export function createNodeAgent(deps: NodeAgentDeps): { readonly run: (signal: AbortSignal) => Promise<void> } {
  const { options, settings, machine, context, log } = deps;
  const { client, clock } = options;
  const { name } = options.node;
  const recorder = createEventRecorder({ client, clock, log, component: 'kubelet', host: name });
  const about = { apiVersion: 'v1', kind: 'Node', name, uid: name };
  const tell = (reason: string, message: string): void => recorder.event(about, 'Normal', reason, message);
  let runtimeVersion = '';

  const addresses: readonly NodeAddress[] = [
    ...options.node.ips.map((address) => ({ type: 'InternalIP', address })),
    { type: 'Hostname', address: name },
  ];

  const reservedOf = (resource: string): readonly string[] =>
    ['kube-reserved', 'system-reserved'].flatMap((k) => settings.reserved[`${k}/${resource}`] ?? []);
  const reserved = {
    milliCpu: reservedOf('cpu').reduce((sum, q) => sum + milliValue(q), 0),
    memoryBytes: reservedOf('memory').reduce((sum, q) => sum + bytesValue(q), 0),
    diskBytes: reservedOf('ephemeral-storage').reduce((sum, q) => sum + bytesValue(q), 0),
  };

  async function images(): Promise<readonly ContainerImage[]> {
    const { images: list } = await context.cri().listImages({});
    return list
      .filter((i) => i.repoTags.length + i.repoDigests.length > 0)
      .sort((a, b) => b.size - a.size)
      .slice(0, maxImages)
      .map((i) => ({ names: [...i.repoDigests, ...i.repoTags].slice(0, 5), sizeBytes: i.size }));
  }

  async function pressure(disk: Awaited<ReturnType<typeof diskUse>>): Promise<Pressure> {
    const ids = await processIds();
    return {
      memory: (await availableMemory()) < minMemoryBytes,
      disk: disk.availableBytes < disk.capacityBytes * minDiskShare || (disk.inodes > 0 && disk.inodesFree < disk.inodes * minInodeShare),
      pid: ids.max - ids.used < ids.max * minPidShare,
    };
  }

  /** Why the node cannot run pods; asks the runtime for its version on the way. */
  async function notReady(): Promise<string | undefined> {
    try {
      if (runtimeVersion === '') {
        const version = await context.cri().version({}, { timeoutMs: 5000 });
        runtimeVersion = `${version.runtimeName}://${version.runtimeVersion}`;
      } else await context.cri().version({}, { timeoutMs: 5000 });
    } catch (error) {
      return `container runtime is down: ${error instanceof Error ? error.message : String(error)}`;
    }
    const network = options.networkReady();
    return network === undefined
      ? undefined
      : `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:${network}`;
  }

  async function status(old: NodeStatus): Promise<NodeStatus> {
    const disk = await diskUse(options.paths.root);
    const why = await notReady();
    return nodeStatus({
      machine,
      disk,
      addresses,
      runtimeVersion,
      maxPods: settings.maxPods,
      images: await images().catch(() => old.images ?? []),
      pressure: await pressure(disk),
      notReady: why,
      reserved,
      old,
      nowMs: clock.now(),
    });
  }

  function tellChanges(after: NodeStatus, before: NodeStatus): void {
    for (const condition of after.conditions ?? []) {
      const old = before.conditions?.find((c) => c.type === condition.type);
      const reason = conditionEvents[`${condition.type} ${condition.status}`];
      if (old?.status !== condition.status && reason !== undefined) tell(reason, `Node ${name} status is now: ${reason}`);
    }
  }

  const registrar = createRegistrar({
    client,
    clock,
    log,
    name,
    labels: { ...labelsOf(name, machine.info.architecture), ...options.node.labels },
    taints: options.node.taints ?? [],
    status,
    written: (node, before) => tellChanges(node.status ?? {}, before),
  });

  async function cleanImages(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(imageGcMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await collectImages({
        cri: context.cri(),
        clock,
        log,
        path: options.paths.root,
        high: settings.imageGcHigh,
        low: settings.imageGcLow,
        keep: [pauseImage],
      }).catch((error: unknown) => log.warn('images cannot be cleaned up', { error }));
    }
  }

  return {
    run: async (signal) => {
      const informer = options.informers.informer(nodes, { fieldSelector: `metadata.name=${name}` });
      const remove = informer.addHandler({
        added: registrar.observed,
        updated: registrar.observed,
        deleted: () => registrar.observed(undefined),
      });
      void options.networkUp.then(registrar.wake);
      recorder.event(about, 'Normal', 'Starting', 'Starting kubelet.');
      try {
        await Promise.all([registrar.run(signal), recorder.run(signal), cleanImages(signal)]);
      } finally {
        remove();
      }
    },
  };
}

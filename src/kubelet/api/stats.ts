/** What the node and its pods use: /stats/summary, after k8s.io/kubelet stats/v1alpha1. */
import { uptime } from 'node:os';
import type { Clock } from '#platform/clock.ts';
import type { CgroupHost } from '../cgroup-host.ts';
import { readUsage } from '../cgroup-usage.ts';
import type { Cri } from '../cri/client.ts';
import type { ContainerStats, FilesystemUsage } from '../cri/generated/cri.ts';
import { availableMemory, diskUse, type Machine } from '../node/machine.ts';
import type { PodManager } from '../pods/manager.ts';
import { containerCgroupPath, podCgroup } from '../pods/resources.ts';
import type { ContainerRecord } from '../pods/runtime.ts';
import type { PodWorker } from '../pods/worker.ts';
import { readInterfaces, type Sandboxes } from './network-use.ts';

export interface StatsDeps {
  readonly cri: () => Cri;
  readonly manager: PodManager;
  readonly machine: Machine;
  readonly host: CgroupHost;
  readonly root: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly sandboxes: Sandboxes;
}

interface Sample {
  readonly nanos: number;
  readonly atMs: number;
  readonly rate: number;
}

const minIntervalMs = 1000;
/** What was not asked for so long is gone, or asked for anew. */
const keepSamplesMs = 600_000;

export interface CpuUse {
  readonly time: string;
  readonly usageNanoCores: number;
  readonly usageCoreNanoSeconds: number;
}
export interface MemoryUse {
  readonly time: string;
  readonly usageBytes: number;
  readonly workingSetBytes: number;
  readonly rssBytes: number;
  readonly availableBytes?: number;
}
export interface ContainerUse {
  readonly name: string;
  readonly startTime: string;
  readonly cpu: CpuUse;
  readonly memory: MemoryUse;
  readonly rootfs?: object;
}
export interface PodUse {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly startTime: string;
  readonly containers: readonly ContainerUse[];
  readonly cpu: CpuUse;
  readonly memory: MemoryUse;
  readonly network?: object;
  readonly process_stats: { readonly process_count: number };
}
export interface Summary {
  readonly node: {
    readonly nodeName: string;
    readonly startTime: string;
    readonly cpu: CpuUse;
    readonly memory: MemoryUse;
    readonly fs: object;
    readonly runtime: { readonly imageFs: object };
    readonly network?: object;
  };
  readonly pods: readonly PodUse[];
}

export function createStats(deps: StatsDeps): { readonly summary: () => Promise<Summary> } {
  const samples = new Map<string, Sample>();
  const bootMs = deps.clock.now() - uptime() * 1000;

  /** CPU in use now, from the last two readings that are far enough apart. */
  function rate(key: string, nanos: number): number {
    const atMs = deps.clock.monotonic();
    const last = samples.get(key);
    if (last !== undefined && atMs - last.atMs < minIntervalMs) return last.rate;
    const value = last === undefined || nanos < last.nanos ? 0 : Math.round(((nanos - last.nanos) / (atMs - last.atMs)) * 1000);
    samples.set(key, { nanos, atMs, rate: value });
    return value;
  }

  async function usage(path: string): Promise<{ readonly cpu: CpuUse; readonly memory: MemoryUse; readonly processes: number }> {
    const used = await readUsage(deps.host, path);
    const time = new Date(deps.clock.now()).toISOString();
    return {
      cpu: { time, usageNanoCores: rate(path, used.cpuNanos), usageCoreNanoSeconds: used.cpuNanos },
      memory: { time, usageBytes: used.memoryBytes, workingSetBytes: used.workingSetBytes, rssBytes: used.rssBytes },
      processes: used.processes,
    };
  }

  async function filesystem(): Promise<object> {
    const disk = await diskUse(deps.root);
    return {
      time: new Date(deps.clock.now()).toISOString(),
      availableBytes: disk.availableBytes,
      capacityBytes: disk.capacityBytes,
      usedBytes: disk.capacityBytes - disk.availableBytes,
      inodesFree: disk.inodesFree,
      inodes: disk.inodes,
      inodesUsed: disk.inodes - disk.inodesFree,
    };
  }

  async function network(path: string): Promise<object | undefined> {
    const interfaces = await readInterfaces(path);
    if (interfaces === undefined) return undefined;
    const shown = interfaces.map((i) => ({
      name: i.name,
      rxBytes: i.rxBytes,
      rxErrors: i.rxErrors,
      txBytes: i.txBytes,
      txErrors: i.txErrors,
    }));
    const main = shown.find((i) => i.name === 'eth0') ?? shown[0];
    return { time: new Date(deps.clock.now()).toISOString(), ...main, interfaces: shown };
  }

  /** CPU and memory come from the cgroup, as upstream: the runtime's own figures lag, and some versions lose them. */
  async function containerUse(container: ContainerRecord, podPath: string, layer: FilesystemUsage | null): Promise<ContainerUse> {
    const { cpu, memory } = await usage(containerCgroupPath(podPath, container.id, deps.host.systemd));
    const { time } = cpu;
    return {
      name: container.name,
      startTime: new Date(container.startedMs).toISOString(),
      cpu,
      memory,
      ...(layer === null ? {} : { rootfs: { time, usedBytes: layer.usedBytes?.value ?? 0, inodesUsed: layer.inodesUsed?.value ?? 0 } }),
    };
  }

  async function podUse(worker: PodWorker, all: ReadonlyMap<string, ContainerStats>): Promise<PodUse | undefined> {
    const pod = worker.pod();
    const runtime = worker.runtime();
    const running = runtime?.containers.filter((c) => c.state === 'running') ?? [];
    const sandbox = runtime?.sandboxes[0];
    if (pod === undefined || sandbox === undefined || running.length === 0) return undefined;
    const { path } = podCgroup(pod, deps.host.systemd);
    const own = await usage(path);
    const devices = pod.spec?.hostNetwork === true ? undefined : await deps.sandboxes.networkFile(sandbox.id);
    const net = devices === undefined ? undefined : await network(devices);
    return {
      podRef: worker.identity,
      startTime: pod.status?.startTime ?? '',
      containers: await Promise.all(running.map((c) => containerUse(c, path, all.get(c.id)?.writableLayer ?? null))),
      cpu: own.cpu,
      memory: own.memory,
      ...(net === undefined ? {} : { network: net }),
      process_stats: { process_count: own.processes },
    };
  }

  function forgetOld(): void {
    const oldest = deps.clock.monotonic() - keepSamplesMs;
    for (const [key, sample] of samples) if (sample.atMs < oldest) samples.delete(key);
  }

  return {
    summary: async () => {
      const [{ stats }, node, disk] = await Promise.all([deps.cri().listContainerStats({}), usage(''), filesystem()]);
      const all = new Map(stats.map((s) => [s.attributes?.id ?? '', s]));
      forgetOld();
      const pods = await Promise.all(deps.manager.list().map((worker) => podUse(worker, all)));
      const available = await availableMemory();
      const net = await network('/proc/net/dev');
      return {
        node: {
          nodeName: deps.nodeName,
          startTime: new Date(bootMs).toISOString(),
          cpu: node.cpu,
          memory: { ...node.memory, workingSetBytes: deps.machine.memoryBytes - available, availableBytes: available },
          fs: disk,
          runtime: { imageFs: disk },
          ...(net === undefined ? {} : { network: net }),
        },
        pods: pods.filter((p) => p !== undefined),
      };
    },
  };
}

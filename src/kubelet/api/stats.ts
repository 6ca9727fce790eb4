/** What the node and its pods use: /stats/summary, after k8s.io/kubelet stats/v1alpha1. */
import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import type { Clock } from '#platform/clock.ts';
import type { CgroupHost } from '../cgroup-host.ts';
import { readUsage } from '../cgroup-usage.ts';
import type { Cri } from '../cri/client.ts';
import type { ContainerStats } from '../cri/generated/cri.ts';
import { availableMemory, diskUse, type Machine } from '../node/machine.ts';
import type { PodManager } from '../pods/manager.ts';
import { labels } from '../pods/names.ts';
import { podCgroup } from '../pods/resources.ts';
import type { PodWorker } from '../pods/worker.ts';

export interface StatsDeps {
  readonly cri: () => Cri;
  readonly manager: PodManager;
  readonly machine: Machine;
  readonly host: CgroupHost;
  readonly root: string;
  readonly nodeName: string;
  readonly clock: Clock;
}

interface Sample {
  readonly nanos: number;
  readonly atMs: number;
  readonly rate: number;
}

const minIntervalMs = 1000;

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

/** Received and sent bytes of each interface, from the form of /proc/net/dev. */
export function parseNetDev(text: string): readonly {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly txBytes: number;
  readonly txErrors: number;
}[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*([^:]+):\s*(.*)$/.exec(line);
    if (match === null || match[1] === 'lo') return [];
    const n = (match[2] ?? '').trim().split(/\s+/).map(Number);
    return [{ name: match[1] ?? '', rxBytes: n[0] ?? 0, rxErrors: n[2] ?? 0, txBytes: n[8] ?? 0, txErrors: n[10] ?? 0 }];
  });
}

export function createStats(deps: StatsDeps): { readonly summary: () => Promise<Summary> } {
  const samples = new Map<string, Sample>();
  const pids = new Map<string, number>();
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
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    const interfaces = parseNetDev(text);
    const main = interfaces.find((i) => i.name === 'eth0') ?? interfaces[0];
    return { time: new Date(deps.clock.now()).toISOString(), ...main, interfaces };
  }

  /** The process that holds a sandbox's namespaces. */
  async function sandboxPid(id: string): Promise<number | undefined> {
    const known = pids.get(id);
    if (known !== undefined) return known;
    const { info } = await deps.cri().podSandboxStatus({ podSandboxId: id, verbose: true });
    const pid = (JSON.parse(info['info'] ?? '{}') as { readonly pid?: number }).pid;
    if (pid !== undefined) pids.set(id, pid);
    return pid;
  }

  function containerUse(stats: ContainerStats, startedMs: number): ContainerUse {
    const time = new Date(deps.clock.now()).toISOString();
    const nanos = stats.cpu?.usageCoreNanoSeconds?.value ?? 0;
    const working = stats.memory?.workingSetBytes?.value ?? 0;
    const layer = stats.writableLayer;
    return {
      name: stats.attributes?.labels[labels.containerName] ?? '',
      startTime: new Date(startedMs).toISOString(),
      cpu: { time, usageNanoCores: rate(stats.attributes?.id ?? '', nanos), usageCoreNanoSeconds: nanos },
      memory: {
        time,
        workingSetBytes: working,
        usageBytes: stats.memory?.usageBytes?.value ?? working,
        rssBytes: stats.memory?.rssBytes?.value ?? 0,
      },
      ...(layer === null ? {} : { rootfs: { time, usedBytes: layer.usedBytes?.value ?? 0, inodesUsed: layer.inodesUsed?.value ?? 0 } }),
    };
  }

  async function podUse(worker: PodWorker, all: ReadonlyMap<string, ContainerStats>): Promise<PodUse | undefined> {
    const pod = worker.pod();
    const runtime = worker.runtime();
    const running = runtime?.containers.filter((c) => c.state === 'running') ?? [];
    const sandbox = runtime?.sandboxes[0];
    if (pod === undefined || sandbox === undefined || running.length === 0) return undefined;
    const own = await usage(podCgroup(pod, deps.host.systemd).path);
    const pid = pod.spec?.hostNetwork === true ? undefined : await sandboxPid(sandbox.id).catch(() => undefined);
    const net = pid === undefined ? undefined : await network(`/proc/${pid}/net/dev`);
    return {
      podRef: worker.identity,
      startTime: pod.status?.startTime ?? '',
      containers: running.flatMap((c) => {
        const stats = all.get(c.id);
        return stats === undefined ? [] : [containerUse(stats, c.startedMs)];
      }),
      cpu: own.cpu,
      memory: own.memory,
      ...(net === undefined ? {} : { network: net }),
      process_stats: { process_count: own.processes },
    };
  }

  function forgetOld(ids: ReadonlySet<string>): void {
    for (const key of samples.keys()) if (key !== '' && !key.startsWith('/') && !ids.has(key)) samples.delete(key);
    for (const key of pids.keys()) if (!deps.manager.list().some((w) => w.runtime()?.sandboxes.some((s) => s.id === key))) pids.delete(key);
    if (samples.size > 5000) samples.clear();
  }

  return {
    summary: async () => {
      const [{ stats }, node, disk] = await Promise.all([deps.cri().listContainerStats({}), usage(''), filesystem()]);
      const all = new Map(stats.map((s) => [s.attributes?.id ?? '', s]));
      forgetOld(new Set(all.keys()));
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

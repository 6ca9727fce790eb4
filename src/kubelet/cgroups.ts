/** The cgroups of the pods of this node, on cgroup v1 and v2: pkg/kubelet/cm upstream. */
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import type { PodCgroup } from './pods/resources.ts';

export interface CgroupHost {
  readonly version: 1 | 2;
  /** systemd owns the hierarchy: slices are made through it. */
  readonly systemd: boolean;
}

const root = '/sys/fs/cgroup';
const v1Controllers = ['cpu', 'memory', 'pids'];
const controllers = '+cpu +memory +pids +cpuset +io +hugetlb';

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** What the machine has. systemd's driver is used only with cgroup v2, where it is the recommended one. */
export async function detectCgroups(): Promise<CgroupHost> {
  const v2 = await exists(join(root, 'cgroup.controllers'));
  return { version: v2 ? 2 : 1, systemd: v2 && (await exists('/run/systemd/system')) };
}

/** cpu.shares → cpu.weight, as runc converts. */
export const cpuWeight = (shares: number): number => (shares === 0 ? 0 : 1 + Math.floor(((shares - 2) * 9999) / 262_142));

export interface Cgroups {
  readonly host: CgroupHost;
  /** Makes the tiers of pods and bounds all pods together. */
  readonly prepare: (node: { readonly milliCpu: number; readonly memoryBytes: number }) => Promise<void>;
  /** Makes a pod's cgroup with its limits; to be called before its sandbox is made. */
  readonly create: (pod: PodCgroup) => Promise<void>;
  /** To be called after the sandbox is made: systemd's slices exist only then. */
  readonly settle: (pod: PodCgroup) => Promise<void>;
  readonly remove: (path: string) => Promise<void>;
}

async function write(file: string, value: string, log: Logger): Promise<void> {
  await writeFile(file, value).catch((error: unknown) => log.debug('a cgroup setting was not taken', { file, value, error }));
}

export function createCgroups(host: CgroupHost, deps: { readonly exec: Exec; readonly log: Logger }): Cgroups {
  const { log } = deps;

  async function makeV1(path: string, limits: Omit<PodCgroup, 'path'>): Promise<void> {
    for (const controller of v1Controllers) {
      const dir = join(root, controller, path);
      if (!(await exists(join(root, controller)))) continue;
      await mkdir(dir, { recursive: true });
      if (controller === 'cpu') {
        await write(join(dir, 'cpu.shares'), String(limits.shares), log);
        if (limits.quotaUs) await write(join(dir, 'cpu.cfs_quota_us'), String(limits.quotaUs), log);
      }
      if (controller === 'memory' && limits.memoryBytes) await write(join(dir, 'memory.limit_in_bytes'), String(limits.memoryBytes), log);
    }
  }

  async function makeV2(path: string, limits: Omit<PodCgroup, 'path'>): Promise<void> {
    let at = root;
    for (const part of path.split('/').filter((p) => p !== '')) {
      for (const controller of controllers.split(' '))
        await writeFile(join(at, 'cgroup.subtree_control'), controller).catch(() => undefined);
      at = join(at, part);
      await mkdir(at, { recursive: true });
    }
    await write(join(at, 'cpu.weight'), String(cpuWeight(limits.shares)), log);
    if (limits.quotaUs) await write(join(at, 'cpu.max'), `${limits.quotaUs} 100000`, log);
    if (limits.memoryBytes) await write(join(at, 'memory.max'), String(limits.memoryBytes), log);
  }

  const make = host.version === 1 ? makeV1 : makeV2;

  async function setSlice(path: string, limits: Omit<PodCgroup, 'path'>): Promise<void> {
    const properties = [
      `CPUWeight=${cpuWeight(limits.shares)}`,
      ...(limits.quotaUs ? [`CPUQuota=${limits.quotaUs / 1000}%`] : []),
      ...(limits.memoryBytes ? [`MemoryMax=${limits.memoryBytes}`] : []),
    ];
    await deps
      .exec('systemctl', ['set-property', '--runtime', basename(path), ...properties], { timeoutMs: 10_000 })
      .catch((error: unknown) => {
        log.warn('the limits of a pod could not be set', { path, error });
      });
  }

  return {
    host,
    prepare: async ({ milliCpu, memoryBytes }) => {
      const all = { shares: Math.max(2, Math.floor((milliCpu * 1024) / 1000)), memoryBytes };
      if (host.systemd) return;
      await make('/kubepods', all);
      await make('/kubepods/burstable', { shares: 2 });
      await make('/kubepods/besteffort', { shares: 2 });
    },
    create: async (pod) => {
      if (!host.systemd) await make(pod.path, pod);
    },
    settle: async (pod) => {
      if (host.systemd) await setSlice(pod.path, pod);
    },
    remove: async (path) => {
      const tops = host.version === 2 ? [root] : (await readdir(root)).map((c) => join(root, c));
      for (const top of tops) await removeTree(join(top, path)).catch((error: unknown) => log.debug('a cgroup stays', { path, error }));
    },
  };
}

/** Cgroup folders can only be removed one by one, innermost first, when nothing runs in them. */
async function removeTree(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(dir, entry.name));
  if (entries.length > 0) await rmdir(dir);
}

export interface Usage {
  readonly cpuNanos: number;
  readonly memoryBytes: number;
  readonly workingSetBytes: number;
  readonly rssBytes: number;
  readonly processes: number;
}

const numberIn = async (file: string): Promise<number> => Number((await readFile(file, 'utf8').catch(() => '0')).trim()) || 0;

async function keyedNumbers(file: string): Promise<ReadonlyMap<string, number>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return new Map(
    text.split('\n').flatMap((line): [string, number][] => {
      const [key, value] = line.split(' ');
      return key === undefined || value === undefined ? [] : [[key, Number(value)]];
    }),
  );
}

/** What a cgroup (path as in podCgroup; '' is the machine) has used. */
export async function readUsage(host: CgroupHost, path: string): Promise<Usage> {
  if (host.version === 1) {
    const memory = join(root, 'memory', path);
    const stat = await keyedNumbers(join(memory, 'memory.stat'));
    const used = await numberIn(join(memory, 'memory.usage_in_bytes'));
    return {
      cpuNanos: await numberIn(join(root, 'cpuacct', path, 'cpuacct.usage')),
      memoryBytes: used,
      workingSetBytes: Math.max(0, used - (stat.get('total_inactive_file') ?? 0)),
      rssBytes: stat.get('total_rss') ?? 0,
      processes: await numberIn(join(root, 'pids', path, 'pids.current')),
    };
  }
  const dir = join(root, path);
  const cpu = await keyedNumbers(join(dir, 'cpu.stat'));
  const stat = await keyedNumbers(join(dir, 'memory.stat'));
  const used = await numberIn(join(dir, 'memory.current'));
  return {
    cpuNanos: (cpu.get('usage_usec') ?? 0) * 1000,
    memoryBytes: used,
    workingSetBytes: Math.max(0, used - (stat.get('inactive_file') ?? 0)),
    rssBytes: stat.get('anon') ?? 0,
    processes: await numberIn(join(dir, 'pids.current')),
  };
}

/** The cgroup of a process, from /proc/<pid>/cgroup of the memory controller (v1) or the one hierarchy (v2). */
export async function cgroupOfProcess(host: CgroupHost, pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  const line = text.split('\n').find((l) => (host.version === 2 ? l.startsWith('0::') : l.split(':')[1] === 'memory'));
  return line?.split(':').slice(2).join(':');
}

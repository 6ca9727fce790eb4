/** The cgroups of the pods of this node, on cgroup v1 and v2: pkg/kubelet/cm upstream. */
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { type CgroupHost, cgroupRoot, exists } from './cgroup-host.ts';
import { type CgroupLimits, cpuShares, cpuWeight, type PodCgroup, type QosClass, tierCgroupPath } from './pods/resources.ts';
import { createSlices } from './systemd-slices.ts';

const v1Controllers = ['cpu', 'memory', 'pids'];
const controllers = '+cpu +memory +pids +cpuset +io +hugetlb';

export interface Cgroups {
  readonly host: CgroupHost;
  /** Makes the tiers of pods and bounds all pods together. */
  readonly prepare: (node: { readonly milliCpu: number; readonly memoryBytes: number }) => Promise<void>;
  /** Gives burstable pods together the weight of what they request: pkg/kubelet/cm/qos_container_manager_linux.go. */
  readonly weighBurstable: (milliCpu: number) => Promise<void>;
  /** Makes a pod's cgroup with its limits; to be called before its sandbox is made. */
  readonly create: (pod: PodCgroup) => Promise<void>;
  readonly remove: (path: string) => Promise<void>;
  /** Removes what `prepare` made, where no pod is left in it. */
  readonly removeTiers: () => Promise<void>;
}

async function write(file: string, value: string, log: Logger): Promise<void> {
  await writeFile(file, value).catch((error: unknown) => log.debug('a cgroup setting was not taken', { file, value, error }));
}

type Make = (path: string, limits: CgroupLimits) => Promise<void>;

function makeV1(root: string, log: Logger): Make {
  return async (path, limits) => {
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
  };
}

function makeV2(root: string, log: Logger): Make {
  return async (path, limits) => {
    let at = root;
    for (const part of path.split('/').filter((p) => p !== '')) {
      // One by one: a kernel without one of them would refuse all.
      for (const controller of controllers.split(' '))
        await writeFile(join(at, 'cgroup.subtree_control'), controller).catch(() => undefined);
      at = join(at, part);
      await mkdir(at, { recursive: true });
    }
    await write(join(at, 'cpu.weight'), String(cpuWeight(limits.shares)), log);
    if (limits.quotaUs) await write(join(at, 'cpu.max'), `${limits.quotaUs} 100000`, log);
    if (limits.memoryBytes) await write(join(at, 'memory.max'), String(limits.memoryBytes), log);
  };
}

/** Cgroup folders can only be removed one by one, innermost first, when nothing runs in them. */
async function removeTree(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return;
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(dir, entry.name));
  await rmdir(dir);
}

const hasChildren = async (dir: string): Promise<boolean> =>
  (await readdir(dir, { withFileTypes: true }).catch(() => [])).some((entry) => entry.isDirectory());

export interface CgroupDeps {
  readonly exec: Exec;
  readonly log: Logger;
  /** Where cgroups are mounted. */
  readonly root?: string;
}

export function createCgroups(host: CgroupHost, deps: CgroupDeps): Cgroups {
  const { log, root = cgroupRoot } = deps;
  const slices = createSlices(deps.exec);
  const make = host.systemd ? slices.set : host.version === 1 ? makeV1(root, log) : makeV2(root, log);
  const tier = (qos: QosClass): string => tierCgroupPath(qos, host.systemd);
  let burstable: number | undefined;
  const places = async (path: string): Promise<readonly string[]> =>
    host.version === 2 ? [join(root, path)] : (await readdir(root)).map((controller) => join(root, controller, path));
  const remove = async (path: string): Promise<void> => {
    if (host.systemd) await slices.remove(path).catch((error: unknown) => log.warn('a slice stays', { path, error }));
    for (const dir of await places(path)) await removeTree(dir).catch((error: unknown) => log.debug('a cgroup stays', { path, error }));
  };
  return {
    host,
    prepare: async ({ milliCpu, memoryBytes }) => {
      await make(tier('Guaranteed'), { shares: cpuShares(milliCpu), memoryBytes });
      await make(tier('BestEffort'), { shares: 2 });
    },
    weighBurstable: async (milliCpu) => {
      const shares = cpuShares(milliCpu);
      if (shares === burstable) return;
      burstable = shares;
      await make(tier('Burstable'), { shares });
    },
    create: (pod) => make(pod.path, pod),
    remove,
    removeTiers: async () => {
      for (const path of (['BestEffort', 'Burstable', 'Guaranteed'] as const).map(tier)) {
        // Another node of this machine may have pods in it.
        const used = await Promise.all((await places(path)).map(hasChildren));
        if (!used.includes(true)) await remove(path);
      }
    },
  };
}

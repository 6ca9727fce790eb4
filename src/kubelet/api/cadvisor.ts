/** Gathers what cAdvisor would find on this node: the machine, the tiers of pods, pods, sandboxes and containers. */
import { readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Clock } from '#platform/clock.ts';
import type { CgroupHost } from '../cgroup-host.ts';
import { readCgroupStats } from '../cgroup-stats.ts';
import { pauseImage } from '../containerd/pause-image.ts';
import type { Cri } from '../cri/client.ts';
import type { ContainerStats } from '../cri/generated/cri.ts';
import { diskUse, type Machine, memoryFigure } from '../node/machine.ts';
import type { PodManager } from '../pods/manager.ts';
import { containerCgroupPath, podCgroup } from '../pods/resources.ts';
import type { PodWorker } from '../pods/worker.ts';
import type { CadvisorSnapshot, DiskFigures, Measured } from './cadvisor-metrics.ts';
import { type InterfaceUse, readInterfaces, type Sandboxes } from './network-use.ts';

export interface CadvisorDeps {
  readonly cri: () => Cri;
  readonly manager: PodManager;
  readonly machine: Machine;
  readonly host: CgroupHost;
  /** A folder on the file system that holds pods and images. */
  readonly root: string;
  readonly clock: Clock;
  readonly sandboxes: Sandboxes;
}

/** What is mounted at the longest prefix of a path, e.g. /dev/sda1: from the text of /proc/self/mountinfo. */
export function mountSource(mountinfo: string, path: string): string {
  let best = { point: '', source: '' };
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4] ?? '';
    const within = point === '/' || path === point || path.startsWith(`${point}/`);
    // The last one mounted at a place hides those before.
    if (point !== '' && within && point.length >= best.point.length) best = { point, source: after.split(' ')[1] ?? '' };
  }
  return best.source;
}

interface Labelled {
  readonly labels: Partial<Measured['labels']> & { readonly id: string };
  readonly path: string;
  readonly startMs?: number;
  readonly interfaces?: readonly InterfaceUse[];
  readonly disks?: readonly DiskFigures[];
}

const noLabels = { container: '', image: '', name: '', namespace: '', pod: '' };

export function createCadvisor(deps: CadvisorDeps): () => Promise<CadvisorSnapshot> {
  async function measure(what: Labelled): Promise<Measured> {
    const stats = await readCgroupStats(deps.host, what.path);
    return {
      labels: { ...noLabels, ...what.labels },
      startMs: what.startMs ?? stats.createdMs,
      stats,
      interfaces: what.interfaces ?? [],
      disks: what.disks ?? [],
    };
  }

  const measureMachine = async (disk: DiskFigures): Promise<Measured> =>
    measure({ labels: { id: '/' }, path: '', interfaces: (await readInterfaces('/proc/net/dev')) ?? [], disks: [disk] });

  async function measurePod(
    worker: PodWorker,
    layers: ReadonlyMap<string, ContainerStats>,
    disk: DiskFigures,
  ): Promise<readonly Measured[]> {
    const pod = worker.pod();
    const runtime = worker.runtime();
    const sandbox = runtime?.sandboxes.find((s) => s.ready);
    if (pod === undefined || runtime === undefined || sandbox === undefined) return [];
    const { path } = podCgroup(pod, deps.host.systemd);
    const { namespace, name } = worker.identity;
    const of = { namespace, pod: name };
    const pathOf = (id: string): string => containerCgroupPath(path, id, deps.host.systemd);
    const devices = sandbox.hostNetwork ? undefined : await deps.sandboxes.networkFile(sandbox.id);
    const interfaces = devices === undefined ? [] : ((await readInterfaces(devices)) ?? []);
    const containers = runtime.containers
      .filter((c) => c.state === 'running')
      .map((c): Labelled => {
        const used = layers.get(c.id)?.writableLayer?.usedBytes?.value;
        return {
          labels: { ...of, id: pathOf(c.id), container: c.name, image: c.image, name: c.id },
          path: pathOf(c.id),
          startMs: c.startedMs,
          disks: used === undefined ? [] : [{ device: disk.device, usageBytes: used, limitBytes: disk.limitBytes }],
        };
      });
    const pause = { ...of, id: pathOf(sandbox.id), image: pauseImage, name: sandbox.id };
    return Promise.all(
      [
        { labels: { ...of, id: path }, path },
        { labels: pause, path: pathOf(sandbox.id), startMs: sandbox.createdMs, interfaces },
        ...containers,
      ].map(measure),
    );
  }

  async function rootDisk(): Promise<DiskFigures> {
    const use = await diskUse(deps.root);
    return {
      device: mountSource(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''), deps.root),
      usageBytes: use.capacityBytes - use.availableBytes,
      limitBytes: use.capacityBytes,
      inodes: use.inodes,
      inodesFree: use.inodesFree,
    };
  }

  async function deviceNames(cgroups: readonly Measured[]): Promise<ReadonlyMap<string, string>> {
    const numbers = [...new Set(cgroups.flatMap((m) => m.stats.blocks.map((b) => b.device)))];
    const name = async (number: string): Promise<readonly [string, string]> => [
      number,
      await readlink(`/sys/dev/block/${number}`).then(
        (target) => `/dev/${basename(target)}`,
        () => number,
      ),
    ];
    return new Map(await Promise.all(numbers.map(name)));
  }

  return async () => {
    const [{ stats }, disk] = await Promise.all([deps.cri().listContainerStats({}), rootDisk()]);
    const layers = new Map(stats.map((s) => [s.attributes?.id ?? '', s]));
    const tiers = deps.host.systemd
      ? ['/kubepods.slice', '/kubepods.slice/kubepods-besteffort.slice', '/kubepods.slice/kubepods-burstable.slice']
      : ['/kubepods', '/kubepods/besteffort', '/kubepods/burstable'];
    const cgroups = [await measureMachine(disk), ...(await Promise.all(tiers.map((path) => measure({ labels: { id: path }, path }))))];
    // One pod after the other: a scrape must not hold thousands of files open.
    for (const worker of deps.manager.list()) cgroups.push(...(await measurePod(worker, layers, disk)));
    return {
      nowMs: deps.clock.now(),
      machine: deps.machine,
      swapBytes: await memoryFigure('SwapTotal'),
      cgroups,
      devices: await deviceNames(cgroups),
    };
  };
}

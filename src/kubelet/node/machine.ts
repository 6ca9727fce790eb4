/** What the machine is: capacity and system information. */
import { readdir, readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, hostname, networkInterfaces, release, totalmem } from 'node:os';
import type { NodeSystemInfo } from '#kube/generated/core-v1.ts';
import { formatQuantity, quantityOf } from '#kube/quantity.ts';
import { gitVersion } from '#kube/version.ts';

export interface Machine {
  readonly milliCpu: number;
  readonly memoryBytes: number;
  readonly info: Omit<NodeSystemInfo, 'containerRuntimeVersion'>;
  /** Huge pages by resource name. */
  readonly hugepages: Readonly<Record<string, string>>;
}

const goArch: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
const text = (path: string): Promise<string> =>
  readFile(path, 'utf8').then(
    (t) => t.trim(),
    () => '',
  );

async function osImage(): Promise<string> {
  const release = (await text('/etc/os-release')) || (await text('/usr/lib/os-release'));
  const pretty = release.split('\n').find((line) => line.startsWith('PRETTY_NAME='));
  return pretty?.slice('PRETTY_NAME='.length).replaceAll('"', '') || 'Linux';
}

async function hugepages(): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const name of await readdir('/sys/kernel/mm/hugepages').catch(() => [])) {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    if (kilobytes === 0) continue;
    const size = formatQuantity(quantityOf(kilobytes * 1024, 'BinarySI'));
    const count = Number(await text(`/sys/kernel/mm/hugepages/${name}/nr_hugepages`)) || 0;
    result[`hugepages-${size}`] = formatQuantity(quantityOf(count * kilobytes * 1024, 'BinarySI'));
  }
  return result;
}

export async function readMachine(): Promise<Machine> {
  const architecture = goArch[arch()] ?? arch();
  const machineID = (await text('/etc/machine-id')) || (await text('/var/lib/dbus/machine-id'));
  return {
    milliCpu: availableParallelism() * 1000,
    memoryBytes: totalmem(),
    hugepages: await hugepages(),
    info: {
      machineID,
      systemUUID: (await text('/sys/class/dmi/id/product_uuid')) || (await text('/sys/hypervisor/uuid')) || machineID,
      bootID: await text('/proc/sys/kernel/random/boot_id'),
      kernelVersion: release(),
      osImage: await osImage(),
      kubeletVersion: gitVersion,
      kubeProxyVersion: gitVersion,
      operatingSystem: 'linux',
      architecture,
    },
  };
}

export interface DiskUse {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

export async function diskUse(path: string): Promise<DiskUse> {
  const s = await statfs(path);
  return { capacityBytes: s.blocks * s.bsize, availableBytes: s.bavail * s.bsize, inodes: s.files, inodesFree: s.ffree };
}

/** A figure of /proc/meminfo, in bytes. */
export async function memoryFigure(name: string): Promise<number> {
  const line = (await text('/proc/meminfo')).split('\n').find((l) => l.startsWith(`${name}:`));
  return Number(/\d+/.exec(line ?? '')?.[0] ?? 0) * 1024;
}

/** Memory that can be had without swapping. */
export const availableMemory = (): Promise<number> => memoryFigure('MemAvailable');

/** Process ids in use, and how many there can be. */
export async function processIds(): Promise<{ readonly max: number; readonly used: number }> {
  const max = Number(await text('/proc/sys/kernel/pid_max')) || 32_768;
  const threads = Number(await text('/proc/sys/kernel/threads-max')) || max;
  const used = Number((await text('/proc/loadavg')).split(' ')[3]?.split('/')[1] ?? 0);
  return { max: Math.min(max, threads), used };
}

/** The node's first address that others can reach; IPv4 before IPv6. */
export function defaultAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const usable = all.filter((a) => !a.internal && !a.address.startsWith('fe80:'));
  return (usable.find((a) => a.family === 'IPv4') ?? usable[0])?.address;
}

export const machineName = (): string => hostname().toLowerCase();

import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Exec } from '#platform/exec.ts';
import { createLogger } from '#platform/log.ts';
import { readUsage } from './cgroup-usage.ts';
import { createCgroups } from './cgroups.ts';
import { podCgroupPath } from './pods/resources.ts';
import { createSlices } from './systemd-slices.ts';

const log = createLogger({ debug: false });
const noExec: Exec = async (file) => {
  throw new Error(`${file} was started`);
};
const folder = () => mkdtempDisposable(join(tmpdir(), 'k3ts-cgroups-'));
const v2 = { version: 2, systemd: false, swap: true } as const;
const files = async (dir: string, ...names: string[]): Promise<string[]> =>
  Promise.all(names.map((name) => readFile(join(dir, name), 'utf8')));

/** What systemctl was told, each call as one line. */
function recorded(): { readonly exec: Exec; readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    exec: async (file, args) => {
      calls.push([file, ...args].join(' '));
      return { stdout: '', stderr: '' };
    },
  };
}

test('on cgroup v2 a pod is bounded by cpu.max, cpu.weight and memory.max of its cgroup', async () => {
  await using root = await folder();
  const cgroups = createCgroups(v2, { exec: noExec, log, root: root.path });
  await cgroups.prepare({ milliCpu: 4000, memoryBytes: 8_000_000 });
  await cgroups.weighBurstable(500);
  const path = podCgroupPath('Burstable', 'u1', false);
  await cgroups.create({ path, shares: 512, quotaUs: 75_000, memoryBytes: 4096 });
  expect(await files(join(root.path, path), 'cpu.weight', 'cpu.max', 'memory.max')).toEqual(['20', '75000 100000', '4096']);
  expect(await files(join(root.path, 'kubepods'), 'cpu.weight', 'memory.max')).toEqual(['157', '8000000']);
  expect(await files(join(root.path, 'kubepods/burstable'), 'cpu.weight')).toEqual(['20']);
  expect(await files(join(root.path, 'kubepods/besteffort'), 'cpu.weight')).toEqual(['1']);
});

test('on cgroup v1 burstable pods together weigh what they request, which is written only when it changes', async () => {
  await using root = await folder();
  for (const controller of ['cpu', 'memory', 'pids']) await mkdir(join(root.path, controller));
  const cgroups = createCgroups({ version: 1, systemd: false, swap: false }, { exec: noExec, log, root: root.path });
  await cgroups.weighBurstable(250);
  const file = join(root.path, 'cpu/kubepods/burstable/cpu.shares');
  expect(await readFile(file, 'utf8')).toBe('256');
  await writeFile(file, 'as it was');
  await cgroups.weighBurstable(250);
  expect(await readFile(file, 'utf8')).toBe('as it was');
  await cgroups.weighBurstable(0);
  expect(await readFile(file, 'utf8')).toBe('2');
});

test('the tiers are removed where no pod of another node is in them', async () => {
  await using root = await folder();
  await mkdir(join(root.path, 'kubepods/burstable/podother'), { recursive: true });
  await mkdir(join(root.path, 'kubepods/besteffort'), { recursive: true });
  await createCgroups(v2, { exec: noExec, log, root: root.path }).removeTiers();
  expect(await readdir(join(root.path, 'kubepods'), { recursive: true })).toEqual(['burstable', 'burstable/podother']);
});

test('systemd is given the limits of a slice before anything runs in it, CPU in whole percents', async () => {
  const { exec, calls } = recorded();
  await createSlices(exec).set(podCgroupPath('Guaranteed', 'a-b', true), { shares: 1024, quotaUs: 12_500, memoryBytes: 4096 });
  expect(calls).toEqual(['systemctl set-property --runtime kubepods-poda_b.slice CPUWeight=39 CPUQuota=13% MemoryMax=4096']);
});

test('a removed slice is stopped and its settings go with it; one that was never made is left alone', async () => {
  await using settings = await folder();
  const { exec, calls } = recorded();
  const slices = createSlices(exec, settings.path);
  await slices.remove('/kubepods.slice/kubepods-podb.slice');
  expect(calls).toEqual([]);
  await mkdir(join(settings.path, 'kubepods-poda.slice.d'));
  await writeFile(join(settings.path, 'kubepods-poda.slice.d/50-MemoryMax.conf'), '');
  await slices.remove('/kubepods.slice/kubepods-poda.slice');
  expect(calls).toEqual(['systemctl stop kubepods-poda.slice']);
  expect(await readdir(settings.path)).toEqual([]);
});

test('what a cgroup of v2 uses is read from it, and of the machine itself from what the top has', async () => {
  await using root = await folder();
  const pod = join(root.path, 'pod');
  await mkdir(pod);
  await writeFile(join(pod, 'cpu.stat'), 'usage_usec 1500\nuser_usec 1000\n');
  await writeFile(join(pod, 'memory.current'), '5000\n');
  await writeFile(join(pod, 'memory.stat'), 'anon 1000\nfile 3000\ninactive_file 2000\n');
  await writeFile(join(pod, 'pids.current'), '3\n');
  expect(await readUsage(v2, 'pod', root.path)).toEqual({
    cpuNanos: 1_500_000,
    memoryBytes: 5000,
    workingSetBytes: 3000,
    rssBytes: 1000,
    processes: 3,
  });
  await writeFile(join(root.path, 'cpu.stat'), 'usage_usec 7\n');
  await writeFile(join(root.path, 'memory.stat'), 'anon 1000\nfile 3000\ninactive_file 500\n');
  expect(await readUsage(v2, '', root.path)).toMatchObject({ cpuNanos: 7000, memoryBytes: 4000, workingSetBytes: 3500 });
});

/** What cgroups have used, on cgroup v1 and v2. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CgroupHost, cgroupRoot } from './cgroup-host.ts';

export interface Usage {
  readonly cpuNanos: number;
  readonly memoryBytes: number;
  readonly workingSetBytes: number;
  readonly rssBytes: number;
  readonly processes: number;
}

/** The number that a file holds, 0 for "max"; undefined when there is no such file. */
export const numberIn = async (file: string): Promise<number | undefined> => {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text.trim()) || 0;
};

/** Lines "key number" of a file. */
export async function keyedNumbers(file: string): Promise<ReadonlyMap<string, number>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return new Map(
    text.split('\n').flatMap((line): [string, number][] => {
      const [key, value] = line.split(' ');
      return key === undefined || value === undefined ? [] : [[key, Number(value)]];
    }),
  );
}

async function usageV1(root: string, path: string): Promise<Usage> {
  const memory = join(root, 'memory', path);
  const stat = await keyedNumbers(join(memory, 'memory.stat'));
  const used = (await numberIn(join(memory, 'memory.usage_in_bytes'))) ?? 0;
  return {
    cpuNanos: (await numberIn(join(root, 'cpuacct', path, 'cpuacct.usage'))) ?? 0,
    memoryBytes: used,
    workingSetBytes: Math.max(0, used - (stat.get('total_inactive_file') ?? 0)),
    rssBytes: stat.get('total_rss') ?? 0,
    processes: (await numberIn(join(root, 'pids', path, 'pids.current'))) ?? 0,
  };
}

async function usageV2(dir: string): Promise<Usage> {
  const cpu = await keyedNumbers(join(dir, 'cpu.stat'));
  const stat = await keyedNumbers(join(dir, 'memory.stat'));
  // The machine's own cgroup has no memory.current; anon and file are what v1 counted there (runc's fs2/memory.go).
  const used = (await numberIn(join(dir, 'memory.current'))) ?? (stat.get('anon') ?? 0) + (stat.get('file') ?? 0);
  return {
    cpuNanos: (cpu.get('usage_usec') ?? 0) * 1000,
    memoryBytes: used,
    workingSetBytes: Math.max(0, used - (stat.get('inactive_file') ?? 0)),
    rssBytes: stat.get('anon') ?? 0,
    processes: (await numberIn(join(dir, 'pids.current'))) ?? 0,
  };
}

/** What a cgroup (path as in podCgroup; '' is the machine) has used. */
export const readUsage = (host: CgroupHost, path: string, root = cgroupRoot): Promise<Usage> =>
  host.version === 1 ? usageV1(root, path) : usageV2(join(root, path));

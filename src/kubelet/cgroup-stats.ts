/** Everything that the kernel accounts for one cgroup, on v1 and v2, as cAdvisor reads it (container/libcontainer/handler.go). */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type CgroupHost, cgroupRoot } from './cgroup-host.ts';
import { keyedNumbers, numberIn } from './cgroup-usage.ts';

export interface BlockUse {
  /** major:minor */
  readonly device: string;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
}

export interface CgroupStats {
  readonly createdMs: number;
  readonly cpu: {
    readonly usageSeconds: number;
    readonly userSeconds: number;
    readonly systemSeconds: number;
    readonly shares: number;
    readonly periodUs: number;
    /** 0: unlimited; then nothing is throttled. */
    readonly quotaUs: number;
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledSeconds: number;
  };
  readonly memory: {
    readonly usage: number;
    readonly workingSet: number;
    readonly rss: number;
    readonly cache: number;
    readonly kernel: number;
    readonly mappedFile: number;
    readonly swap: number;
    readonly maxUsage: number;
    readonly failures: number;
    readonly activeFile: number;
    readonly inactiveFile: number;
    readonly pageFaults: number;
    readonly majorPageFaults: number;
    /** 0: unlimited. */
    readonly limit: number;
    readonly swapLimit: number;
    readonly reservation: number;
    readonly oomKills: number;
  };
  readonly blocks: readonly BlockUse[];
  readonly processes: number;
  readonly threads: number;
  /** 0: unlimited. */
  readonly maxThreads: number;
}

/** The kernel counts user and system time of v1 in these. */
const ticksPerSecond = 100;
/** Larger limits are how the kernel says "none": cAdvisor's maxMemorySize. */
const unlimited = 2 ** 62;
const limitOf = (value: number): number => (value >= unlimited ? 0 : Math.max(0, value));

const numberOf = async (file: string): Promise<number> => (await numberIn(file)) ?? 0;

const lines = async (file: string): Promise<readonly string[]> =>
  (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

/** Lines "8:0 Read 4096" of a blkio file as one number for each device and operation. */
async function blkio(file: string): Promise<ReadonlyMap<string, number>> {
  const entries = (await lines(file)).map((line) => line.split(' '));
  return new Map(entries.flatMap(([device, what, n]) => (n === undefined ? [] : [[`${device} ${what}`, Number(n)] as const])));
}

async function blocksV1(dir: string): Promise<readonly BlockUse[]> {
  const [bytes, operations] = await Promise.all([
    blkio(join(dir, 'blkio.throttle.io_service_bytes_recursive')),
    blkio(join(dir, 'blkio.throttle.io_serviced_recursive')),
  ]);
  const devices = new Set([...bytes.keys()].map((key) => key.split(' ')[0] ?? ''));
  return [...devices].map((device) => ({
    device,
    readBytes: bytes.get(`${device} Read`) ?? 0,
    writeBytes: bytes.get(`${device} Write`) ?? 0,
    reads: operations.get(`${device} Read`) ?? 0,
    writes: operations.get(`${device} Write`) ?? 0,
  }));
}

/** Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …" of io.stat. */
async function blocksV2(dir: string): Promise<readonly BlockUse[]> {
  return (await lines(join(dir, 'io.stat'))).map((line) => {
    const [device = '', ...pairs] = line.split(' ');
    const values = new Map(pairs.map((pair) => pair.split('=') as [string, string]));
    const value = (key: string): number => Number(values.get(key) ?? 0);
    return { device, readBytes: value('rbytes'), writeBytes: value('wbytes'), reads: value('rios'), writes: value('wios') };
  });
}

async function readV1(path: string, root: string): Promise<CgroupStats> {
  const [cpu, cpuacct, memory, pids] = ['cpu', 'cpuacct', 'memory', 'pids'].map((c) => join(root, c, path)) as [
    string,
    string,
    string,
    string,
  ];
  const [times, throttling, m] = await Promise.all([
    keyedNumbers(join(cpuacct, 'cpuacct.stat')),
    keyedNumbers(join(cpu, 'cpu.stat')),
    keyedNumbers(join(memory, 'memory.stat')),
  ]);
  const total = (key: string): number => m.get(`total_${key}`) ?? 0;
  const usage = await numberOf(join(memory, 'memory.usage_in_bytes'));
  return {
    createdMs: await modified(memory),
    cpu: {
      usageSeconds: (await numberOf(join(cpuacct, 'cpuacct.usage'))) / 1e9,
      userSeconds: (times.get('user') ?? 0) / ticksPerSecond,
      systemSeconds: (times.get('system') ?? 0) / ticksPerSecond,
      shares: await numberOf(join(cpu, 'cpu.shares')),
      periodUs: await numberOf(join(cpu, 'cpu.cfs_period_us')),
      quotaUs: Math.max(0, await numberOf(join(cpu, 'cpu.cfs_quota_us'))),
      periods: throttling.get('nr_periods') ?? 0,
      throttledPeriods: throttling.get('nr_throttled') ?? 0,
      throttledSeconds: (throttling.get('throttled_time') ?? 0) / 1e9,
    },
    memory: {
      usage,
      workingSet: Math.max(0, usage - total('inactive_file')),
      rss: total('rss'),
      cache: total('cache'),
      kernel: await numberOf(join(memory, 'memory.kmem.usage_in_bytes')),
      mappedFile: total('mapped_file'),
      swap: total('swap'),
      maxUsage: await numberOf(join(memory, 'memory.max_usage_in_bytes')),
      failures: await numberOf(join(memory, 'memory.failcnt')),
      activeFile: total('active_file'),
      inactiveFile: total('inactive_file'),
      pageFaults: total('pgfault'),
      majorPageFaults: total('pgmajfault'),
      limit: limitOf(await numberOf(join(memory, 'memory.limit_in_bytes'))),
      swapLimit: limitOf(await numberOf(join(memory, 'memory.memsw.limit_in_bytes'))),
      reservation: limitOf(await numberOf(join(memory, 'memory.soft_limit_in_bytes'))),
      oomKills: (await keyedNumbers(join(memory, 'memory.oom_control'))).get('oom_kill') ?? 0,
    },
    blocks: await blocksV1(join(root, 'blkio', path)),
    processes: (await lines(join(pids, 'cgroup.procs'))).length,
    threads: await numberOf(join(pids, 'pids.current')),
    maxThreads: await numberOf(join(pids, 'pids.max')),
  };
}

/** cgroup v2's weight as shares of v1, the reverse of runc's conversion. */
const sharesOf = (weight: number): number => (weight === 0 ? 0 : 2 + Math.floor(((weight - 1) * 262_142) / 9999));

async function readV2(path: string, root: string): Promise<CgroupStats> {
  const dir = join(root, path);
  const at = (file: string): string => join(dir, file);
  const [cpu, m, events] = await Promise.all([
    keyedNumbers(at('cpu.stat')),
    keyedNumbers(at('memory.stat')),
    keyedNumbers(at('memory.events')),
  ]);
  const seconds = (key: string): number => (cpu.get(key) ?? 0) / 1e6;
  const of = (key: string): number => m.get(key) ?? 0;
  // The machine's own cgroup has no memory.current: see cgroup-usage.ts.
  const usage = (await numberIn(at('memory.current'))) ?? of('anon') + of('file');
  const swap = await numberOf(at('memory.swap.current'));
  const [quota = 'max', period = '100000'] = ((await lines(at('cpu.max')))[0] ?? '').split(' ');
  return {
    createdMs: await modified(dir),
    cpu: {
      usageSeconds: seconds('usage_usec'),
      userSeconds: seconds('user_usec'),
      systemSeconds: seconds('system_usec'),
      shares: sharesOf(await numberOf(at('cpu.weight'))),
      periodUs: Number(period),
      quotaUs: Number(quota) || 0,
      periods: cpu.get('nr_periods') ?? 0,
      throttledPeriods: cpu.get('nr_throttled') ?? 0,
      throttledSeconds: seconds('throttled_usec'),
    },
    memory: {
      usage,
      workingSet: Math.max(0, usage - of('inactive_file')),
      rss: of('anon'),
      cache: of('file'),
      kernel: of('kernel'),
      mappedFile: of('file_mapped'),
      swap,
      maxUsage: await numberOf(at('memory.peak')),
      failures: events.get('max') ?? 0,
      activeFile: of('active_file'),
      inactiveFile: of('inactive_file'),
      pageFaults: of('pgfault'),
      majorPageFaults: of('pgmajfault'),
      limit: limitOf(await numberOf(at('memory.max'))),
      swapLimit: limitOf(await numberOf(at('memory.swap.max'))),
      reservation: limitOf(await numberOf(at('memory.low'))),
      oomKills: events.get('oom_kill') ?? 0,
    },
    blocks: await blocksV2(dir),
    processes: (await lines(at('cgroup.procs'))).length,
    threads: await numberOf(at('pids.current')),
    maxThreads: await numberOf(at('pids.max')),
  };
}

const modified = (dir: string): Promise<number> =>
  stat(dir).then(
    (s) => s.mtimeMs,
    () => 0,
  );

/** What a cgroup below `root` (the mount of the hierarchies) has used. Zeros for what the kernel does not tell. */
export function readCgroupStats(host: CgroupHost, path: string, root = cgroupRoot): Promise<CgroupStats> {
  return host.version === 1 ? readV1(path, root) : readV2(path, root);
}

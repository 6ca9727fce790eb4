import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCgroupStats } from './cgroup-stats.ts';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cgroups-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function files(top: string, contents: Readonly<Record<string, string>>): string {
  for (const [name, content] of Object.entries(contents)) {
    const file = join(root, top, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${content}\n`);
  }
  return join(root, top);
}

const expected = {
  cpu: {
    usageSeconds: 2.5,
    userSeconds: 1.5,
    systemSeconds: 1,
    shares: 102,
    periodUs: 100_000,
    quotaUs: 50_000,
    periods: 10,
    throttledPeriods: 4,
    throttledSeconds: 0.25,
  },
  memory: {
    usage: 5000,
    workingSet: 4000,
    rss: 3000,
    cache: 2000,
    kernel: 700,
    mappedFile: 600,
    swap: 500,
    maxUsage: 9000,
    failures: 3,
    activeFile: 400,
    inactiveFile: 1000,
    pageFaults: 80,
    majorPageFaults: 8,
    limit: 10_000,
    swapLimit: 0,
    reservation: 0,
    oomKills: 1,
  },
  blocks: [{ device: '8:0', readBytes: 4096, writeBytes: 8192, reads: 1, writes: 2 }],
  processes: 2,
  threads: 5,
  maxThreads: 0,
};

test('version 1 of the hierarchy is read, and a limit that the kernel rounds to infinity is none', async () => {
  const unlimited = '9223372036854771712';
  const top = files('v1', {
    'cpu/kubepods/a/cpu.shares': '102',
    'cpu/kubepods/a/cpu.cfs_period_us': '100000',
    'cpu/kubepods/a/cpu.cfs_quota_us': '50000',
    'cpu/kubepods/a/cpu.stat': 'nr_periods 10\nnr_throttled 4\nthrottled_time 250000000',
    'cpuacct/kubepods/a/cpuacct.usage': '2500000000',
    'cpuacct/kubepods/a/cpuacct.stat': 'user 150\nsystem 100',
    'memory/kubepods/a/memory.stat':
      'rss 1\ntotal_rss 3000\ntotal_cache 2000\ntotal_mapped_file 600\ntotal_swap 500\ntotal_active_file 400\ntotal_inactive_file 1000\ntotal_pgfault 80\ntotal_pgmajfault 8',
    'memory/kubepods/a/memory.usage_in_bytes': '5000',
    'memory/kubepods/a/memory.kmem.usage_in_bytes': '700',
    'memory/kubepods/a/memory.max_usage_in_bytes': '9000',
    'memory/kubepods/a/memory.failcnt': '3',
    'memory/kubepods/a/memory.limit_in_bytes': '10000',
    'memory/kubepods/a/memory.memsw.limit_in_bytes': unlimited,
    'memory/kubepods/a/memory.soft_limit_in_bytes': unlimited,
    'memory/kubepods/a/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 1',
    'blkio/kubepods/a/blkio.throttle.io_service_bytes_recursive': '8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\nTotal 12288',
    'blkio/kubepods/a/blkio.throttle.io_serviced_recursive': '8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3',
    'pids/kubepods/a/cgroup.procs': '11\n12',
    'pids/kubepods/a/pids.current': '5',
    'pids/kubepods/a/pids.max': 'max',
  });
  expect(await readCgroupStats({ version: 1, systemd: false, swap: false }, '/kubepods/a', top)).toEqual({
    ...expected,
    createdMs: expect.any(Number),
  });
});

test('version 2 of the hierarchy is read', async () => {
  const top = files('v2', {
    'a/cpu.weight': '4',
    'a/cpu.max': '50000 100000',
    'a/cpu.stat': 'usage_usec 2500000\nuser_usec 1500000\nsystem_usec 1000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 250000',
    'a/memory.stat': 'anon 3000\nfile 2000\nkernel 700\nfile_mapped 600\nactive_file 400\ninactive_file 1000\npgfault 80\npgmajfault 8',
    'a/memory.current': '5000',
    'a/memory.swap.current': '500',
    'a/memory.peak': '9000',
    'a/memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1',
    'a/memory.max': '10000',
    'a/memory.swap.max': 'max',
    'a/memory.low': '0',
    'a/io.stat': '8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0',
    'a/cgroup.procs': '11\n12',
    'a/pids.current': '5',
    'a/pids.max': 'max',
  });
  const stats = await readCgroupStats({ version: 2, systemd: true, swap: true }, '/a', top);
  expect(stats).toEqual({ ...expected, cpu: { ...expected.cpu, shares: 80 }, createdMs: expect.any(Number) });
});

test('a cgroup that is gone has used nothing', async () => {
  const stats = await readCgroupStats({ version: 2, systemd: false, swap: false }, '/gone', root);
  expect(stats).toMatchObject({ createdMs: 0, cpu: { usageSeconds: 0, quotaUs: 0 }, memory: { usage: 0 }, blocks: [], processes: 0 });
});

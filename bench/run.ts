/**
 * Figures of the built executable beside the budgets of the design, in one run. README.md says what each row means.
 *
 *   npm run bench                         as root; about eight minutes
 *   npm run bench -- --idle-seconds 30    sooner, but what an idle node writes is then not worth reading
 *
 * Each node lives in a network namespace of its own; everything is removed afterwards.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { run } from '../test/harness/machine.ts';
import { createScenario, type ServerNode } from '../test/harness/node.ts';
import type { Figure } from './http2-client.ts';
import { cpuSeconds, megabytes, wakeups, writtenBytes } from './process.ts';

const { values: flags } = parseArgs({ options: { 'idle-seconds': { type: 'string', default: '310' } } });
/** Longer than five minutes by default: so seldom does a node write its status, and a lease reaches the disk every three. */
const idleSeconds = Number(flags['idle-seconds']);

const rows: { readonly what: string; readonly figure: string; readonly budget: string }[] = [];
const row = (what: string, figure: string, budget = ''): void => {
  rows.push({ what, figure, budget });
  process.stderr.write(`${what}: ${figure}\n`);
};

function containerdPid(node: ServerNode): number | undefined {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      if (command[0]?.endsWith('containerd') === true && command.some((word) => word.startsWith(node.dataDir))) return Number(entry);
    } catch {
      // The process ended meanwhile.
    }
  }
  return undefined;
}

async function startToReady(node: ServerNode): Promise<{ readonly api: number; readonly ready: number; readonly cpu: number }> {
  const began = performance.now();
  await node.start();
  const api = performance.now() - began;
  await node.nodeReady();
  return { api, ready: performance.now() - began, cpu: cpuSeconds(node.pid()) };
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

const load = (): string => (loadavg()[0] ?? 0).toFixed(1);
const machine = `${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GB`;
row('machine; load average before', `${machine}; ${load()}`);
await using scenario = await createScenario();
const node = await scenario.addServer('bench');
row('first start, unpacking included, to node Ready', seconds((await startToReady(node)).ready));
await node.stop('SIGTERM');
const warm = await startToReady(node);
row('warm start to API ready', seconds(warm.api));
row('warm start to node Ready', seconds(warm.ready), '1.5 s');
row('CPU spent in a warm start', `${warm.cpu.toFixed(2)} s`);
await node.stop('SIGTERM');
await node.forget();
const cold = await startToReady(node);
row('cold start (no state) to node Ready', seconds(cold.ready), '3 s');
row('CPU spent in a cold start', `${cold.cpu.toFixed(2)} s`);

await sleep(20_000);
const pid = node.pid();
const containerd = containerdPid(node);
row('idle resident memory of k3ts', `${megabytes(pid, 'VmRSS')} (private ${megabytes(pid, 'RssAnon')})`, '150 MB');
if (containerd !== undefined) row('idle resident memory of containerd', megabytes(containerd, 'VmRSS'));
const before = { cpu: cpuSeconds(pid), written: writtenBytes(pid), wakeups: wakeups(pid) };
await sleep(idleSeconds * 1000);
row('idle CPU of k3ts', `${(((cpuSeconds(pid) - before.cpu) / idleSeconds) * 100).toFixed(2)} % of a core`, '1 %');
row('wake-ups of k3ts when idle, all threads', `${((wakeups(pid) - before.wakeups) / idleSeconds).toFixed(1)} a second`);
row('written to disk when idle', `${(((writtenBytes(pid) - before.written) * 86_400) / idleSeconds / 1e6).toFixed(1)} MB a day`, '20 MB');

await node.addImage({ name: 'example.test/bench:1' });
const [enter = '', ...enterArgs] = node.host.enter;
const program = async (file: string, ...args: string[]): Promise<unknown> => {
  const result = await run(enter, [...enterArgs, process.execPath, join(import.meta.dirname, file), node.kubeconfig, ...args], {
    timeoutMs: 300_000,
  });
  if (result.code !== 0) throw new Error(`${file}: ${result.stderr}`);
  return JSON.parse(result.stdout) as unknown;
};
const pods = (await program('pods.ts')) as { medianMs: number; slowestMs: number };
row('pod creation to Running, image present (median of 10)', seconds(pods.medianMs), '0.5 s');
row('pod creation to Running (slowest of 10)', seconds(pods.slowestMs));
for (const [what, f] of Object.entries((await program('load.ts', '5')) as Record<string, Figure>)) {
  row(what, `${f.perSecond.toFixed(0)}/s, p50 ${f.p50Ms.toFixed(1)} ms, p99 ${f.p99Ms.toFixed(1)} ms`);
}
row('resident memory of k3ts after the load', megabytes(pid, 'VmRSS'));
row('load average after', load());

const width = Math.max(...rows.map((r) => r.what.length));
process.stdout.write(
  `${rows.map((r) => `${r.what.padEnd(width)}  ${r.figure.padEnd(44)}${r.budget === '' ? '' : `  budget ${r.budget}`}`.trimEnd()).join('\n')}\n`,
);

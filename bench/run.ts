/**
 * Figures of the built executable beside the budgets of the design, in one run:
 *
 *   npm run bench            as root; about two minutes
 *
 * Each node lives in a network namespace of its own; everything is removed afterwards.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../test/harness/machine.ts';
import { createScenario, type ServerNode } from '../test/harness/node.ts';
import type { Figure } from './http2-client.ts';

const rows: { readonly what: string; readonly figure: string; readonly budget: string }[] = [];
const row = (what: string, figure: string, budget = ''): void => {
  rows.push({ what, figure, budget });
  process.stderr.write(`${what}: ${figure}\n`);
};

const statusField = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
const megabytes = (pid: number, name: string): string => `${(statusField(pid, name) / 1024).toFixed(0)} MB`;

/** CPU seconds that a process has used, all threads. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const writtenBytes = (pid: number): number => Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);

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

async function startToReady(node: ServerNode): Promise<{ api: number; ready: number }> {
  const began = performance.now();
  await node.start();
  const api = performance.now() - began;
  await node.nodeReady();
  return { api, ready: performance.now() - began };
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

await using scenario = await createScenario();
const node = await scenario.addServer('bench');
row('first start, unpacking included, to node Ready', seconds((await startToReady(node)).ready));
await node.stop('SIGTERM');
const warm = await startToReady(node);
row('warm start to API ready', seconds(warm.api));
row('warm start to node Ready', seconds(warm.ready), '1.5 s');
await node.stop('SIGTERM');
await node.forget();
row('cold start (no state) to node Ready', seconds((await startToReady(node)).ready), '3 s');

await sleep(20_000);
const pid = node.pid();
const containerd = containerdPid(node);
row('idle resident memory of k3ts', `${megabytes(pid, 'VmRSS')} (private ${megabytes(pid, 'RssAnon')})`, '150 MB');
if (containerd !== undefined) row('idle resident memory of containerd', megabytes(containerd, 'VmRSS'));
const window = 30;
const before = { cpu: cpuSeconds(pid), written: writtenBytes(pid) };
await sleep(window * 1000);
row('idle CPU of k3ts', `${(((cpuSeconds(pid) - before.cpu) / window) * 100).toFixed(2)} % of a core`, '1 %');
row('written to disk when idle', `${(((writtenBytes(pid) - before.written) * 86_400) / window / 1e6).toFixed(1)} MB a day`, '20 MB');

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

const width = Math.max(...rows.map((r) => r.what.length));
process.stdout.write(
  `${rows.map((r) => `${r.what.padEnd(width)}  ${r.figure.padEnd(44)}${r.budget === '' ? '' : `  budget ${r.budget}`}`.trimEnd()).join('\n')}\n`,
);

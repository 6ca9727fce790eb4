/**
 * The API of the built executable beside what bare Fastify can do, in one run, with few and with many objects stored:
 *
 *   npm run bench:api                       as root; about ten minutes
 *   npm run bench:api -- --objects 1000,20000 --seconds 2
 *
 * The server runs without a node, in a network namespace of its own; api-load.ts puts the load on it from there. Requests a
 * second depend on what else the machine does; CPU time of the server for one request hardly does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createScenario } from '../test/harness/node.ts';

const { values: flags } = parseArgs({
  options: {
    objects: { type: 'string', default: '1000,100000' },
    pods: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '4' },
  },
});

const load = (): string => (loadavg()[0] ?? 0).toFixed(1);

process.stdout.write(`load average before: ${load()}\n`);
await using scenario = await createScenario();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void scenario[Symbol.asyncDispose]().then(() => process.exit(1)));
const node = await scenario.addServer('api', ['--disable-agent']);
const [enter = '', ...enterArgs] = node.host.enter;

function program(file: string, ...args: string[]): ChildProcess {
  const words = [...enterArgs, process.execPath, join(import.meta.dirname, file), ...args];
  return spawn(enter, words, { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Runs a program that prints its own rows. */
async function measure(file: string, ...args: string[]): Promise<void> {
  const child = program(file, ...args);
  child.stdout?.pipe(process.stdout, { end: false });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${node.log().slice(-2000)}`);
}

const snapshots = join(node.folder, 'snapshots');
mkdirSync(snapshots);
process.env['NODE_OPTIONS'] = `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${snapshots}`;
await node.start();
delete process.env['NODE_OPTIONS'];
await measure('pod-memory.ts', node.kubeconfig, String(node.pid()), snapshots, flags.pods);
await node.stop('SIGTERM');
await node.forget();
await node.start();

const floor = program('floor.ts');
if (floor.stdout === null) throw new Error('the floor has no output');
const [port] = (await once(createInterface(floor.stdout), 'line')) as [string];
await measure('api-load.ts', node.kubeconfig, port, String(node.pid()), String(floor.pid), flags.objects, flags.seconds);
floor.stdin?.end();
process.stdout.write(`load average after: ${load()}\n`);

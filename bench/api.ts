/**
 * The API of the built executable beside what bare Fastify can do, in one run, with few and with many objects stored:
 *
 *   npm run bench:api                       as root; about ten minutes
 *   npm run bench:api -- --objects 1000,20000 --pods 5000
 *
 * The server runs without a node, in a network namespace of its own; api-load.ts puts the load on it from there. Requests a
 * second depend on what else the machine does; CPU time of the server for one request hardly does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createScenario } from '../test/harness/node.ts';

const { values: flags } = parseArgs({
  options: {
    objects: { type: 'string', default: '1000,100000' },
    pods: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '4' },
  },
});

const load = (): string => (loadavg()[0] ?? 0).toFixed(1);

process.stdout.write(`load average before: ${load()}\n`);
await using scenario = await createScenario();
const node = await scenario.addServer('api', ['--disable-agent']);
await node.start();
const [enter = '', ...enterArgs] = node.host.enter;
const program = (file: string, ...args: string[]): ChildProcess =>
  spawn(enter, [...enterArgs, process.execPath, join(import.meta.dirname, file), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });

const floor = program('floor.ts');
if (floor.stdout === null) throw new Error('the floor has no output');
const [port] = (await once(createInterface(floor.stdout), 'line')) as [string];
const pids = [String(node.pid()), String(floor.pid)];
const loader = program('api-load.ts', node.kubeconfig, port, ...pids, flags.objects, flags.pods, flags.seconds);
loader.stdout?.pipe(process.stdout, { end: false });
const [code] = (await once(loader, 'exit')) as [number | null];
floor.stdin?.end();
if (code !== 0) throw new Error(`api-load.ts ended with ${code}: ${node.log().slice(-2000)}`);
process.stdout.write(`load average after: ${load()}\n`);

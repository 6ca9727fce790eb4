/**
 * What it costs to install the definitions of a large platform in one go:
 *
 *   npm run bench:crds                     as root; some minutes
 *   npm run bench:crds -- --count 200
 *
 * The executable runs without a node, in a network namespace of its own; crds-load.ts installs the definitions from there, asking
 * for other things meanwhile. CPU and memory are the server's.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createScenario } from '../test/harness/node.ts';

const { values: flags } = parseArgs({ options: { count: { type: 'string', default: '1000' } } });
const load = (): string => (loadavg()[0] ?? 0).toFixed(1);

process.stdout.write(`load average before: ${load()}\n`);
await using scenario = await createScenario();
const node = await scenario.addServer('crds', ['--disable-agent']);
await node.start();
const [enter = '', ...enterArgs] = node.host.enter;
const script = join(import.meta.dirname, 'crds-load.ts');
const loader = spawn(enter, [...enterArgs, process.execPath, script, node.kubeconfig, String(node.pid()), flags.count], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
const [code] = (await once(loader, 'exit')) as [number | null];
if (code !== 0) throw new Error(`crds-load.ts ended with ${code}: ${node.log().slice(-2000)}`);
process.stdout.write(`load average after: ${load()}\n`);

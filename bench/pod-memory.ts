/**
 * Run by api.ts in the network of a server started with --heapsnapshot-signal=SIGUSR2: what a stored pod costs in the main
 * thread's memory, after a garbage collection (a heap snapshot makes one). Arguments: kubeconfig, process id of the server, folder
 * that snapshots are written to, number of pods.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, sessions } from './http2-client.ts';

const [kubeconfig = '', pid = '', folder = '', countText = ''] = process.argv.slice(2);
const count = Number(countText);
const connection = sessions(kubeconfig)();
const path = '/api/v1/namespaces/default/pods';

const env = Array.from({ length: 8 }, (_, i) => ({ name: `SETTING_${i}`, value: `value-${i}` }));
/** A pod as a Deployment makes it; no scheduler takes it, so it stays as created. */
const pod = (i: number): string =>
  JSON.stringify({
    metadata: { name: `pod-${i}`, labels: { app: `app-${i % 100}`, 'pod-template-hash': '5d59d67564' } },
    spec: {
      schedulerName: 'none',
      containers: [
        {
          name: 'main',
          image: `registry.example.test/team/app-${i % 100}:v1`,
          env,
          ports: [{ containerPort: 8080, name: 'http' }],
          resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '64Mi' } },
          readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
        },
      ],
    },
  });

async function fill(from: number, to: number): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (next < to) {
        const answer = await call(connection, 'POST', path, pod(next++));
        if (answer.status !== 201) throw new Error(`creating a pod: ${answer.status}`);
      }
    }),
  );
}

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[] } };
  readonly nodes: readonly number[];
}

/** Bytes of everything alive in the main thread, with the buffers that its objects hold. */
async function alive(): Promise<number> {
  process.kill(Number(pid), 'SIGUSR2');
  for (;;) {
    await sleep(2000);
    const [name] = readdirSync(folder);
    const text = name === undefined ? '' : readFileSync(join(folder, name), 'utf8').trimEnd();
    // Still being written.
    if (name === undefined || !text.endsWith('}')) continue;
    const { snapshot, nodes } = JSON.parse(text) as Snapshot;
    rmSync(join(folder, name));
    const fields = snapshot.meta.node_fields;
    let sum = 0;
    for (let i = fields.indexOf('self_size'); i < nodes.length; i += fields.length) sum += nodes[i] ?? 0;
    return sum;
  }
}

// The first ones bring what every later one shares: compiled code above all.
await fill(0, 2000);
await sleep(5000);
const before = await alive();
await fill(2000, 2000 + count);
await sleep(5000);
const grown = ((await alive()) - before) / count;
const bytes = (await call(connection, 'GET', `${path}?limit=500`)).bytes / 500;
process.stdout.write(
  `${count} pods of ${(bytes / 1000).toFixed(1)} kB: ${(grown / 1000).toFixed(1)} kB each in memory, ${((grown - bytes) / 1000).toFixed(1)} kB beyond its bytes (budget 8 kB)\n`,
);
process.exit(0);

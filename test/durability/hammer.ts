/**
 * Run in the server's network. Starts `k3ts server`, writes with many clients at once, kills it with SIGKILL at a random
 * moment, starts it again and checks that every acknowledged write is there and that revisions never went back; as often
 * as asked. Prints one line of JSON: {"rounds", "acknowledged", "lost": [...], "backwards": [...]}.
 */
import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';

const [executable = '', dataDir = '', kubeconfig = '', roundsText = '50', seedText = '1'] = process.argv.slice(2);
let seed = Number(seedText);
const random = (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};

interface Answer {
  readonly code: number;
  readonly body: {
    readonly metadata?: { readonly name?: string; readonly resourceVersion?: string };
    readonly data?: { readonly n?: string };
    readonly items?: readonly Answer['body'][];
  };
}

function client(): (method: string, path: string, body?: unknown) => Promise<Answer> {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as {
    users: { user: Record<string, string> }[];
    clusters: { cluster: Record<string, string> }[];
  };
  const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 32,
    cert: decode(config.users[0]?.user['client-certificate-data']),
    key: decode(config.users[0]?.user['client-key-data']),
    ca: decode(config.clusters[0]?.cluster['certificate-authority-data']),
  });
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const req = request(`https://127.0.0.1:6443${path}`, { method, agent, headers: { 'content-type': 'application/json' } }, (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (c: Buffer) => chunks.push(c));
        res.on('error', reject);
        res.on('end', () => {
          try {
            resolve({ code: res.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Answer['body'] });
          } catch (error) {
            reject(error);
          }
        });
      });
      req.on('error', reject);
      req.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

const path = '/api/v1/namespaces/default/configmaps';
/** Last acknowledged content and revision of each object; undefined once its deletion was acknowledged. */
const acknowledged = new Map<string, { n: number; revision: number } | undefined>();
/** Objects whose last request got no answer: either outcome is right. */
const unsure = new Map<string, number>();
const lost: string[] = [];
const backwards: string[] = [];
let highest = 0;
let count = 0;
const rounds = Number(roundsText);

async function writer(call: ReturnType<typeof client>, round: number, id: number, stopped: () => boolean): Promise<void> {
  for (let i = 0; !stopped(); i++) {
    const name = `w-${id}-${round}-${i % 7}`;
    const known = acknowledged.get(name);
    const n = i;
    const action = known === undefined ? 'POST' : random() < 0.15 ? 'DELETE' : 'PUT';
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { n: String(n) } };
    unsure.set(name, n);
    try {
      const answer = await call(action, action === 'POST' ? path : `${path}/${name}`, action === 'DELETE' ? undefined : object);
      if (answer.code >= 300) {
        lost.push(`${action} ${name}: ${answer.code} ${JSON.stringify(answer.body)}`);
        return;
      }
      count += 1;
      unsure.delete(name);
      const revision = Number(answer.body.metadata?.resourceVersion ?? 0);
      if (action === 'DELETE') acknowledged.set(name, undefined);
      else {
        if (known !== undefined && revision <= known.revision) backwards.push(`${name}: ${known.revision} then ${revision}`);
        acknowledged.set(name, { n, revision });
        highest = Math.max(highest, revision);
      }
    } catch {
      return;
    }
  }
}

async function check(call: ReturnType<typeof client>): Promise<void> {
  const { body } = await call('GET', path);
  const revision = Number(body.metadata?.resourceVersion);
  if (revision < highest) backwards.push(`list: ${highest} then ${revision}`);
  const stored = new Map((body.items ?? []).map((o) => [o.metadata?.name ?? '', o]));
  for (const [name, expected] of acknowledged) {
    const actual = stored.get(name);
    const attempted = unsure.get(name);
    const isExpected = expected === undefined ? actual === undefined : actual !== undefined && actual.data?.n === String(expected.n);
    const isAttempt = attempted !== undefined && (actual === undefined || actual.data?.n === String(attempted));
    if (!isExpected && !isAttempt) lost.push(`${name}: acknowledged ${JSON.stringify(expected)}, stored ${JSON.stringify(actual?.data)}`);
  }
  for (const name of unsure.keys()) {
    const actual = stored.get(name);
    if (actual === undefined) acknowledged.set(name, undefined);
    else acknowledged.set(name, { n: Number(actual.data?.n), revision: Number(actual.metadata?.resourceVersion) });
  }
  unsure.clear();
}

const log = openSync(`${dataDir}/../hammer.log`, 'a');
for (let round = 0; round <= rounds; round++) {
  const server = spawn(
    executable,
    ['server', '--disable-agent', '--data-dir', dataDir, '--write-kubeconfig', kubeconfig, '--node-name', 'n'],
    { stdio: ['ignore', log, log] },
  );
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  const deadline = Date.now() + 30_000;
  let call: ReturnType<typeof client> | undefined;
  while (call === undefined) {
    try {
      const candidate = client();
      if ((await candidate('GET', '/api/v1/namespaces/default')).code === 200) call = candidate;
    } catch {
      if (Date.now() > deadline || server.exitCode !== null)
        throw new Error(`round ${round}: the server does not answer (exit code ${server.exitCode})`);
    }
    if (call === undefined) await sleep(20);
  }
  await check(call);
  if (round < rounds) {
    let stop = false;
    const api = call;
    const writers = Array.from({ length: 16 }, (_, id) => writer(api, round, id, () => stop));
    // Some writes are acknowledged in each round; when exactly the end comes is left to chance.
    const enough = count + 20 + random() * 60;
    while (count < enough && server.exitCode === null) await sleep(1);
    await sleep(random() * 30);
    server.kill('SIGKILL');
    stop = true;
    await Promise.all(writers);
  } else server.kill('SIGTERM');
  await ended;
}
process.stdout.write(`${JSON.stringify({ rounds, acknowledged: count, lost, backwards })}\n`);
process.exit(0);

/**
 * The API server beside what bare Fastify can do, in one run:
 *
 *   node bench/api.ts [objects]
 *
 * Server and client are two processes. Requests a second depend on what else the machine does; CPU time of the server for
 * one request hardly does, so that is what is compared.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { call } from './http2-client.ts';

const objects = process.argv[2] ?? '1000';
const seconds = 3;
const parallel = 32;

interface Server {
  readonly child: ChildProcess;
  readonly sessions: readonly ClientHttp2Session[];
}

async function start(mode: string): Promise<Server> {
  const child = fork(new URL('./api-server.ts', import.meta.url), [mode, objects]);
  const [{ port, ca }] = (await once(child, 'message')) as [{ port: number; ca: string }];
  const sessions = Array.from({ length: 4 }, () => connect(`https://127.0.0.1:${port}`, { ca, rejectUnauthorized: mode !== 'bare' }));
  return { child, sessions };
}

async function usage(child: ChildProcess): Promise<{ readonly cpuMs: number; readonly rss: number }> {
  child.send('cpu');
  const [answer] = (await once(child, 'message')) as [{ cpu: NodeJS.CpuUsage; rss: number }];
  return { cpuMs: (answer.cpu.user + answer.cpu.system) / 1000, rss: answer.rss };
}

interface Request {
  readonly method: string;
  readonly path: (i: number) => string;
  readonly body?: (i: number) => string;
  readonly type?: string;
}

const maps = '/api/v1/namespaces/default/configmaps';
const run = Date.now().toString(36);
const requests: Readonly<Record<string, Request>> = {
  'GET 4 kB': { method: 'GET', path: (i) => `${maps}/m${i % 100}` },
  'LIST 1': { method: 'GET', path: () => `${maps}?limit=1` },
  'LIST 500': { method: 'GET', path: () => `${maps}?limit=500` },
  create: { method: 'POST', path: () => maps, body: (i) => JSON.stringify({ metadata: { name: `${run}-${i}` }, data: { a: 'b' } }) },
  'merge patch': {
    method: 'PATCH',
    path: (i) => `${maps}/m${i % 100}`,
    body: (i) => JSON.stringify({ data: { a: String(i) } }),
    type: 'application/merge-patch+json',
  },
  apply: {
    method: 'PATCH',
    path: (i) => `${maps}/a${i % 100}?fieldManager=bench&force=true`,
    body: (i) => JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: `a${i % 100}` }, data: { a: String(i) } }),
    type: 'application/apply-patch+yaml',
  },
};

async function measure(server: Server, what: string, request: Request): Promise<number> {
  const times: number[] = [];
  let next = 0;
  const before = await usage(server.child);
  const began = performance.now();
  const work = async (client: number): Promise<void> => {
    while (performance.now() - began < seconds * 1000) {
      const i = next++;
      const start = performance.now();
      const session = server.sessions[client % server.sessions.length] as ClientHttp2Session;
      const answer = await call(session, request.method, request.path(i), request.body?.(i), request.type);
      if (answer.status >= 300) throw new Error(`${what}: ${answer.status}`);
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: parallel }, (_, client) => work(client)));
  const elapsed = (performance.now() - began) / 1000;
  const after = await usage(server.child);
  times.sort((a, b) => a - b);
  const perRequest = ((after.cpuMs - before.cpuMs) / times.length) * 1000;
  const p99 = times[Math.floor(times.length * 0.99)] ?? 0;
  process.stdout.write(
    `${what.padEnd(28)} ${(times.length / elapsed).toFixed(0).padStart(8)}/s  p99 ${p99.toFixed(1).padStart(7)} ms  ${perRequest.toFixed(0).padStart(7)} µs CPU each\n`,
  );
  return perRequest;
}

const bare = await start('bare');
const ceiling = await measure(bare, 'bare Fastify, GET 4 kB', { method: 'GET', path: () => '/x' });
bare.child.disconnect();
const api = await start('api');
process.stdout.write(
  `API server over the memory store, ${objects} objects of 4 kB, ${((await usage(api.child)).rss / 1e6).toFixed(0)} MB resident\n`,
);
for (const [what, request] of Object.entries(requests)) {
  const cost = await measure(api, what, request);
  if (what.startsWith('GET')) process.stdout.write(`  = ${((100 * ceiling) / cost).toFixed(0)} % of the ceiling\n`);
}
for (const s of [...bare.sessions, ...api.sessions]) s.destroy();
api.child.disconnect();

/**
 * Run by api.ts in the server's network. Arguments: kubeconfig, port of the floor, process ids of server and floor, numbers of
 * stored objects to measure at, seconds for each operation. Prints a table.
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { call, type Figure, figureOf, sessions } from './http2-client.ts';
import { cpuSeconds, megabytes } from './process.ts';

const [kubeconfig = '', floorPort = '', serverPid = '', floorPid = '', sizes = '', secondsText = ''] = process.argv.slice(2);
const open = sessions(kubeconfig);
const server = Number(serverPid);

interface Row extends Figure {
  /** CPU time of the server, all threads, for one request. */
  readonly cpuMicros: number;
}

const print = (what: string, row: Row, note = ''): void => {
  const times = `p50 ${row.p50Ms.toFixed(1).padStart(7)} ms  p99 ${row.p99Ms.toFixed(1).padStart(7)} ms`;
  process.stdout.write(
    `  ${what.padEnd(44)}${row.perSecond.toFixed(row.perSecond < 10 ? 1 : 0).padStart(7)}/s  ${times}  ${row.cpuMicros.toFixed(0).padStart(8)} µs CPU each  ${megabytes(server, 'VmRSS').padStart(7)}  ${note}`.trimEnd() +
      '\n',
  );
};

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly type?: string;
  readonly accept?: string;
}

const send = async (on: ClientHttp2Session, r: Request): Promise<number> => {
  const answer = await call(on, r.method, r.path, r.body, r.type, r.accept);
  if (answer.status >= 300) throw new Error(`${r.method} ${r.path}: ${answer.status}`);
  return answer.bytes;
};

async function measure(clients: number, connection: () => ClientHttp2Session, pid: number, request: (i: number) => Request): Promise<Row> {
  const connections = Array.from({ length: Math.min(clients, 4) }, connection);
  const times: number[] = [];
  let next = 0;
  const cpuBefore = cpuSeconds(pid);
  const began = performance.now();
  const end = began + Number(secondsText) * 1000;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      while (performance.now() < end) {
        const start = performance.now();
        await send(connections[client % connections.length] as ClientHttp2Session, request(next++));
        times.push(performance.now() - start);
      }
    }),
  );
  const elapsed = performance.now() - began;
  const cpuMicros = ((cpuSeconds(pid) - cpuBefore) * 1e6) / times.length;
  for (const c of connections) c.close();
  return { ...figureOf(times, elapsed), cpuMicros };
}

const maps = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;
const configMap = (name: string, bytes = 3500): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { app: 'bench' } }, data: { text: 'x'.repeat(bytes) } });

const setup = open();

/** Creates `count` objects, 64 at a time. */
async function fill(count: number, request: (i: number) => Request): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      while (next < count) await send(setup, request(next++));
    }),
  );
}

const fillNamespace = async (name: string, count: number): Promise<void> => {
  await send(setup, { method: 'POST', path: '/api/v1/namespaces', body: JSON.stringify({ metadata: { name } }) });
  await fill(count, (i) => ({ method: 'POST', path: maps(name), body: configMap(`m-${i}`) }));
};

const formats: Readonly<Record<string, string>> = {
  JSON: 'application/json',
  Table: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  protobuf: 'application/vnd.kubernetes.protobuf',
};

/** Every operation once; the same objects are read and written whatever else is stored. */
async function operations(stored: number): Promise<ReadonlyMap<string, Row>> {
  const rows = new Map<string, Row>();
  const one = async (what: string, clients: number, request: (i: number) => Request): Promise<void> => {
    const row = await measure(clients, open, server, request);
    rows.set(what, row);
    const note = what.startsWith('GET')
      ? `= ${((100 * ceiling.cpuMicros) / row.cpuMicros).toFixed(0)} % of the ceiling by CPU, ${((100 * row.perSecond) / ceiling.perSecond).toFixed(0)} % by requests`
      : '';
    print(what, row, note);
  };
  await one('GET 4 kB, 32 clients', 32, (i) => ({ method: 'GET', path: `${maps('some')}/m-${i % 500}` }));
  for (const [format, accept] of Object.entries(formats)) {
    await one(`LIST 1, ${format}, 8 clients`, 8, () => ({ method: 'GET', path: maps('few'), accept }));
    await one(`LIST 500, ${format}, 4 clients`, 4, () => ({ method: 'GET', path: maps('some'), accept }));
    if (stored > 10_000) await one(`LIST 10,000, ${format}, 1 client`, 1, () => ({ method: 'GET', path: maps('filler-1'), accept }));
  }
  await one('create 4 kB, 32 clients', 32, (i) => ({ method: 'POST', path: maps('made'), body: configMap(`m-${stored}-${i}`) }));
  await one('merge patch 4 kB, 32 clients', 32, (i) => ({
    method: 'PATCH',
    path: `${maps('some')}/m-${i % 500}`,
    body: JSON.stringify({ data: { n: String(i) } }),
    type: 'application/merge-patch+json',
  }));
  await one('server-side apply, 32 clients', 32, (i) => ({
    method: 'PATCH',
    path: `${maps('applied')}/o-${i % 100}?fieldManager=bench&force=true`,
    body: JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: `o-${i % 100}` }, data: { n: String(i) } }),
    type: 'application/apply-patch+yaml',
  }));
  for (const watchers of [1, 100, 1000]) {
    const row = await fanOut(watchers, 3500, watchers === 1000 ? 30 : 200);
    rows.set(`watch ${watchers}`, row);
    print(`4 kB change to the last of ${watchers} watchers`, row);
  }
  return rows;
}

/** Time from sending a change until the slowest of the watchers has its event. */
async function fanOut(watchers: number, bytes: number, rounds: number): Promise<Row> {
  const connections = Array.from({ length: Math.ceil(watchers / 80) }, open);
  const writer = open();
  const path = `${maps('watched')}?watch=true`;
  let seen = 0;
  let wake = (): void => undefined;
  const streams = Array.from({ length: watchers }, (_, i) => {
    const stream = (connections[i % connections.length] as ClientHttp2Session).request({ ':path': path });
    stream.on('data', (chunk: Buffer) => {
      // An event ends with a newline, and JSON holds no other.
      if (chunk.at(-1) === 10 || chunk.includes(10)) seen++;
      if (seen >= watchers) wake();
    });
    return stream;
  });
  await Promise.all(streams.map((s) => new Promise<void>((resolve) => s.once('response', () => resolve()))));
  const times: number[] = [];
  const cpuBefore = cpuSeconds(server);
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    seen = 0;
    const start = performance.now();
    const all = new Promise<void>((resolve) => {
      wake = resolve;
    });
    await send(writer, {
      method: 'POST',
      path: maps('watched'),
      body: JSON.stringify({ metadata: { generateName: 'seen-' }, data: { text: 'x'.repeat(bytes) } }),
    });
    await all;
    times.push(performance.now() - start);
  }
  const row = { ...figureOf(times, performance.now() - began), cpuMicros: ((cpuSeconds(server) - cpuBefore) * 1e6) / rounds };
  for (const s of streams) s.close();
  for (const s of [...connections, writer]) s.destroy();
  await send(setup, { method: 'DELETE', path: maps('watched') });
  return row;
}

const floorConnection = (): ClientHttp2Session => connect(`https://127.0.0.1:${floorPort}`, { rejectUnauthorized: false });
const ceiling = await measure(32, floorConnection, Number(floorPid), () => ({ method: 'GET', path: '/x' }));
print('bare Fastify, GET 4 kB, 32 clients', ceiling);
await fillNamespace('few', 1);
await fillNamespace('some', 500);
for (const name of ['made', 'applied', 'watched']) await fillNamespace(name, 0);
let filled = 0;
let namespaces = 0;
let first: ReadonlyMap<string, Row> | undefined;
for (const size of sizes.split(',').map(Number)) {
  while (filled < size) {
    const count = Math.min(10_000, size - filled);
    await fillNamespace(`filler-${namespaces++}`, count);
    filled += count;
  }
  process.stdout.write(`${size} objects of 4 kB stored, ${megabytes(server, 'VmRSS')} resident\n`);
  const rows = await operations(size);
  if (first === undefined) first = rows;
  else {
    const worse = [...rows].flatMap(([what, row]) => {
      const then = first?.get(what);
      return then === undefined ? [] : [`${what} ${(row.p99Ms / then.p99Ms).toFixed(2)}`];
    });
    process.stdout.write(`p99 at ${size} objects as a multiple of that at ${sizes.split(',')[0]}: ${worse.join('; ')}\n`);
  }
}
const big = await fanOut(1000, 1_000_000, 3);
print('1 MB change to the last of 1000 watchers', big, `${(1000 / (big.p50Ms / 1000)).toFixed(0)} MB/s`);
process.stdout.write(`${megabytes(server, 'VmRSS')} resident after it\n`);
process.exit(0);

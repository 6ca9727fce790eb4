/**
 * Figures of the store layer beside what better-sqlite3 does bare, in one run:
 *
 *   node --expose-gc bench/store.ts [objects]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { realClock } from '#platform/clock.ts';
import { createLogger } from '#platform/log.ts';
import type { CachedEntry, WatchCache } from '#store/contract.ts';
import { Engine } from '#store/drivers/sqlite/engine.ts';
import { createSqliteStore } from '#store/drivers/sqlite/sqlite-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';

const objects = Number(process.argv[2] ?? 100_000);
const seconds = 2;
const directory = mkdtempSync(join(tmpdir(), 'k3ts-bench-store-'));
const deps = { clock: realClock, log: createLogger({ debug: false }) };
const value = Buffer.from(JSON.stringify({ kind: 'Pod', metadata: { name: 'x' }, data: 'x'.repeat(2000) }));
let files = 0;

function line(what: string, figure: string): void {
  process.stdout.write(`${what.padEnd(58)} ${figure}\n`);
}

function quantile(sorted: readonly number[], share: number): string {
  return `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(3)} ms`;
}

function path(): string {
  return join(directory, `${files++}.db`);
}

async function openCache(file: string): Promise<{ readonly cache: WatchCache; readonly close: () => Promise<void> }> {
  const entry = new URL('../src/store/drivers/sqlite/worker-main.ts', import.meta.url);
  const store = await createSqliteStore({ file, startWorker: (workerData) => new Worker(entry, { workerData }) }, deps);
  const cache = await createWatchCache(store, {}, deps);
  const close = async (): Promise<void> => {
    const { commits, committedWrites, commitSecondsSum, databaseBytes, walBytes } = store.stats();
    if (commits > 0) {
      line(
        '    commits, writes per commit, seconds per commit, file, log',
        `${commits}, ${(committedWrites / commits).toFixed(1)}, ${((1000 * commitSecondsSum) / commits).toFixed(2)} ms, ${(databaseBytes / 1e6).toFixed(0)} MB, ${(walBytes / 1e6).toFixed(0)} MB`,
      );
    }
    await cache.close();
    await store.close();
  };
  return { cache, close };
}

/** What the disk and SQLite allow: the same two rows per write, so many writes per transaction, nothing else. */
function floor(perCommit: number): number {
  const db = new Database(path());
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec(
    'CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT, value BLOB); CREATE TABLE current (key TEXT PRIMARY KEY, revision INTEGER) WITHOUT ROWID',
  );
  const insert = db.prepare('INSERT INTO log VALUES (?, ?, ?)');
  const point = db.prepare('INSERT OR REPLACE INTO current VALUES (?, ?)');
  let revision = 0;
  const batch = db.transaction(() => {
    for (let i = 0; i < perCommit; i++) {
      const key = `/registry/core/pods/default/p${revision}`;
      insert.run(++revision, key, value);
      point.run(key, revision);
    }
  });
  const began = performance.now();
  while (performance.now() - began < seconds * 1000) batch();
  const rate = revision / ((performance.now() - began) / 1000);
  db.close();
  return rate;
}

async function writes(clients: number, kind: 'create' | 'update'): Promise<void> {
  const { cache, close } = await openCache(path());
  const latencies: number[] = [];
  const began = performance.now();
  const client = async (id: number): Promise<void> => {
    const key = `/registry/core/pods/default/c${id}`;
    let entry = await cache.create(key, value);
    for (let turn = 0; performance.now() - began < seconds * 1000; turn++) {
      const start = performance.now();
      if (kind === 'create') await cache.create(`${key}-${turn}`, value);
      else entry = await cache.update(key, value, entry.revision);
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, id) => client(id)));
  const rate = latencies.length / ((performance.now() - began) / 1000);
  latencies.sort((a, b) => a - b);
  const bare = floor(clients);
  line(
    `${kind}, ${clients} concurrent clients`,
    `${rate.toFixed(0)}/s, p50 ${quantile(latencies, 0.5)}, p99 ${quantile(latencies, 0.99)}; bare loop, ${clients} per commit: ${bare.toFixed(0)}/s (${((100 * rate) / bare).toFixed(0)} %)`,
  );
  await close();
}

function rate(count: number, run: (i: number) => void): string {
  const began = performance.now();
  for (let i = 0; i < count; i++) run(i);
  const ms = performance.now() - began;
  return `${((count / ms) * 1000).toFixed(0)}/s, ${((1000 * ms) / count).toFixed(2)} µs`;
}

function memory(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function reads(count: number): Promise<void> {
  const file = path();
  const key = (i: number): string => `/registry/core/pods/ns${i % 100}/pod-${i}`;
  const filled = await openCache(file);
  for (let i = 0; i < count; i += 2000) {
    await Promise.all(Array.from({ length: Math.min(2000, count - i) }, (_, k) => filled.cache.create(key(i + k), value)));
  }
  await filled.close();
  const before = memory();
  const began = performance.now();
  const { cache, close } = await openCache(file);
  line(`${count} objects: load at start`, `${(performance.now() - began).toFixed(0)} ms`);
  const perObject = (memory() - before) / count;
  line(
    `${count} objects: memory per object beyond its ${value.byteLength} bytes`,
    `${(perObject - value.byteLength).toFixed(0)} bytes (with a full ring)`,
  );
  let sink = 0;
  const use = (entry: CachedEntry | undefined): void => {
    sink += entry?.revision ?? 0;
  };
  line(
    `${count} objects: get`,
    rate(500_000, (i) => use(cache.get(key((i * 7919) % count)))),
  );
  line(
    `${count} objects: list of a page of 500`,
    rate(2000, (i) => use(cache.list('/registry/core/pods/', { limit: 500, after: key(i % count) }).entries[0])),
  );
  line(
    `${count} objects: list of a namespace`,
    rate(200, (i) => use(cache.list(`/registry/core/pods/ns${i % 100}/`).entries[0])),
  );
  line(
    `${count} objects: count of a namespace`,
    rate(20_000, (i) => (sink += cache.count(`/registry/core/pods/ns${i % 100}/`))),
  );
  const old = cache.revision();
  const entry = cache.get(key(5));
  if (entry !== undefined) await cache.update(entry.key, value, entry.revision);
  line(
    `${count} objects: page of 500 at an older revision`,
    rate(2000, (i) => use(cache.list('/registry/core/pods/', { limit: 500, after: key(i % count), atRevision: old }).entries[0])),
  );
  const latencies: number[] = [];
  for (let i = 0; i < 500; i++) {
    const start = performance.now();
    await cache.create(`/registry/core/pods/ns5/new-${i}`, value);
    latencies.push(performance.now() - start);
  }
  latencies.sort((a, b) => a - b);
  line(`${count} objects: create, one after another`, `p50 ${quantile(latencies, 0.5)}, p99 ${quantile(latencies, 0.99)}`);
  await close();
  if (sink < 0) throw new Error('not reached');
}

async function fanOut(watchers: number, bytes: number, events: number): Promise<void> {
  const { cache, close } = await openCache(path());
  const big = Buffer.alloc(bytes, 'x');
  let entry = await cache.create('/registry/core/configmaps/default/a', big);
  // Watchers of other things: they must cost nothing.
  const others = Array.from({ length: 5000 }, (_, i) => cache.watch(`/registry/core/secrets/ns${i}/`, cache.revision()));
  let seen = 0;
  const follow = async (): Promise<void> => {
    let own = 0;
    for await (const batch of cache.watch('/registry/core/configmaps/', cache.revision())) {
      own += batch.length;
      seen += batch.length;
      if (own >= events) return;
    }
  };
  const all = Array.from({ length: watchers }, follow);
  const began = performance.now();
  for (let i = 0; i < events; i++) entry = await cache.update(entry.key, big, entry.revision);
  await Promise.all(all);
  const ms = performance.now() - began;
  line(
    `${events} events of ${bytes} bytes to ${watchers} of ${watchers + 5000} watchers`,
    `${(seen / ms / 1000).toFixed(2)} million deliveries/s, ${(ms / events).toFixed(2)} ms per event`,
  );
  for (const other of others) other.close();
  await close();
}

/** One idle node's day on a clock that runs ahead: a lease renewal every 10 s, a node status every 5 min. */
function idleDay(): void {
  let nowMs = 0;
  const engine = new Engine({ file: path() }, () => nowMs);
  const written = (): number => Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
  const revisions = new Map<string, number>();
  const write = (key: string, size: number, lazy: boolean): void => {
    const expected = revisions.get(key) ?? 0;
    const request = { op: expected === 0 ? ('create' as const) : ('update' as const), key, value: new Uint8Array(size), expected, lazy };
    for (const result of engine.write([request]).results) if (result.ok) revisions.set(key, result.revision);
  };
  const before = written();
  for (let s = 0; s < 86_400; s++) {
    nowMs += 1000;
    if (s % 10 === 0) write('/registry/coordination.k8s.io/leases/kube-node-lease/node-1', 500, true);
    if (s % 300 === 0) write('/registry/core/nodes/node-1', 6000, false);
    if (nowMs >= engine.flushAt) engine.flush();
    engine.checkpoint(true);
  }
  line('one idle node, a day: written to the file and its log', `${((written() - before) / 1e6).toFixed(1)} MB`);
  engine.close();
}

try {
  idleDay();
  for (const clients of [1, 32, 256]) await writes(clients, 'create');
  for (const clients of [1, 32, 256]) await writes(clients, 'update');
  await reads(1000);
  await reads(objects);
  await fanOut(1, 2000, 2000);
  await fanOut(1000, 2000, 500);
  await fanOut(1000, 1_000_000, 50);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

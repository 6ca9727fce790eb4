import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { storeConformance } from '#store/conformance.ts';
import type { CacheEvent, StoreError } from '#store/contract.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import { crashCopy, openStore, startWorker, temporaryDirectory } from './fixture.ts';
import type { StoreWorkerData } from './protocol.ts';
import { createSqliteStore } from './sqlite-store.ts';

const directory = temporaryDirectory();
let files = 0;
afterAll(() => directory[Symbol.dispose]());

storeConformance('sqlite', () => openStore(join(directory.path, `${files++}.db`)));

const path = (): string => join(directory.path, `${files++}.db`);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : new TextDecoder().decode(value));

describe('sqlite store thread', () => {
  test('writes that arrive together share a commit', async () => {
    const store = await openStore(path());
    await Promise.all(Array.from({ length: 1000 }, (_, i) => store.create(`/a/${i}`, bytes(`${i}`))));
    const stats = store.stats();
    expect(stats.committedWrites).toBe(1000);
    expect(stats.commits).toBeLessThan(20);
    expect([stats.pendingWrites, stats.pendingBytes]).toEqual([0, 0]);
    expect(stats.databaseBytes + stats.walBytes).toBeGreaterThan(0);
    await store.close();
  });

  test('a store closed and opened again has everything, lazy writes too', async () => {
    const file = path();
    const store = await openStore(file);
    await store.create('/a/1', bytes('lazy'), { durability: 'lazy' });
    await store.close();
    const again = await openStore(file);
    expect(text((await again.get('/a/1'))?.value)).toBe('lazy');
    await again.close();
  });

  test('lazy writes are flushed without any other write', async () => {
    const file = path();
    const store = await openStore(file, { lazyMs: 1 });
    await store.create('/a/1', bytes('lazy'), { durability: 'lazy' });
    await expect.poll(() => store.stats().unflushedWrites).toBe(0);
    const copy = await openStore(crashCopy(file, path()));
    expect(text((await copy.get('/a/1'))?.value)).toBe('lazy');
    await Promise.all([store.close(), copy.close()]);
  });

  test('a snapshot taken while writes go on is whole and opens as a store', async () => {
    const file = path();
    const target = path();
    const store = await openStore(file);
    await Promise.all(Array.from({ length: 500 }, (_, i) => store.create(`/before/${i}`, new Uint8Array(4000))));
    const snapshot = store.snapshot(target);
    await Promise.all(Array.from({ length: 500 }, (_, i) => store.create(`/during/${i}`, new Uint8Array(4000))));
    await snapshot;
    const copy = await openStore(target);
    expect((await copy.list('/before/')).entries).toHaveLength(500);
    expect(await copy.check()).toEqual([]);
    expect(statSync(target).mode & 0o777).toBe(0o600);
    await Promise.all([store.close(), copy.close()]);
    await expect(store.snapshot(target)).rejects.toMatchObject({ code: 'closed' });
  });

  test('a snapshot into a missing directory fails with the reason and leaves nothing', async () => {
    const store = await openStore(path());
    const target = join(directory.path, 'missing', 'x.db');
    await expect(store.snapshot(target)).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('missing') });
    await store.close();
  });

  test('a file that cannot be opened is named with the reason', async () => {
    const file = path();
    writeFileSync(file, 'something else entirely '.repeat(1000));
    await expect(openStore(file)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining(file) });
  });

  test('a full disk fails writes with full while reads go on, and is logged once', async () => {
    const log = memoryLogger();
    const store = await createSqliteStore({ file: path(), maxPages: 60, startWorker }, { clock: fakeClock(), log });
    const settled = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => store.create(`/a/${i}`, new Uint8Array(1000))).concat(
        store.create('/big', new Uint8Array(900_000)),
      ),
    );
    expect(settled.map((s) => (s.status === 'rejected' ? (s.reason as StoreError).code : 'stored'))).toContain('full');
    const entry = await store.create('/small', bytes('fits'));
    expect(text((await store.get('/small'))?.value)).toBe('fits');
    expect(store.stats().failedCommits).toBe(1);
    const grow = (): Promise<unknown> => store.update('/small', new Uint8Array(900_000), entry.revision);
    await expect(grow()).rejects.toMatchObject({ code: 'full' });
    await expect(grow()).rejects.toMatchObject({ code: 'full' });
    expect(log.lines.map((l) => l.replace(/ \{.*/, ''))).toEqual([
      'error the store cannot write, reading goes on',
      'info the store can write again',
      'error the store cannot write, reading goes on',
    ]);
    await store.close();
  });

  test('more writes than may wait are refused with busy', async () => {
    const store = await openStore(path());
    const value = bytes('x');
    const settled = await Promise.allSettled(Array.from({ length: 20_100 }, (_, i) => store.create(`/a/${i}`, value)));
    const codes = settled.map((s) => (s.status === 'rejected' ? (s.reason as StoreError).code : 'stored'));
    expect(codes.filter((c) => c === 'busy')).toHaveLength(100);
    expect(codes.filter((c) => c === 'stored')).toHaveLength(20_000);
    await store.close();
  });

  test('watches resume over a restart with what happened before it', async () => {
    const file = path();
    const deps = { clock: fakeClock(), log: memoryLogger() };
    const store = await openStore(file);
    const one = await store.create('/a/1', bytes('1'));
    const two = await store.update('/a/1', bytes('2'), one.revision);
    await store.delete('/a/1', two.revision);
    await store.create('/a/2', bytes('3'));
    await store.close();
    const again = await openStore(file);
    const cache = await createWatchCache(again, {}, deps);
    const first = await cache.watch('/a/', one.revision)[Symbol.asyncIterator]().next();
    const events: readonly CacheEvent[] = first.done === true ? [] : first.value;
    expect(events.map((e) => `${e.type} ${text(e.entry.value)} was ${text(e.previous?.value)}`)).toEqual([
      'put 2 was 1',
      'delete 2 was 2',
      'put 3 was undefined',
    ]);
    expect(events.at(-1)?.entry).toBe(cache.get('/a/2'));
    expect(cache.list('', { atRevision: one.revision }).entries.map((e) => text(e.value))).toEqual(['1']);
    await cache.close();
    await again.close();
  });

  test('when the thread dies, waiting writes fail, watchers start anew, and writing goes on', async () => {
    const workers: Worker[] = [];
    const clock = fakeClock();
    const log = memoryLogger();
    const options = {
      file: path(),
      startWorker: (data: StoreWorkerData) => {
        const worker = startWorker(data);
        workers.push(worker);
        return worker;
      },
    };
    const store = await createSqliteStore(options, { clock, log });
    const cache = await createWatchCache(store, {}, { clock, log });
    const kept = await cache.create('/kept', bytes('1'));
    const lazy = await cache.create('/lazy', bytes('1'), { durability: 'lazy' });
    const watch = cache.watch('', cache.revision());
    const told = watch[Symbol.asyncIterator]()
      .next()
      .catch((error: unknown) => error);
    const waiting = cache.create('/waiting', bytes('1'));
    await Promise.all([workers[0]?.terminate(), expect(waiting).rejects.toMatchObject({ code: 'io' })]);
    await expect(cache.create('/down', bytes('1'))).rejects.toMatchObject({ code: 'io' });
    expect(cache.get('/kept')?.revision).toBe(kept.revision);
    await expect
      .poll(async () => {
        await clock.advance(500);
        return cache.stats().reloads;
      })
      .toBe(1);
    expect(await told).toMatchObject({ code: 'compacted' });
    expect(cache.revision()).toBeGreaterThanOrEqual(lazy.revision);
    expect(cache.get('/kept')?.revision).toBe(kept.revision);
    const next = await cache.update('/kept', bytes('2'), kept.revision);
    expect(next.revision).toBeGreaterThan(lazy.revision);
    await cache.close();
    await store.close();
  });
});

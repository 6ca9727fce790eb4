import { describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { CacheEvent, CacheWatch } from './contract.ts';
import { createMemoryStore } from './drivers/memory/memory-store.ts';
import type { WatchCacheOptions } from './watch-cache.ts';
import { createWatchCache } from './watch-cache.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : new TextDecoder().decode(value));
const deps = () => ({ clock: fakeClock(), log: memoryLogger() });

async function open(options: WatchCacheOptions = {}, store = createMemoryStore()) {
  return { store, cache: await createWatchCache(store, options, deps()) };
}

async function take(watch: CacheWatch, count: number): Promise<CacheEvent[]> {
  const found: CacheEvent[] = [];
  for await (const batch of watch) {
    found.push(...batch);
    if (found.length >= count) break;
  }
  return found;
}

const brief = (events: readonly CacheEvent[]) =>
  events.map((e) => `${e.type} ${e.entry.key} ${text(e.entry.value)}${e.previous === undefined ? '' : ` was ${text(e.previous.value)}`}`);

describe('reading and writing', () => {
  test('a write is visible before its promise resolves', async () => {
    const { cache } = await open();
    const entry = await cache.create('/a/1', bytes('x'));
    expect(cache.get('/a/1')).toBe(entry);
    expect(cache.revision()).toBe(entry.revision);
    const next = await cache.update('/a/1', bytes('y'), entry.revision);
    expect(text(cache.get('/a/1')?.value)).toBe('y');
    await cache.delete('/a/1', next.revision);
    expect(cache.get('/a/1')).toBeUndefined();
  });

  test('concurrent writes resolve with what they wrote', async () => {
    const { cache } = await open();
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => cache.create(`/a/${i}`, bytes(`${i}`))));
    expect(all.map((e) => text(e.value))).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
    expect(cache.count('/a/')).toBe(100);
  });

  test('entries hold the served form, made once', async () => {
    let made = 0;
    const present = (value: Uint8Array, revision: number): Uint8Array => {
      made++;
      return bytes(`{"rv":"${revision}","v":${text(value)}}`);
    };
    const { cache, store } = await open({ present });
    await cache.create('/a/1', bytes('1'));
    expect(text(cache.get('/a/1')?.value)).toBe('{"rv":"2","v":1}');
    expect(made).toBe(1);
    await expect(cache.update('/a/1', bytes('2'), 77)).rejects.toMatchObject({ code: 'conflict', current: cache.get('/a/1') });
    expect(text((await store.get('/a/1'))?.value)).toBe('1');
  });

  test('a value that cannot be presented is served as stored and stops nothing', async () => {
    const present = (value: Uint8Array): Uint8Array => {
      if (text(value) === 'bad') throw new Error('cannot decrypt');
      return value;
    };
    const { cache } = await open({ present });
    await Promise.all([cache.create('/a/1', bytes('bad')), cache.create('/a/2', bytes('good'))]);
    expect(cache.list('').entries.map((e) => text(e.value))).toEqual(['bad', 'good']);
  });

  test('readers share one frozen object per entry', async () => {
    const { cache } = await open();
    const entry = await cache.create('/a/1', bytes('{"a":{"b":[1]}}'));
    const object = cache.get('/a/1')?.object() as { a: { b: number[] } };
    expect(object).toEqual({ a: { b: [1] } });
    expect(Object.isFrozen(object.a.b)).toBe(true);
    expect((entry as { object?: () => unknown }).object?.()).toBe(object);
  });

  test('counts by prefix', async () => {
    const { cache } = await open();
    await Promise.all(['/a/1', '/a/2', '/ab/1', '/b/1'].map((key) => cache.create(key, bytes('x'))));
    expect([cache.count('/a/'), cache.count('/a'), cache.count('/c/'), cache.count('')]).toEqual([2, 3, 0, 4]);
  });

  test('starts with what the store holds, and can resume watches from its history', async () => {
    const store = createMemoryStore();
    const one = await store.create('/a/1', bytes('1'));
    await store.update('/a/1', bytes('2'), one.revision);
    const two = await store.create('/a/2', bytes('x'));
    await store.delete('/a/2', two.revision);
    const { cache } = await open({}, store);
    expect(cache.list('').entries.map((e) => text(e.value))).toEqual(['2']);
    expect(brief(await take(cache.watch('', one.revision), 3))).toEqual(['put /a/1 2 was 1', 'put /a/2 x', 'delete /a/2 x was x']);
    expect(cache.list('', { atRevision: two.revision }).entries.map((e) => e.key)).toEqual(['/a/1', '/a/2']);
  });
});

describe('lists', () => {
  test('pages stay consistent while objects come and go', async () => {
    const { cache } = await open();
    for (const n of [1, 2, 3, 4, 5]) await cache.create(`/a/${n}`, bytes(`${n}`));
    const first = cache.list('/a/', { limit: 2 });
    expect([first.entries.map((e) => e.key), first.remaining]).toEqual([['/a/1', '/a/2'], 3]);
    await cache.delete('/a/4', cache.get('/a/4')?.revision ?? 0);
    await cache.create('/a/35', bytes('new'));
    await cache.update('/a/5', bytes('changed'), cache.get('/a/5')?.revision ?? 0);
    const second = cache.list('/a/', { limit: 2, after: '/a/2', atRevision: first.revision });
    expect([second.entries.map((e) => e.key), second.remaining]).toEqual([['/a/3', '/a/4'], 1]);
    const third = cache.list('/a/', { limit: 2, after: '/a/4', atRevision: first.revision });
    expect([third.entries.map((e) => text(e.value)), third.remaining]).toEqual([['5'], 0]);
  });

  test('a revision that the ring no longer holds is compacted, one not reached is future', async () => {
    const { cache } = await open({ ringEvents: 2 });
    for (const n of [1, 2, 3, 4]) await cache.create(`/a/${n}`, bytes('x'));
    expect(cache.oldest()).toBe(cache.revision() - 2);
    expect(() => cache.list('', { atRevision: 2 })).toThrow(expect.objectContaining({ code: 'compacted' }));
    expect(() => cache.list('', { atRevision: 99 })).toThrow(expect.objectContaining({ code: 'future' }));
    expect(() => cache.watch('', 2)).toThrow(expect.objectContaining({ code: 'compacted' }));
  });

  test('the ring gives up old events when superseded values take too many bytes', async () => {
    const { cache } = await open({ ringBytes: 5000 });
    let entry = await cache.create('/a/1', new Uint8Array(1000));
    for (let i = 0; i < 20; i++) entry = await cache.update('/a/1', new Uint8Array(1000), entry.revision);
    expect(cache.stats().ringBytes).toBeLessThanOrEqual(5000);
    expect(cache.stats().ringEvents).toBe(4);
  });
});

describe('watches', () => {
  test('a watch sees exactly the events of its prefix, in order', async () => {
    const { cache } = await open();
    const watches = ['/a/', '/a/x/', '/a/x/1', '', '/b/', '/a/x/12'].map((prefix) => ({
      prefix,
      watch: cache.watch(prefix, cache.revision()),
    }));
    await Promise.all(['/a/x/1', '/a/y/1', '/a/x/12', '/c/1'].map((key) => cache.create(key, bytes('v'))));
    for (const { prefix, watch } of watches) {
      const expected = ['/a/x/1', '/a/y/1', '/a/x/12', '/c/1'].filter((key) => key.startsWith(prefix));
      const seen = expected.length === 0 ? [] : (await take(watch, expected.length)).map((e) => e.entry.key);
      expect(seen).toEqual(expected);
    }
    for (const { watch } of watches) watch.close();
    expect(cache.stats().watchers).toBe(0);
  });

  test('resumes without loss or repetition', async () => {
    const { cache } = await open();
    for (let i = 0; i < 10; i++) await cache.create(`/a/${i}`, bytes('x'));
    const watch = cache.watch('/a/', 5);
    for (let i = 10; i < 20; i++) await cache.create(`/a/${i}`, bytes('x'));
    const events = await take(watch, 16);
    expect(events.map((e) => e.entry.revision)).toEqual(Array.from({ length: 16 }, (_, i) => i + 6));
  });

  test('a watcher that does not keep up is ended with compacted, others go on', async () => {
    const { cache } = await open({ watcherEvents: 3 });
    const slow = cache.watch('/a/', cache.revision());
    const other = cache.watch('/b/', cache.revision());
    for (let i = 0; i < 5; i++) await cache.create(`/a/${i}`, bytes('x'));
    await cache.create('/b/1', bytes('x'));
    await expect(take(slow, 1)).rejects.toMatchObject({ code: 'compacted' });
    expect(brief(await take(other, 1))).toEqual(['put /b/1 x']);
    expect(cache.stats().overflows).toBe(1);
  });

  test('progress passes by events of other prefixes, not those still waiting', async () => {
    const { cache } = await open();
    const watch = cache.watch('/a/', cache.revision());
    await cache.create('/b/1', bytes('x'));
    expect(watch.progress()).toBe(2);
    await cache.create('/a/1', bytes('x'));
    await cache.create('/b/2', bytes('x'));
    expect(watch.progress()).toBe(2);
    const iterator = watch[Symbol.asyncIterator]();
    await iterator.next();
    expect(watch.progress()).toBe(4);
    watch.close();
  });

  test('reached resolves with the revision, or fails with future on abort', async () => {
    const { cache } = await open();
    const reached = cache.reached(3, new AbortController().signal);
    await cache.create('/a/1', bytes('x'));
    await cache.create('/a/2', bytes('x'));
    await expect(reached).resolves.toBeUndefined();
    const stop = new AbortController();
    const never = cache.reached(99, stop.signal);
    stop.abort();
    await expect(never).rejects.toMatchObject({ code: 'future' });
  });

  test('closing ends watches quietly and refuses new ones', async () => {
    const { cache } = await open();
    const watch = cache.watch('', cache.revision());
    const seen = take(watch, 1);
    await cache.close();
    await expect(seen).resolves.toEqual([]);
    expect(() => cache.watch('', 1)).toThrow(expect.objectContaining({ code: 'closed' }));
  });
});

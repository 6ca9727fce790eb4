import { describe, expect, test } from 'vitest';
import type { Store, StoreEvent } from './contract.ts';
import { StoreError } from './contract.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : new TextDecoder().decode(value));

/** The events of a watch until `count` have come; throws what the watch throws. */
export async function collect(store: Store, prefix: string, from: number, count: number): Promise<StoreEvent[]> {
  const stop = new AbortController();
  const found: StoreEvent[] = [];
  if (count === 0) return found;
  for await (const batch of store.watch(prefix, from, stop.signal)) {
    found.push(...batch);
    if (found.length >= count) break;
  }
  return found;
}

/** One line for an event, for comparisons. */
export function describeEvent(event: StoreEvent): string {
  const { entry, previous } = event;
  const was = previous === undefined ? '' : ` was ${text(previous.value)}@${previous.revision}`;
  return `${event.type} ${entry.key}=${text(entry.value)}@${entry.revision}/${entry.createRevision}${was}`;
}

/**
 * What every store driver does. `open` gives an empty store; the caller closes and removes it.
 */
export function storeConformance(name: string, open: () => Promise<Store>): void {
  describe(`${name} store: writes`, () => {
    test('every write takes a greater revision; an entry keeps its create revision', async () => {
      const store = await open();
      const before = await store.revision();
      const created = await store.create('/a/1', bytes('x'));
      const updated = await store.update('/a/1', bytes('y'), created.revision);
      const other = await store.create('/a/2', bytes('z'));
      expect(before).toBeGreaterThan(0);
      expect(created.revision).toBeGreaterThan(before);
      expect(updated.revision).toBeGreaterThan(created.revision);
      expect(other.revision).toBeGreaterThan(updated.revision);
      expect(updated.createRevision).toBe(created.revision);
      expect(await store.revision()).toBe(other.revision);
      expect(text((await store.get('/a/1'))?.value)).toBe('y');
      await store.close();
    });

    test('a deletion takes a revision, gives the last value, and lets the key be created anew', async () => {
      const store = await open();
      const created = await store.create('/a/1', bytes('x'));
      const deleted = await store.delete('/a/1', created.revision);
      expect(text(deleted.value)).toBe('x');
      expect(deleted.revision).toBeGreaterThan(created.revision);
      expect(await store.get('/a/1')).toBeUndefined();
      const again = await store.create('/a/1', bytes('z'));
      expect(again.createRevision).toBe(again.revision);
      await store.close();
    });

    test('creating a present key fails with exists, other writes of an absent one with missing', async () => {
      const store = await open();
      const created = await store.create('/a/1', bytes('x'));
      await expect(store.create('/a/1', bytes('y'))).rejects.toMatchObject({ code: 'exists' });
      await expect(store.update('/a/2', bytes('y'), created.revision)).rejects.toMatchObject({ code: 'missing' });
      await expect(store.delete('/a/2', created.revision)).rejects.toMatchObject({ code: 'missing' });
      expect(await store.revision()).toBe(created.revision);
      await store.close();
    });

    test('a write that expects another revision fails with conflict and the current entry', async () => {
      const store = await open();
      const created = await store.create('/a/1', bytes('x'));
      const current = await store.update('/a/1', bytes('y'), created.revision);
      const stale = { code: 'conflict', current: { key: '/a/1', revision: current.revision } };
      await expect(store.update('/a/1', bytes('z'), created.revision)).rejects.toMatchObject(stale);
      const failure = await store.delete('/a/1', created.revision).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(StoreError);
      expect(failure).toMatchObject(stale);
      expect(text((failure as StoreError).current?.value)).toBe('y');
      await store.close();
    });

    test('of concurrent updates that expect the same revision exactly one succeeds', async () => {
      const store = await open();
      const created = await store.create('/a/1', bytes('x'));
      const settled = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => store.update('/a/1', bytes(`${i}`), created.revision)));
      expect(settled.filter((s) => s.status === 'fulfilled')).toHaveLength(1);
      await store.close();
    });

    test('lazy writes are visible at once and mix with others', async () => {
      const store = await open();
      const lazy = { durability: 'lazy' as const };
      const one = await store.create('/a/1', bytes('1'), lazy);
      const two = await store.update('/a/1', bytes('2'), one.revision, lazy);
      expect(text((await store.get('/a/1'))?.value)).toBe('2');
      await expect(store.update('/a/1', bytes('x'), one.revision)).rejects.toMatchObject({ code: 'conflict' });
      const three = await store.update('/a/1', bytes('3'), two.revision);
      expect(three.createRevision).toBe(one.revision);
      const gone = await store.delete('/a/1', three.revision, lazy);
      expect(await store.get('/a/1')).toBeUndefined();
      await expect(store.update('/a/1', bytes('x'), three.revision, lazy)).rejects.toMatchObject({ code: 'missing' });
      const again = await store.create('/a/1', bytes('4'), lazy);
      expect(again.revision).toBeGreaterThan(gone.revision);
      expect((await store.list('/a/')).entries.map((e) => text(e.value))).toEqual(['4']);
      await store.close();
    });

    test('values of any bytes and sizes come back as they were', async () => {
      const store = await open();
      const values = [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, i) => i), new Uint8Array(3_000_000).fill(7)];
      await Promise.all(values.map((value, i) => store.create(`/a/${i}`, value)));
      const read = await Promise.all(values.map((_, i) => store.get(`/a/${i}`)));
      expect(read.map((e) => Buffer.compare(e?.value ?? Buffer.from('absent'), values[read.indexOf(e)] ?? Buffer.alloc(0)))).toEqual([
        0, 0, 0,
      ]);
      await store.close();
    });
  });

  describe(`${name} store: lists`, () => {
    test('give the prefix in key order, page by page, with what remains', async () => {
      const store = await open();
      await Promise.all(['/a/3', '/a/1', '/b/1', '/a/2', '/ab'].map((key) => store.create(key, bytes(key))));
      const all = await store.list('/a/');
      expect([all.entries.map((e) => e.key), all.remaining]).toEqual([['/a/1', '/a/2', '/a/3'], 0]);
      const first = await store.list('/a/', { limit: 2 });
      expect([first.entries.map((e) => e.key), first.remaining]).toEqual([['/a/1', '/a/2'], 1]);
      const rest = await store.list('/a/', { limit: 2, after: '/a/2' });
      expect([rest.entries.map((e) => e.key), rest.remaining]).toEqual([['/a/3'], 0]);
      expect((await store.list('')).entries).toHaveLength(5);
      await store.close();
    });

    test('at an older revision show what was', async () => {
      const store = await open();
      const one = await store.create('/a/1', bytes('1'));
      const two = await store.create('/a/2', bytes('2'));
      await store.update('/a/1', bytes('changed'), one.revision);
      await store.delete('/a/2', two.revision);
      await store.create('/a/0', bytes('0'));
      const old = await store.list('/a/', { atRevision: two.revision, limit: 1 });
      expect([old.entries.map((e) => text(e.value)), old.remaining, old.revision]).toEqual([['1'], 1, two.revision]);
      const next = await store.list('/a/', { atRevision: two.revision, after: '/a/1' });
      expect(next.entries.map((e) => text(e.value))).toEqual(['2']);
      await store.close();
    });

    test('fail with compacted before the oldest revision and with future after the newest', async () => {
      const store = await open();
      const one = await store.create('/a/1', bytes('1'));
      const two = await store.update('/a/1', bytes('2'), one.revision);
      await store.compact(two.revision);
      await expect(store.list('', { atRevision: one.revision })).rejects.toMatchObject({ code: 'compacted' });
      await expect(store.list('', { atRevision: two.revision + 1 })).rejects.toMatchObject({ code: 'future' });
      expect((await store.list('', { atRevision: two.revision })).entries.map((e) => text(e.value))).toEqual(['2']);
      await store.close();
    });
  });

  describe(`${name} store: watches`, () => {
    test('tell past and coming events in order, with what they replaced, and mark the end of the past', async () => {
      const store = await open();
      const one = await store.create('/a/1', bytes('1'));
      const two = await store.update('/a/1', bytes('2'), one.revision);
      await store.create('/b/1', bytes('other'));
      const stop = new AbortController();
      const lines: string[] = [];
      let written: Promise<unknown> = Promise.resolve();
      for await (const batch of store.watch('/a/', one.revision, stop.signal)) {
        lines.push(...(batch.length === 0 ? ['now'] : batch.map((e) => `${e.type} ${text(e.entry.value)} was ${text(e.previous?.value)}`)));
        if (batch.length === 0) written = store.delete('/a/1', two.revision).then(() => store.create('/a/2', bytes('3')));
        if (lines.length >= 4) break;
      }
      await written;
      expect(lines).toEqual(['put 2 was 1', 'now', 'delete 2 was 2', 'put 3 was undefined']);
      await store.close();
    });

    test('miss nothing and repeat nothing while writes go on', async () => {
      const store = await open();
      const start = await store.revision();
      const writes = Array.from({ length: 200 }, (_, i) => store.create(`/a/${i}`, bytes(`${i}`)));
      await writes[20];
      const [early, late] = await Promise.all([collect(store, '/a/', start, 200), collect(store, '', start, 200), ...writes]);
      const revisions = early.map((e) => e.entry.revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
      expect(late.map(describeEvent)).toEqual(early.map(describeEvent));
      await store.close();
    });

    test('fail with compacted and future', async () => {
      const store = await open();
      const one = await store.create('/a/1', bytes('1'));
      const two = await store.update('/a/1', bytes('2'), one.revision);
      await store.update('/a/1', bytes('3'), two.revision);
      await store.compact(two.revision);
      expect((await store.history()).oldest).toBe(two.revision);
      await expect(collect(store, '', one.revision, 1)).rejects.toMatchObject({ code: 'compacted' });
      await expect(collect(store, '', 1e9, 1)).rejects.toMatchObject({ code: 'future' });
      expect((await collect(store, '', two.revision, 1)).map((e) => text(e.previous?.value))).toEqual(['2']);
      await store.close();
    });

    test('end quietly when aborted', async () => {
      const store = await open();
      const stop = new AbortController();
      const seen: number[] = [];
      for await (const batch of store.watch('', await store.revision(), stop.signal)) {
        seen.push(batch.length);
        stop.abort();
      }
      expect(seen).toEqual([0]);
      await store.close();
    });
  });

  describe(`${name} store: closing`, () => {
    test('commits what was asked for before, then refuses everything with closed', async () => {
      const store = await open();
      const watch = collect(store, '', await store.revision(), 100).catch((error: unknown) => error);
      const write = store.create('/a/1', bytes('x'));
      await store.close();
      await store.close();
      await expect(write).resolves.toMatchObject({ key: '/a/1' });
      expect(await watch).toMatchObject({ code: 'closed' });
      await expect(store.create('/a/2', bytes('x'))).rejects.toMatchObject({ code: 'closed' });
      await expect(store.get('/a/1')).rejects.toMatchObject({ code: 'closed' });
      await expect(store.list('')).rejects.toMatchObject({ code: 'closed' });
    });
  });
}

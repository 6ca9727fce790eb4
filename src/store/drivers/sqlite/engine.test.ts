import { closeSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Entry } from '#store/contract.ts';
import type { EngineOptions, WriteRequest, WriteResult } from './engine.ts';
import { Engine } from './engine.ts';
import { crashCopy, temporaryDirectory } from './fixture.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (entry: Entry | undefined): string | undefined => (entry === undefined ? undefined : new TextDecoder().decode(entry.value));
const put = (key: string, value: string, expected = 0, lazy = false): WriteRequest => ({
  op: expected === 0 ? 'create' : 'update',
  key,
  value: bytes(value),
  expected,
  lazy,
});

class Bench implements Disposable {
  readonly directory = temporaryDirectory();
  readonly file = join(this.directory.path, 'a.db');
  nowMs = 0;
  readonly #open: Engine[] = [];
  #latest = this.file;

  open(options: Partial<EngineOptions> = {}, file = this.file): Engine {
    const engine = new Engine({ ...options, file }, () => this.nowMs);
    this.#open.push(engine);
    return engine;
  }

  /** Opens the file that was opened last. */
  reopen(): Engine {
    return this.open({}, this.#latest);
  }

  crash(options: Partial<EngineOptions> = {}): Engine {
    this.#latest = crashCopy(this.#latest, join(this.directory.path, `${this.#open.length}.db`));
    return this.open(options, this.#latest);
  }

  [Symbol.dispose](): void {
    for (const engine of this.#open) engine.db.close();
    this.directory[Symbol.dispose]();
  }
}

function one(engine: Engine, request: WriteRequest): Extract<WriteResult, { ok: true }> {
  const [result] = engine.write([request]).results;
  if (result?.ok !== true) throw result?.error ?? new Error('no result');
  return result;
}

const rowsOf = (engine: Engine): number => engine.db.prepare<[], { n: number }>('SELECT count(*) AS n FROM log').get()?.n ?? 0;

describe('lazy writes', () => {
  test('reach the disk when they are due: new keys within seconds, rewrites within minutes', () => {
    using bench = new Bench();
    const engine = bench.open();
    const { revision } = one(engine, put('/a', '1', 0, true));
    expect(engine.flushAt).toBe(2000);
    engine.flush();
    expect(engine.flushAt).toBe(Number.POSITIVE_INFINITY);
    one(engine, put('/a', '2', revision, true));
    expect(engine.flushAt).toBe(180_000);
    engine.flush();
    expect(text(bench.crash().get('/a'))).toBe('2');
  });

  test('reach the disk with the next synchronous write', () => {
    using bench = new Bench();
    const engine = bench.open();
    one(engine, put('/a', 'lazy', 0, true));
    expect(engine.pendingRows).toBe(1);
    one(engine, put('/b', 'sync'));
    expect(engine.pendingRows).toBe(0);
    expect(text(bench.crash().get('/a'))).toBe('lazy');
  });

  test('lost in a crash, never give their revision to another write', () => {
    using bench = new Bench();
    const engine = bench.open();
    const kept = one(engine, put('/kept', '1'));
    const lost = one(engine, put('/lost', '1', 0, true));
    const after = bench.crash();
    expect(after.get('/lost')).toBeUndefined();
    expect(after.revision).toBeGreaterThan(lost.revision);
    expect(one(after, put('/new', '1')).revision).toBeGreaterThan(lost.revision);
    expect(() => after.events(lost.revision, after.revision, 10)).toThrow(expect.objectContaining({ code: 'compacted' }));
    expect(after.events(kept.revision, after.revision, 10).map((e) => e.entry.key)).toEqual(['/new']);
  });

  test('several rewrites of a key between two commits are one row on disk', () => {
    using bench = new Bench();
    const engine = bench.open();
    let { revision } = one(engine, put('/a', '0'));
    for (let i = 1; i <= 50; i++) revision = one(engine, put('/a', `${i}`, revision, true)).revision;
    expect(engine.pendingRows).toBe(1);
    const events = engine.events(1, engine.revision, 100);
    expect(events.map((e) => `${text(e.entry)} was ${text(e.previous)}`)).toEqual(['0 was undefined', '50 was 0']);
  });

  test('a key created and deleted between two commits is told as both', () => {
    using bench = new Bench();
    const engine = bench.open();
    const { revision } = one(engine, put('/a', '1', 0, true));
    one(engine, { op: 'delete', key: '/a', value: bytes(''), expected: revision, lazy: true });
    expect(engine.events(1, engine.revision, 100).map((e) => `${e.type} ${text(e.entry)}`)).toEqual(['put 1', 'delete 1']);
    expect(engine.list('', {}).entries).toEqual([]);
  });

  test('more lazy writes than revisions set aside are still never repeated after a crash', () => {
    using bench = new Bench();
    const engine = bench.open();
    let { revision } = one(engine, put('/a', '0', 0, true));
    for (let i = 0; i < 70_000; i++) revision = one(engine, put('/a', 'x', revision, true)).revision;
    expect(bench.crash().revision).toBeGreaterThanOrEqual(revision);
  });
});

describe('closing and opening', () => {
  test('after a clean end revisions go on without a gap', () => {
    using bench = new Bench();
    const engine = bench.open();
    one(engine, put('/a', '1', 0, true));
    engine.close();
    const again = bench.open();
    expect(again.revision).toBe(2);
    expect(again.history().lost).toEqual([]);
    expect(text(again.get('/a'))).toBe('1');
    expect(one(again, put('/b', '1')).revision).toBe(3);
  });

  test('the files are readable by their owner only', () => {
    using bench = new Bench();
    bench.open();
    expect([bench.file, `${bench.file}-wal`].map((f) => statSync(f).mode & 0o777)).toEqual([0o600, 0o600]);
  });

  test('a database of the schema before this one is brought up to date with all that it holds', () => {
    using bench = new Bench();
    const engine = bench.open();
    one(engine, put('/a', '1'));
    engine.db.exec('DROP TABLE mark');
    engine.db.pragma('user_version = 1');
    engine.db.close();
    const again = bench.open();
    expect(text(again.get('/a'))).toBe('1');
    one(again, put('/b', '1'));
    again.close();
    expect(text(bench.open().get('/b'))).toBe('1');
  });

  test('a second process, a foreign file, a damaged file and a newer schema are refused, each with its reason', () => {
    using bench = new Bench();
    const engine = bench.open();
    expect(() => bench.open()).toThrow(expect.objectContaining({ code: 'io', message: expect.stringContaining('another process') }));
    engine.db.pragma('user_version = 99');
    engine.close();
    expect(() => bench.open()).toThrow(expect.objectContaining({ code: 'io', message: expect.stringContaining('schema version 99') }));
    writeFileSync(bench.file, 'not a database, but long enough to be looked at'.repeat(100));
    expect(() => bench.open()).toThrow(expect.objectContaining({ code: 'corrupt', message: expect.stringContaining(bench.file) }));
  });
});

describe('failing disks', () => {
  test('a full disk fails writes with full, reading and heartbeats go on, and room makes writes work again', () => {
    using bench = new Bench();
    const engine = bench.open({ maxPages: 40 });
    const beat = one(engine, put('/beat', '0'));
    const codes = new Set<string>();
    let stored = 0;
    for (let i = 0; i < 100; i++) {
      const [result] = engine.write([put(`/a/${i}`, 'x'.repeat(3000))]).results;
      if (result?.ok === true) stored++;
      else codes.add(result?.error.code ?? 'none');
    }
    expect([...codes]).toEqual(['full']);
    expect(stored).toBeGreaterThan(5);
    expect(engine.list('/a/', {}).entries).toHaveLength(stored);
    const next = one(engine, put('/beat', '1', beat.revision, true));
    const mixed = engine.write([put('/a/new', 'x'.repeat(9000)), put('/beat', '2', next.revision, true)]).results;
    expect(mixed.map((r) => r.ok)).toEqual([false, true]);
    engine.db.pragma('max_page_count = 100000');
    one(engine, put('/a/new', 'x'.repeat(9000)));
    expect(text(bench.crash().get('/beat'))).toBe('2');
  });

  test('a damaged page gives corrupt for what lies on it, and check names the damage', () => {
    using bench = new Bench();
    const engine = bench.open();
    for (let i = 0; i < 200; i++) one(engine, put(`/a/${i}`, 'x'.repeat(1000)));
    expect(engine.check()).toEqual([]);
    engine.close();
    const handle = openSync(bench.file, 'r+');
    writeSync(handle, Buffer.alloc(8192, 0xff), 0, 8192, Math.floor(statSync(bench.file).size / 2 / 4096) * 4096);
    closeSync(handle);
    const again = bench.open();
    expect(again.check().length).toBeGreaterThan(0);
    const read = Array.from({ length: 200 }, (_, i) => {
      try {
        return text(again.get(`/a/${i}`)) === undefined ? 'absent' : 'read';
      } catch (error) {
        return (error as { code: string }).code;
      }
    });
    expect(read.filter((r) => r === 'read').length).toBeGreaterThan(100);
    expect(read.filter((r) => r !== 'read' && r !== 'absent').every((r) => r.startsWith('SQLITE_CORRUPT'))).toBe(true);
  });
});

describe('history', () => {
  test('is kept for five minutes, then forgotten, and the file stays bounded', () => {
    using bench = new Bench();
    const engine = bench.open();
    const revisions = new Map<string, number>();
    let sizeAfterTen = 0;
    for (let minute = 0; minute < 60; minute++) {
      for (let i = 0; i < 10; i++) {
        const batch = Array.from({ length: 20 }, (_, k) => put(`/a/${k}`, `${minute} ${'x'.repeat(500)}`, revisions.get(`/a/${k}`) ?? 0));
        engine.write(batch).results.forEach((result, k) => {
          if (result.ok) revisions.set(`/a/${k}`, result.revision);
        });
        bench.nowMs += 6000;
      }
      if (minute === 10) sizeAfterTen = engine.sizes().databaseBytes;
      engine.checkpoint(true);
    }
    const { oldest } = engine.history();
    expect(engine.revision - oldest).toBeGreaterThanOrEqual(1000);
    expect(engine.revision - oldest).toBeLessThan(2400);
    expect(engine.events(oldest, engine.revision, 3000)).toHaveLength(engine.revision - oldest);
    expect(engine.sizes().databaseBytes).toBeLessThan(sizeAfterTen * 1.5);
    expect(engine.check()).toEqual([]);
  });

  test('is forgotten by age also when the store is opened anew every minute, and no extra page is written for that', () => {
    using bench = new Bench();
    let engine = bench.open();
    const run = (minute: number, writes: number): number => {
      for (let i = 0; i < writes; i++) {
        one(engine, put(`/a/${minute}-${i}`, 'x'));
        bench.nowMs += 60_000 / writes;
      }
      return engine.revision;
    };
    const reached: number[] = [];
    for (let minute = 0; minute < 12; minute++) {
      reached.push(run(minute, 300));
      if (minute % 3 === 0) engine = bench.crash();
      else {
        engine.close();
        engine = bench.reopen();
      }
      const { oldest } = engine.history();
      expect(oldest).toBeLessThanOrEqual(reached.at(-6) ?? 1);
    }
    expect(engine.history().oldest).toBeGreaterThan(reached[1] ?? 0);
    const marks = engine.db.prepare<[], { n: number }>('SELECT count(*) AS n FROM mark').get()?.n ?? 0;
    expect(marks).toBeLessThanOrEqual(16);
  });

  test('of a store that is written to seldom has no mark on disk while it runs', () => {
    using bench = new Bench();
    const engine = bench.open();
    for (let i = 0; i < 200; i++) {
      one(engine, put(`/a/${i}`, 'x'));
      bench.nowMs += 60_000;
    }
    expect(engine.db.prepare<[], { n: number }>('SELECT count(*) AS n FROM mark').get()?.n).toBe(0);
  });

  test('does not get older while the store is closed', () => {
    using bench = new Bench();
    const engine = bench.open();
    for (let i = 0; i < 1500; i++) one(engine, put(`/a/${i}`, 'x'));
    engine.close();
    bench.nowMs += 3_600_000;
    const again = bench.open();
    one(again, put('/b', 'x'));
    bench.nowMs += 299_000;
    one(again, put('/c', 'x'));
    expect(again.history().oldest).toBe(1);
    bench.nowMs += 1000;
    one(again, put('/d', 'x'));
    expect(again.history().oldest).toBeGreaterThan(1500);
  });

  test('is cut to a number of revisions however young, a little with each commit', () => {
    using bench = new Bench();
    const engine = bench.open({ historyRevisions: 100 });
    let { revision } = one(engine, put('/a', 'x'));
    for (let i = 0; i < 500; i++) revision = one(engine, put('/a', 'x', revision)).revision;
    expect(engine.revision - engine.history().oldest).toBeLessThanOrEqual(111);
    expect(rowsOf(engine)).toBeLessThanOrEqual(112);
  });

  test('cut in the middle of what a crash lost begins where the store went on, and counts only what was written', () => {
    using bench = new Bench();
    let engine = bench.open({ historyRevisions: 20 });
    for (let crash = 0; crash < 6; crash++) {
      for (let i = 0; i < 9; i++) one(engine, put(`/${crash}/${i}`, 'x'));
      const { oldest, lost } = engine.history();
      expect(lost.filter((gap) => oldest > gap.after && oldest < gap.until)).toEqual([]);
      expect(engine.events(oldest, engine.revision, 100).length).toBeGreaterThanOrEqual(Math.min(20, crash * 9));
      engine = bench.crash({ historyRevisions: 20 });
    }
    const [gap] = engine.history().lost.slice(-1);
    engine.setCompacted((gap?.after ?? 0) + 5);
    expect(engine.history().oldest).toBe(gap?.until);
  });

  test('space freed by deletions is given back, but for a reserve', () => {
    using bench = new Bench();
    const engine = bench.open({ historyRevisions: 1 });
    const all = engine
      .write(Array.from({ length: 1000 }, (_, i) => put(`/a/${i}`, 'x'.repeat(8000))))
      .results.map((r) => (r.ok ? r.revision : 0));
    const full = engine.sizes().databaseBytes;
    all.forEach((revision, i) => {
      engine.write([{ op: 'delete', key: `/a/${i}`, value: bytes(''), expected: revision, lazy: false }]);
    });
    expect(engine.sizes().databaseBytes).toBeLessThan(full / 2);
    expect(rowsOf(engine)).toBeLessThan(6);
  });

  test('of which no write is left to remove it goes step by step, and the space with it', () => {
    using bench = new Bench();
    const engine = bench.open();
    let { revision } = one(engine, put('/a', '0'));
    for (let i = 0; i < 1000; i++) {
      revision = one(engine, put('/a', 'x'.repeat(5000), revision)).revision;
      bench.nowMs += 60;
    }
    one(engine, put('/b', 'x'));
    bench.nowMs += 400_000;
    one(engine, put('/c', 'x'));
    expect(engine.hasLeftovers).toBe(true);
    const full = engine.sizes().databaseBytes;
    while (engine.compactStep());
    expect(engine.hasLeftovers).toBe(false);
    expect(engine.sizes().databaseBytes).toBeLessThan(full / 3);
    engine.moveLog();
    expect(statSync(bench.file).size).toBe(engine.sizes().databaseBytes);
    expect(engine.check()).toEqual([]);
  });

  test('a compaction cut short by a crash goes on, and never shows a history with holes', () => {
    using bench = new Bench();
    const engine = bench.open();
    let { revision } = one(engine, put('/a', '0'));
    for (let i = 0; i < 1000; i++) revision = one(engine, put('/a', `${i}`, revision)).revision;
    engine.setCompacted(900);
    expect(engine.compactStep()).toBe(true);
    const after = bench.crash();
    expect(after.history().oldest).toBe(900);
    expect(() => after.events(500, after.revision, 10)).toThrow(expect.objectContaining({ code: 'compacted' }));
    while (after.compactStep());
    const events = after.events(900, after.revision, 1000);
    expect(events).toHaveLength(revision - 900);
    expect(events.every((e) => e.previous !== undefined)).toBe(true);
    expect(after.db.prepare('SELECT count(*) AS n FROM log WHERE revision < 900').get()).toEqual({ n: 0 });
  });
});

test('what was shown after a crash can be resumed from after another, also when nothing was written in between', () => {
  using bench = new Bench();
  one(bench.open(), put('/a', '1'));
  const shown = bench.crash().revision;
  const engine = bench.crash();
  expect(engine.events(shown, engine.revision, 10)).toEqual([]);
  expect(engine.list('/', { atRevision: shown }).entries.map(text)).toEqual(['1']);
});

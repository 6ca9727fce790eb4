/* oxlint-disable vitest/no-standalone-expect -- the expectations are steps of one property */
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Revision } from '#store/contract.ts';
import type { WriteRequest } from './engine.ts';
import { Engine } from './engine.ts';
import { crashCopy, temporaryDirectory } from './fixture.ts';

/** Writes under /sync/ are all synchronous: their history is exact. Under /lazy/ both kinds meet. */
const keys = ['/sync/1', '/sync/2', '/sync/3', '/lazy/1', '/lazy/2'] as const;

interface Known {
  readonly value: string;
  readonly revision: Revision;
  readonly createRevision: Revision;
}

type State = ReadonlyMap<string, Known>;

type Step =
  | {
      readonly type: 'write';
      readonly lazyOnly: boolean;
      readonly writes: readonly { op: WriteRequest['op']; key: string; lazy: boolean; stale: boolean }[];
    }
  | { readonly type: 'flush' | 'crash' | 'reopen' | 'checkpoint' | 'finishCompaction' }
  | { readonly type: 'compact'; readonly share: number }
  | { readonly type: 'resume'; readonly share: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      lazyOnly: fc.boolean(),
      writes: fc.array(
        fc.record({
          op: fc.constantFrom('create' as const, 'update' as const, 'update' as const, 'delete' as const),
          key: fc.constantFrom(...keys),
          lazy: fc.boolean(),
          stale: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
        }),
        { minLength: 1, maxLength: 8 },
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('flush', 'crash', 'reopen', 'checkpoint', 'finishCompaction') }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('compact' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('resume' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }) },
);

/** The engine beside a model of it. */
class Run {
  readonly directory = temporaryDirectory();
  file = join(this.directory.path, '0.db');
  engine = this.#open();
  files = 1;
  current = new Map<string, Known>();
  durable: State = new Map();
  durableRevision = this.engine.revision;
  /** What was true at each revision that somebody may have seen and that is not lost. */
  past = new Map<Revision, State>([[this.engine.revision, new Map()]]);
  lost: Revision[] = [];
  given = this.engine.revision;
  counter = 0;
  oldest: Revision = 0;

  #open(): Engine {
    return new Engine({ file: this.file, historyRevisions: 30 }, () => 0);
  }

  perform(step: Step): void {
    if (step.type === 'write')
      this.write(
        step.writes.filter((w) => !step.lazyOnly || w.key.startsWith('/lazy/')).map((w) => ({ ...w, lazy: w.lazy || step.lazyOnly })),
      );
    else if (step.type === 'flush') this.flush();
    else if (step.type === 'crash') this.crash();
    else if (step.type === 'reopen') this.reopen();
    else if (step.type === 'checkpoint') this.engine.db.pragma('wal_checkpoint(PASSIVE)');
    else if (step.type === 'finishCompaction') while (this.engine.compactStep());
    else if (step.type === 'compact') this.compact(step.share);
    else if (step.type === 'resume') this.resume(step.share);
    this.check();
  }

  write(writes: Extract<Step, { type: 'write' }>['writes']): void {
    const requests = writes.map(({ op, key, lazy, stale }): WriteRequest => {
      const expected = stale ? 1 : (this.current.get(key)?.revision ?? 1);
      const value = op === 'delete' ? new Uint8Array(0) : Buffer.from(`${this.counter++}`);
      return { op, key, value, expected, lazy: lazy && key.startsWith('/lazy/') };
    });
    const { results, committed } = this.engine.write(requests);
    expect(committed).toBe(requests.some((r) => !r.lazy));
    requests.forEach((request, i) => {
      const result = results[i];
      const known = this.current.get(request.key);
      const problem = this.expectedError(request, known);
      if (result === undefined || !result.ok) {
        expect(result?.error.code).toBe(problem);
        return;
      }
      expect(problem).toBeUndefined();
      expect(result.revision).toBeGreaterThan(this.given);
      this.given = result.revision;
      expect(result.previous?.revision).toBe(known?.revision);
      const createRevision = known?.createRevision ?? result.revision;
      expect(result.createRevision).toBe(createRevision);
      if (request.op === 'delete') this.current.delete(request.key);
      else this.current.set(request.key, { value: Buffer.from(request.value).toString(), revision: result.revision, createRevision });
      this.past.set(result.revision, new Map(this.current));
    });
    if (committed) this.saved();
  }

  expectedError(request: WriteRequest, known: Known | undefined): string | undefined {
    if (request.op === 'create') return known === undefined ? undefined : 'exists';
    if (known === undefined) return 'missing';
    return known.revision === request.expected ? undefined : 'conflict';
  }

  saved(): void {
    this.durable = new Map(this.current);
    this.durableRevision = this.given;
  }

  flush(): void {
    this.engine.flush();
    this.saved();
  }

  crash(): void {
    const to = join(this.directory.path, `${this.files++}.db`);
    crashCopy(this.file, to);
    this.engine.db.close();
    this.file = to;
    this.engine = this.#open();
    for (const revision of [...this.past.keys()]) {
      if (revision <= this.durableRevision) continue;
      this.past.delete(revision);
      this.lost.push(revision);
    }
    this.current = new Map(this.durable);
    this.opened();
  }

  reopen(): void {
    this.engine.close();
    this.saved();
    this.engine = this.#open();
    this.opened();
  }

  opened(): void {
    expect(this.engine.revision).toBeGreaterThanOrEqual(this.given);
    this.given = this.engine.revision;
    this.durableRevision = this.given;
    this.past.set(this.given, new Map(this.current));
  }

  compact(share: number): void {
    const { oldest } = this.engine.history();
    this.flush();
    this.engine.setCompacted(Math.round(oldest + share * (this.engine.revision - oldest)));
    this.engine.compactStep();
  }

  /** A watcher that has seen some revision resumes: it ends with what is true now, or is told that it cannot. */
  resume(share: number): void {
    this.flush();
    for (const revision of this.lost) {
      expect(() => this.engine.events(revision, this.engine.revision, 1)).toThrow(expect.objectContaining({ code: 'compacted' }));
    }
    const known = [...this.past.keys()];
    const from = known[Math.floor(share * (known.length - 1))] ?? this.given;
    if (from < this.engine.history().oldest) {
      expect(() => this.engine.events(from, this.engine.revision, 1)).toThrow(expect.objectContaining({ code: 'compacted' }));
      return;
    }
    const state = new Map(this.past.get(from));
    const listed = this.engine.list('/sync/', { atRevision: from }).entries.map((e) => `${e.key}@${e.revision}`);
    expect(listed).toEqual(
      [...state]
        .filter(([key]) => key.startsWith('/sync/'))
        .map(([key, e]) => `${key}@${e.revision}`)
        .sort(),
    );
    let last = from;
    for (const event of this.engine.events(from, this.engine.revision, 10_000)) {
      const { key, value, revision, createRevision } = event.entry;
      expect(revision).toBeGreaterThan(last);
      last = revision;
      if (key.startsWith('/sync/')) expect(event.previous?.revision).toBe(state.get(key)?.revision);
      if (event.type === 'delete') state.delete(key);
      else state.set(key, { value: Buffer.from(value).toString(), revision, createRevision });
    }
    expect(state).toEqual(this.current);
  }

  check(): void {
    const { oldest } = this.engine.history();
    expect(oldest).toBeGreaterThanOrEqual(this.oldest);
    this.oldest = oldest;
    for (const key of keys) {
      const entry = this.engine.get(key);
      const found = entry && { value: Buffer.from(entry.value).toString(), revision: entry.revision, createRevision: entry.createRevision };
      expect(found).toEqual(this.current.get(key));
    }
  }

  [Symbol.dispose](): void {
    this.engine.db.close();
    this.directory[Symbol.dispose]();
  }
}

test('behaves as the model through random writes, crashes, restarts and compactions', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      using run = new Run();
      for (const next of steps) run.perform(next);
      run.crash();
      run.check();
      expect(run.engine.check()).toEqual([]);
    }),
    { numRuns: 60 },
  );
}, 60_000);

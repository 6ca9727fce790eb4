import type { Revision } from '#store/contract.ts';

/** When a revision was reached: in milliseconds that the store has been open, all runs together. */
export interface Mark {
  readonly revision: Revision;
  readonly at: number;
}

/** What a run has written since the last mark on disk that makes another worth its page: less is not worth forgetting either. */
const worthRevisions = 250;
const worthBytes = 1024 * 1024;

/**
 * Says how old revisions are, also over restarts. Time is counted while the store is open, so neither a clock that is set nor a
 * night switched off makes history younger than it is to be; after a crash the time since the last mark on disk does not
 * count, which keeps history a little longer. Between two marks on disk lie so many writes that they cost next to nothing.
 */
export class Marks {
  readonly #now: () => number;
  readonly #openedAt: number;
  /** When the store was opened, on the scale of marks. */
  readonly #base: number;
  readonly #spacingMs: number;
  /** Oldest first. */
  #marks: readonly Mark[];
  #onDisk: Mark;

  /** `stored`: those on disk, oldest first; `revision`: the present one; `compacted`: history begins there. */
  constructor(stored: readonly Mark[], revision: Revision, compacted: Revision, spacingMs: number, now: () => number) {
    const last = stored.at(-1);
    this.#now = now;
    this.#openedAt = now();
    this.#base = last?.at ?? 0;
    this.#spacingMs = spacingMs;
    this.#onDisk = last ?? { revision: compacted, at: 0 };
    this.#marks = [...stored.filter((m) => m.revision < revision), { revision, at: this.#base }];
  }

  get #at(): number {
    return this.#base + Math.floor(this.#now() - this.#openedAt);
  }

  /** A revision is reached. */
  reached(revision: Revision): void {
    if (this.#at - (this.#marks.at(-1)?.at ?? 0) >= this.#spacingMs) this.#marks = [...this.#marks, { revision, at: this.#at }];
  }

  /** The mark that should go to disk with the next transaction, if any; `writtenBytes` since the last. */
  due(revision: Revision, writtenBytes: number): Mark | undefined {
    const worth = revision - this.#onDisk.revision >= worthRevisions || writtenBytes >= worthBytes;
    return worth && this.#at - this.#onDisk.at >= this.#spacingMs ? { revision, at: this.#at } : undefined;
  }

  /** The mark with which a run ends in order. */
  last(revision: Revision): Mark | undefined {
    return revision > this.#onDisk.revision ? { revision, at: this.#at } : undefined;
  }

  wrote(mark: Mark): void {
    this.#onDisk = mark;
  }

  /** The newest revision that was reached `ageMs` ago or earlier; undefined when there is none. Older ones are forgotten. */
  olderThan(ageMs: number): Revision | undefined {
    const until = this.#at - ageMs;
    const passed = this.#marks.findLastIndex((m) => m.at <= until);
    if (passed < 0) return undefined;
    this.#marks = this.#marks.slice(passed);
    return this.#marks[0]?.revision;
  }
}

import type { Revision } from '#store/contract.ts';

/** A row to be written to the log. */
export interface Row {
  readonly revision: Revision;
  readonly key: string;
  readonly deleted: boolean;
  readonly createRevision: Revision;
  /** Revision of the row that this one replaces; 0 for none. */
  readonly previous: Revision;
  /** Absent in a deletion. */
  readonly value: Uint8Array | undefined;
}

/**
 * Lazy writes that are visible but not on disk. A put over a pending put takes its place: what nobody has been promised
 * to find on disk need not be written. A deletion keeps the put before it, so that its event can tell the last value.
 */
export class PendingRows {
  readonly #last = new Map<string, Row>();
  /** In revision order. */
  readonly #rows = new Set<Row>();
  #bytes = 0;

  get size(): number {
    return this.#rows.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The pending state of a key, if it has one. */
  get(key: string): Row | undefined {
    return this.#last.get(key);
  }

  rows(): Iterable<Row> {
    return this.#rows;
  }

  add(row: Row): void {
    const before = this.#last.get(row.key);
    let added = row;
    if (before !== undefined && !before.deleted && !row.deleted) {
      this.#rows.delete(before);
      this.#bytes -= size(before);
      added = { ...row, previous: before.previous };
    }
    this.#rows.add(added);
    this.#last.set(row.key, added);
    this.#bytes += size(added);
  }

  clear(): void {
    this.#rows.clear();
    this.#last.clear();
    this.#bytes = 0;
  }
}

function size(row: Row): number {
  return (row.value?.byteLength ?? 0) + row.key.length + 64;
}

/**
 * Entries in the order of their keys: a hash map for lookups and chunks of a few hundred sorted entries for ranges. A
 * lookup costs the same with ten entries and with a million; an insert moves at most one chunk.
 */
export class SortedEntries<V extends { readonly key: string }> {
  readonly #byKey = new Map<string, V>();
  /** None is empty; all keys of one are less than those of the next. */
  #chunks: V[][] = [];

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): V | undefined {
    return this.#byKey.get(key);
  }

  /** Adds or replaces; gives what was replaced. */
  set(entry: V): V | undefined {
    const previous = this.#byKey.get(entry.key);
    this.#byKey.set(entry.key, entry);
    const last = this.#chunks.length - 1;
    if (last < 0) {
      this.#chunks.push([entry]);
      return undefined;
    }
    const at = Math.max(0, this.#chunkOf(entry.key));
    const chunk = this.#chunks[at] as V[];
    const index = lowerBound(chunk, entry.key);
    if (previous !== undefined) {
      chunk[index] = entry;
      return previous;
    }
    chunk.splice(index, 0, entry);
    if (chunk.length > maxChunk) {
      // Appending in order, as a first load does, leaves full chunks behind instead of half empty ones.
      const cut = at === last && index === chunk.length - 1 ? maxChunk : chunk.length >> 1;
      this.#chunks.splice(at + 1, 0, chunk.splice(cut));
    }
    return undefined;
  }

  /** Removes the entry of a key and gives it. */
  delete(key: string): V | undefined {
    const previous = this.#byKey.get(key);
    if (previous === undefined) return undefined;
    this.#byKey.delete(key);
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at] as V[];
    chunk.splice(lowerBound(chunk, key), 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
    else if (chunk.length < minChunk) this.#merge(at);
    return previous;
  }

  /** At most `limit` entries with `from` ≤ key < `to`, in order. */
  range(from: string, to: string | undefined, limit = Number.POSITIVE_INFINITY): V[] {
    const found: V[] = [];
    for (const entry of this.iterate(from, to)) {
      if (found.length >= limit) break;
      found.push(entry);
    }
    return found;
  }

  /** The entries with `from` ≤ key < `to`, in order. Not to be changed while iterating. */
  *iterate(from: string, to: string | undefined): Generator<V, void, undefined> {
    let index = -1;
    for (let c = Math.max(0, this.#chunkOf(from)); c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c] as V[];
      index = index < 0 ? lowerBound(chunk, from) : 0;
      for (; index < chunk.length; index++) {
        const entry = chunk[index] as V;
        if (to !== undefined && entry.key >= to) return;
        yield entry;
      }
    }
  }

  /** How many entries have `from` ≤ key < `to`; costs one addition per chunk of the range. */
  count(from: string, to: string | undefined): number {
    return Math.max(0, (to === undefined ? this.size : this.#rank(to)) - this.#rank(from));
  }

  /** How many keys are less than this one. */
  #rank(key: string): number {
    const at = this.#chunkOf(key);
    if (at < 0) return 0;
    let before = lowerBound(this.#chunks[at] as V[], key);
    for (let c = 0; c < at; c++) before += (this.#chunks[c] as V[]).length;
    return before;
  }

  /** The last chunk whose first key is not greater than `key`; -1 when there is none. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (((this.#chunks[middle] as V[])[0] as V).key <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #merge(at: number): void {
    const left = at > 0 ? at - 1 : at;
    const a = this.#chunks[left];
    const b = this.#chunks[left + 1];
    if (a === undefined || b === undefined || a.length + b.length > maxChunk) return;
    this.#chunks.splice(left, 2, a.concat(b));
  }
}

const maxChunk = 512;
const minChunk = 64;

function lowerBound(chunk: readonly { readonly key: string }[], key: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunk[middle] as { readonly key: string }).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

import type { CachedEntry, Revision } from './contract.ts';

/**
 * The parsed object is held weakly: informers that hold it share it, and entries that nobody looks at cost no more than
 * their bytes.
 */
export class Cached implements CachedEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: Revision;
  readonly createRevision: Revision;
  readonly #parse: (value: Uint8Array) => unknown;
  #parsed: WeakRef<object> | undefined;

  constructor(
    entry: { readonly key: string; readonly revision: Revision; readonly createRevision: Revision },
    value: Uint8Array,
    parse: (value: Uint8Array) => unknown,
  ) {
    this.key = entry.key;
    this.value = value;
    this.revision = entry.revision;
    this.createRevision = entry.createRevision;
    this.#parse = parse;
  }

  object(): unknown {
    const known = this.#parsed?.deref();
    if (known !== undefined) return known;
    const parsed = this.#parse(this.value);
    if (typeof parsed === 'object' && parsed !== null) this.#parsed = new WeakRef(parsed);
    return parsed;
  }
}

import type { CachedEntry, Revision } from './contract.ts';

const decoder = new TextDecoder();

/**
 * The parsed object is held weakly: informers that hold it share it, and entries that nobody looks at cost no more than
 * their bytes.
 */
export class Cached implements CachedEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: Revision;
  readonly createRevision: Revision;
  #parsed: WeakRef<object> | undefined;

  constructor(key: string, value: Uint8Array, revision: Revision, createRevision: Revision) {
    this.key = key;
    this.value = value;
    this.revision = revision;
    this.createRevision = createRevision;
  }

  object(): unknown {
    const known = this.#parsed?.deref();
    if (known !== undefined) return known;
    const parsed: unknown = deepFreeze(JSON.parse(decoder.decode(this.value)));
    if (typeof parsed === 'object' && parsed !== null) this.#parsed = new WeakRef(parsed);
    return parsed;
  }
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}

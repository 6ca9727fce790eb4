/** What clients get of entries, made once for all that ask at nearly the same time. */
import type { KindDef } from '#kube/kind.ts';
import type { CachedEntry } from '#store/contract.ts';

interface Made {
  readonly def: KindDef;
  readonly form: string;
  readonly bytes: Buffer;
}

/** Watchers get an event, and informers their first lists, at nearly the same time: so a small cache is enough. */
export class EncodedCache {
  readonly #maxBytes: number;
  readonly #made = new Map<CachedEntry, Made[]>();
  #bytes = 0;

  /** The oldest entries go first when there are more bytes than this. */
  constructor(maxBytes = 12 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** The bytes of an entry as `def` shows it, in a form that the caller names. */
  bytes(def: KindDef, entry: CachedEntry, form: string, make: () => Buffer): Buffer {
    const known = this.#made.get(entry);
    const hit = known?.find((m) => m.form === form && m.def === def);
    if (hit !== undefined) return hit.bytes;
    const bytes = make();
    if (known === undefined) this.#made.set(entry, [{ def, form, bytes }]);
    else known.push({ def, form, bytes });
    this.#bytes += bytes.length;
    this.#evict();
    return bytes;
  }

  #evict(): void {
    for (const [entry, made] of this.#made) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#made.delete(entry);
      for (const m of made) this.#bytes -= m.bytes.length;
    }
  }
}

import { type KubeObject, objectKey, type Stored } from '#kube/object.ts';

export type IndexFunction<T extends KubeObject> = (object: Stored<T>) => readonly string[];

interface Index<T extends KubeObject> {
  readonly valuesOf: IndexFunction<T>;
  readonly entries: Map<string, Map<string, Stored<T>>>;
}

/** Index that every store has. */
export const namespaceIndex = 'namespace';

/** Objects by "namespace/name", with indexes: the memory behind an informer. */
export class ObjectStore<T extends KubeObject> {
  readonly #objects = new Map<string, Stored<T>>();
  readonly #indexes = new Map<string, Index<T>>();

  constructor() {
    this.addIndex(namespaceIndex, (object) => [object.metadata.namespace ?? '']);
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): Stored<T> | undefined {
    return this.#objects.get(key);
  }

  keys(): readonly string[] {
    return [...this.#objects.keys()];
  }

  list(): readonly Stored<T>[] {
    return [...this.#objects.values()];
  }

  /** Adds an index over what is and what will be stored. A name that exists keeps its first function. */
  addIndex(name: string, valuesOf: IndexFunction<T>): void {
    if (this.#indexes.has(name)) return;
    const index: Index<T> = { valuesOf, entries: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) enter(index, key, object);
  }

  /** Throws when there is no such index: that is a bug of the caller. */
  byIndex(name: string, value: string): readonly Stored<T>[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`no index ${name}`);
    return [...(index.entries.get(value)?.values() ?? [])];
  }

  /** Stores and returns what was there before. */
  put(object: Stored<T>): Stored<T> | undefined {
    const key = objectKey(object);
    const old = this.#objects.get(key);
    if (old !== undefined) for (const index of this.#indexes.values()) leave(index, key, old);
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) enter(index, key, object);
    return old;
  }

  delete(key: string): Stored<T> | undefined {
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) leave(index, key, old);
    return old;
  }
}

function enter<T extends KubeObject>(index: Index<T>, key: string, object: Stored<T>): void {
  for (const value of index.valuesOf(object)) {
    let bucket = index.entries.get(value);
    if (bucket === undefined) {
      bucket = new Map();
      index.entries.set(value, bucket);
    }
    bucket.set(key, object);
  }
}

function leave<T extends KubeObject>(index: Index<T>, key: string, object: Stored<T>): void {
  for (const value of index.valuesOf(object)) {
    const bucket = index.entries.get(value);
    bucket?.delete(key);
    if (bucket?.size === 0) index.entries.delete(value);
  }
}

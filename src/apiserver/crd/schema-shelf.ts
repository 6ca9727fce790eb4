/**
 * Compiled schemas that were needed lately. A platform installs a thousand definitions and uses some dozens of them: a schema takes
 * several times its JSON in memory, so the rest are left as the bytes that the store keeps anyway and compiled again when needed.
 */
import type { CompiledSchema } from './kind.ts';

export interface SchemaShelf {
  /** What is kept for the key, or what `make` makes. */
  readonly take: (key: object, make: () => CompiledSchema) => CompiledSchema;
}

/** Keeps the last `capacity` schemas asked for. */
export function createSchemaShelf(capacity: number): SchemaShelf {
  const kept = new Map<object, CompiledSchema>();
  return {
    take: (key, make) => {
      const found = kept.get(key) ?? make();
      // A map keeps the order of insertion: the first is the one not asked for the longest.
      kept.delete(key);
      kept.set(key, found);
      for (const oldest of kept.keys()) {
        if (kept.size <= capacity) break;
        kept.delete(oldest);
      }
      return found;
    },
  };
}

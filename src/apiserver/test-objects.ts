/** The server's own object store over the memory store, for tests of parts that read and write objects. */
import type { KindDef } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { realRandom } from '#platform/random.ts';
import type { WatchCache } from '#store/contract.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import type { ObjectStore } from './contract.ts';
import { objectKeyOf } from './keys.ts';
import { createObjectStore } from './objects.ts';
import { createRegistry } from './registry.ts';
import { createEntry, encodeLocal, updateEntry } from './storage.ts';
import { presentStored, viewOf } from './view.ts';

export interface TestObjects extends ObjectStore {
  readonly cache: WatchCache;
  /** Puts an object as it is, over one of its name; it gets a uid and a date where it has none. */
  readonly put: (object: KubeObject & Readonly<Record<string, unknown>>) => Promise<Stored>;
  readonly drop: (kind: string, namespace: string, name: string) => Promise<void>;
}

export async function testObjects(kinds: readonly KindDef[]): Promise<TestObjects> {
  const clock = fakeClock();
  const cache = await createWatchCache(createMemoryStore(), { present: presentStored }, { clock, log: memoryLogger() });
  const registry = createRegistry(kinds, () => new Map());
  const store = createObjectStore({ cache, registry, clock, random: realRandom });
  return {
    ...store,
    cache,
    put: async (object) => {
      const { name = '', namespace = '' } = object.metadata;
      const def = kinds.find(
        (k) => k.ref.kind === object.kind && `${k.ref.group === '' ? '' : `${k.ref.group}/`}${k.ref.version}` === object.apiVersion,
      );
      if (def === undefined) throw new Error(`${object.apiVersion} ${object.kind} is not served`);
      const metadata = { uid: realRandom.uuid(), creationTimestamp: '2026-01-01T00:00:00Z', ...object.metadata };
      const bytes = encodeLocal(def, { ...object, metadata });
      const old = cache.get(objectKeyOf(def, namespace, name));
      const entry =
        old === undefined
          ? await createEntry({ cache }, def, { namespace, name }, bytes)
          : await updateEntry({ cache }, def, old, bytes, name);
      return viewOf(def).object(entry) as unknown as Stored;
    },
    drop: async (kind, namespace, name) => {
      for (const { ref } of kinds) if (ref.kind === kind) await store.remove(ref, namespace, name);
    },
  };
}

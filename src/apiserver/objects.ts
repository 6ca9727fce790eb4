/** Reads and writes of the server's own, past authorization and admission. */
import type { Draft, KindDef } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { apiVersionOf, type ResourceRef } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import type { WatchCache } from '#store/contract.ts';
import { draftOf } from './codec.ts';
import type { ObjectStore } from './contract.ts';
import { timestamp } from './core.ts';
import { kindPrefix, listPrefix, objectKeyOf } from './keys.ts';
import { metaOf } from './meta.ts';
import type { Registry } from './registry.ts';
import { createEntry, deleteEntry, encodeLocal, updateEntry } from './storage.ts';
import { presentStored, viewOf } from './view.ts';

interface Deps {
  readonly cache: WatchCache;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
}

const attempts = 100;

/** The KindDefs by the place where their objects are stored, made anew when kinds come or go. */
function kindsByPlace(registry: Registry): () => ReadonlyMap<string, readonly KindDef[]> {
  let made: { readonly generation: number; readonly places: ReadonlyMap<string, readonly KindDef[]> } | undefined;
  return () => {
    const generation = registry.generation();
    if (made?.generation !== generation) {
      const stored = registry.all().flatMap((r) => (r.def.ephemeral === true ? [] : r.def));
      made = { generation, places: Map.groupBy(stored, kindPrefix) };
    }
    return made.places;
  };
}

export function createObjectStore(deps: Deps): ObjectStore {
  const { cache, registry } = deps;
  const defOf = (ref: ResourceRef): KindDef => {
    const resource = registry.resource(ref.group, ref.version, ref.plural);
    if (resource === undefined) throw new Error(`${ref.plural} of ${apiVersionOf(ref)} is not served`);
    return resource.def;
  };
  const sharing = kindsByPlace(registry);
  const entryOf = (def: KindDef, namespace: string, name: string) => cache.get(objectKeyOf(def, namespace, name));
  return {
    get: <T extends KubeObject>(ref: ResourceRef<T>, namespace: string, name: string) => {
      const def = defOf(ref as ResourceRef);
      const entry = entryOf(def, namespace, name);
      return entry === undefined ? undefined : (viewOf(def).object(entry) as unknown as Stored<T>);
    },
    snapshot: <T extends KubeObject>(ref: ResourceRef<T>, namespace: string, name: string) => {
      const def = defOf(ref as ResourceRef);
      const entry = entryOf(def, namespace, name);
      return entry === undefined ? undefined : () => viewOf(def).object(entry) as unknown as Stored<T>;
    },
    list: <T extends KubeObject>(ref: ResourceRef<T>, namespace: string) => {
      const def = defOf(ref as ResourceRef);
      const view = viewOf(def);
      return cache.list(listPrefix(def, namespace)).entries.map((e) => view.object(e) as unknown as Stored<T>);
    },
    kindOf: (group, version, kind) => registry.byKind(group, version, kind)?.def,
    resourceOf: (group, version, plural) => registry.resource(group, version, plural)?.def,
    equivalents: (def) =>
      (sharing().get(kindPrefix(def)) ?? []).filter((o) => o.ref.group !== def.ref.group || o.ref.version !== def.ref.version),
    create: async <T extends KubeObject>(ref: ResourceRef<T>, object: T) => {
      const def = defOf(ref as ResourceRef);
      const draft = draftOf(def, { ...object, apiVersion: apiVersionOf(ref), kind: ref.kind }, 'Ignore', []);
      const meta = metaOf(draft);
      meta.uid ??= deps.random.uuid();
      meta.creationTimestamp ??= timestamp(deps.clock.now());
      if (def.generation === 'spec') meta.generation ??= 1;
      const at = { namespace: meta.namespace ?? '', name: meta.name ?? '' };
      const entry = await createEntry({ cache }, def, at, encodeLocal(def, draft));
      return viewOf(def).object(entry) as unknown as Stored<T>;
    },
    modify: async <T extends KubeObject>(
      ref: ResourceRef<T>,
      namespace: string,
      name: string,
      change: (draft: Draft, current: Stored<T>) => boolean,
    ) => {
      const def = defOf(ref as ResourceRef);
      const view = viewOf(def);
      for (let attempt = 1; ; attempt++) {
        const entry = entryOf(def, namespace, name);
        if (entry === undefined) return undefined;
        const current = view.object(entry) as unknown as Stored<T>;
        const draft = structuredClone(current) as unknown as Draft;
        if (!change(draft, current)) return current;
        const bytes = encodeLocal(def, draft);
        if (Buffer.compare(presentStored(bytes, entry.revision), entry.value) === 0) return current;
        try {
          return view.object(await updateEntry({ cache }, def, entry, bytes, name)) as unknown as Stored<T>;
        } catch (error) {
          if (isStatus(error, 'NotFound')) return undefined;
          if (attempt >= attempts || !isStatus(error, 'Conflict')) throw error;
        }
      }
    },
    remove: async (ref, namespace, name) => {
      const def = defOf(ref);
      for (;;) {
        const entry = entryOf(def, namespace, name);
        if (entry === undefined) return false;
        try {
          await deleteEntry({ cache }, def, entry, name);
          return true;
        } catch (error) {
          if (isStatus(error, 'NotFound')) return false;
          if (!isStatus(error, 'Conflict')) throw error;
        }
      }
    },
  };
}

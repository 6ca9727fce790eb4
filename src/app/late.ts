import type { ObjectStore } from '#apiserver/contract.ts';

/**
 * Authentication and the API server need each other: it reads objects, the server asks it. This stands for the server's
 * object store until `bind` gives the real one; used earlier it throws.
 */
export function lateObjectStore(): { readonly store: ObjectStore; readonly bind: (store: ObjectStore) => void } {
  let bound: ObjectStore | undefined;
  const real = (): ObjectStore => {
    if (bound === undefined) throw new Error('the object store is used before the API server exists');
    return bound;
  };
  return {
    bind: (store) => {
      bound = store;
    },
    store: {
      get: (ref, namespace, name) => real().get(ref, namespace, name),
      snapshot: (ref, namespace, name) => real().snapshot(ref, namespace, name),
      list: (ref, namespace) => real().list(ref, namespace),
      kindOf: (group, version, kind) => real().kindOf(group, version, kind),
      resourceOf: (group, version, plural) => real().resourceOf(group, version, plural),
      equivalents: (def) => real().equivalents(def),
      create: (ref, object) => real().create(ref, object),
      modify: (ref, namespace, name, change) => real().modify(ref, namespace, name, change),
      remove: (ref, namespace, name) => real().remove(ref, namespace, name),
    },
  };
}

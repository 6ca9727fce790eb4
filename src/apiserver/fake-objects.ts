/** An ObjectStore over a map, for tests of parts that read and write objects. */
import { randomUUID } from 'node:crypto';
import type { Draft } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { apiVersionOf, type ResourceRef } from '#kube/refs.ts';
import { alreadyExists } from '#kube/status-error.ts';
import type { ObjectStore } from './contract.ts';

export interface FakeObjects extends ObjectStore {
  /** Puts an object as it is, with a uid where it has none. */
  readonly put: (object: KubeObject & Readonly<Record<string, unknown>>) => Stored;
  readonly drop: (kind: string, namespace: string, name: string) => void;
}

export function fakeObjects(): FakeObjects {
  const objects = new Map<string, Stored>();
  const id = (kind: string, namespace: string, name: string): string => `${kind}/${namespace}/${name}`;
  let revision = 0;
  const put: FakeObjects['put'] = (object) => {
    const { name = '', namespace = '' } = object.metadata;
    const stored = {
      ...object,
      metadata: {
        uid: randomUUID(),
        creationTimestamp: '2026-01-01T00:00:00Z',
        ...object.metadata,
        name,
        resourceVersion: String(++revision),
      },
    };
    objects.set(id(object.kind, namespace, name), stored);
    return stored;
  };
  const get = <T extends KubeObject>(ref: ResourceRef<T>, namespace: string, name: string): Stored<T> | undefined =>
    objects.get(id(ref.kind, ref.namespaced ? namespace : '', name)) as Stored<T> | undefined;
  return {
    put,
    drop: (kind, namespace, name) => {
      objects.delete(id(kind, namespace, name));
    },
    get,
    list: <T extends KubeObject>(ref: ResourceRef<T>, namespace: string) =>
      [...objects.values()].filter(
        (o) => o.kind === ref.kind && o.apiVersion === apiVersionOf(ref) && (namespace === '' || o.metadata.namespace === namespace),
      ) as unknown as Stored<T>[],
    kindOf: () => undefined,
    resourceOf: () => undefined,
    equivalents: () => [],
    create: async <T extends KubeObject>(ref: ResourceRef<T>, object: T) => {
      const { name = '', namespace = '' } = object.metadata;
      if (get(ref, namespace, name) !== undefined) throw alreadyExists(ref, name);
      return (await Promise.resolve(put(object as T & Record<string, unknown>))) as unknown as Stored<T>;
    },
    modify: async <T extends KubeObject>(
      ref: ResourceRef<T>,
      namespace: string,
      name: string,
      change: (draft: Draft, current: Stored<T>) => boolean,
    ) => {
      const current = get(ref, namespace, name);
      if (current === undefined) return undefined;
      const draft = structuredClone(current) as unknown as Draft;
      const changed = change(draft, current);
      return await Promise.resolve(changed ? (put(draft as KubeObject & Record<string, unknown>) as unknown as Stored<T>) : current);
    },
    remove: async (ref, namespace, name) => await Promise.resolve(objects.delete(id(ref.kind, ref.namespaced ? namespace : '', name))),
  };
}

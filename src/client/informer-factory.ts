import type { KubeObject } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import type { TaskGroup } from '#lib/task-group.ts';
import { createInformer, type Informer, type InformerDeps, type InformerScope } from './informer.ts';

/** Hands out one informer for each resource and scope, shared by all who ask. */
export interface InformerFactory {
  readonly informer: <T extends KubeObject>(resource: ResourceRef<T>, scope?: InformerScope) => Informer<T>;
  /** The informer of all objects of a resource, if somebody has asked for one. */
  readonly existing: <T extends KubeObject>(resource: ResourceRef<T>) => Informer<T> | undefined;
  /** Runs every informer in the group: those asked for so far, and later ones as they are asked for. */
  readonly start: (tasks: TaskGroup) => void;
  /** Resolves when every informer asked for so far has synced. */
  readonly synced: (signal: AbortSignal) => Promise<void>;
}

export function createInformerFactory(deps: InformerDeps): InformerFactory {
  const informers = new Map<string, Informer<never>>();
  let group: TaskGroup | undefined;
  const keyOf = (resource: ResourceRef, { namespace = '', labelSelector = '', fieldSelector = '' }: InformerScope): string =>
    JSON.stringify([resource.group, resource.version, resource.plural, namespace, labelSelector, fieldSelector]);
  return {
    informer: <T extends KubeObject>(resource: ResourceRef<T>, scope: InformerScope = {}) => {
      const key = keyOf(resource, scope);
      const known = informers.get(key);
      if (known !== undefined) return known as unknown as Informer<T>;
      const made = createInformer(resource, deps, scope);
      informers.set(key, made as unknown as Informer<never>);
      group?.spawn(made.run);
      return made;
    },
    existing: <T extends KubeObject>(resource: ResourceRef<T>) => informers.get(keyOf(resource, {})) as unknown as Informer<T> | undefined,
    start: (tasks) => {
      if (group !== undefined) throw new Error('the informers have been started already');
      group = tasks;
      for (const informer of informers.values()) tasks.spawn(informer.run);
    },
    synced: async (signal) => {
      await Promise.all([...informers.values()].map((informer) => informer.synced(signal)));
    },
  };
}

/** ConfigMaps and Secrets that pods of this node refer to: read when needed, followed while a volume shows them. */
import type { KubeClient } from '#client/contract.ts';
import { createInformer, type Informer } from '#client/informer.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';

export interface FollowedObjects<T extends KubeObject> {
  /** The object as the server has it now; its last followed state when the server cannot be reached. Undefined: there is none. */
  readonly get: (namespace: string, name: string) => Promise<T | undefined>;
  /** Calls `changed` on every later change, until the result is called. */
  readonly follow: (namespace: string, name: string, changed: () => void) => () => void;
  readonly close: () => Promise<void>;
}

export interface FollowDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Followed<T extends KubeObject> {
  readonly informer: Informer<T>;
  readonly tasks: TaskGroup;
  readonly listeners: Set<() => void>;
}

export function createFollowedObjects<T extends KubeObject>(resource: ResourceRef<T>, deps: FollowDeps): FollowedObjects<T> {
  const followed = new Map<string, Followed<T>>();
  /** The version last handed out of each followed object. */
  const seen = new Map<string, string>();

  function start(namespace: string, name: string): Followed<T> {
    // The node authorizer lets a kubelet watch single objects by name only.
    const informer = createInformer(resource, deps, { namespace, fieldSelector: `metadata.name=${name}` });
    const entry: Followed<T> = { informer, tasks: new TaskGroup(), listeners: new Set() };
    const tell = (): void => {
      for (const listener of entry.listeners) listener();
    };
    let initial = true;
    informer.addHandler({ added: () => (initial ? undefined : tell()), updated: tell, deleted: tell });
    entry.tasks.spawn((signal) => informer.run(signal));
    entry.tasks.spawn(async (signal) => {
      await informer.synced(signal);
      initial = false;
      // Only what changed between the first reading and the start of the watch is news.
      const key = `${namespace}/${name}`;
      if ((informer.get(key)?.metadata.resourceVersion ?? '') !== seen.get(key)) tell();
    });
    return entry;
  }

  return {
    get: async (namespace, name) => {
      const key = `${namespace}/${name}`;
      try {
        const object: Stored<T> = await deps.client.get(resource, { namespace, name });
        if (followed.has(key)) seen.set(key, object.metadata.resourceVersion);
        return object as unknown as T;
      } catch (error) {
        if (isStatus(error, 'NotFound')) {
          if (followed.has(key)) seen.set(key, '');
          return undefined;
        }
        const known = followed.get(key)?.informer.get(key);
        if (known !== undefined && isStatus(error, 'ServiceUnavailable', 'Timeout', 'ServerTimeout')) return known as unknown as T;
        throw error;
      }
    },
    follow: (namespace, name, changed) => {
      const key = `${namespace}/${name}`;
      const entry = followed.get(key) ?? start(namespace, name);
      followed.set(key, entry);
      entry.listeners.add(changed);
      return () => {
        entry.listeners.delete(changed);
        if (entry.listeners.size > 0 || followed.get(key) !== entry) return;
        followed.delete(key);
        seen.delete(key);
        entry.tasks.close().catch((error: unknown) => deps.log.warn('ending a watch failed', { key, error }));
      };
    },
    close: async () => {
      await Promise.all([...followed.values()].map((entry) => entry.tasks.close()));
      followed.clear();
    },
  };
}

/**
 * Marks the node of a server as one of the control plane. The node may not do so itself (NodeRestriction), so the server
 * does, as K3s (pkg/server setNodeLabelsAndAnnotations): once for each node object and run, so that whoever takes the label away
 * is not contradicted.
 */
import type { ObjectStore } from '#apiserver/contract.ts';
import { follow } from '#apiserver/follow.ts';
import { objectKeyOf } from '#apiserver/keys.ts';
import type { Stored } from '#kube/object.ts';
import { nodes } from '#kube/refs.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Logger } from '#platform/log.ts';
import { nodeKind } from '#resources/core/node.ts';
import type { CachedEntry, WatchCache } from '#store/contract.ts';
import type { Running } from './components.ts';

const roleLabel = 'node-role.kubernetes.io/control-plane';

interface Deps {
  readonly cache: WatchCache;
  readonly objects: Pick<ObjectStore, 'modify'>;
  readonly log: Logger;
}

export function createServerNode(name: string, { cache, objects, log }: Deps): Running {
  const key = objectKeyOf(nodeKind, '', name);
  const tasks = new TaskGroup();
  let labelled = '';
  const label = async (): Promise<void> => {
    try {
      await objects.modify(nodes, '', name, (draft, { metadata }) => {
        if (metadata.labels?.[roleLabel] !== undefined) return false;
        draft.metadata = { ...metadata, labels: { ...metadata.labels, [roleLabel]: 'true' } };
        return true;
      });
    } catch (error) {
      log.warn('the node could not be marked as one of the control plane', { node: name, error });
      labelled = '';
    }
  };
  const see = (entry: CachedEntry): void => {
    if (entry.key !== key) return;
    const { uid } = (entry.object() as Stored).metadata;
    if (uid === labelled) return;
    labelled = uid;
    tasks.spawn(label);
  };
  return {
    start: async () => {
      const feed = follow(cache, key, {
        reset: (entries) => entries.forEach(see),
        apply: (event) => {
          if (event.type === 'put') see(event.entry);
        },
      });
      tasks.spawn(feed.run);
    },
    stop: () => tasks.close(),
    notReady: () => undefined,
  };
}

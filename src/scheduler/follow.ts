/** From informer events to cache, queue and nominator. */

import type { Informer } from '#client/informer.ts';
import type { Node, Pod } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import type { Cache } from './cache.ts';
import type { ClusterEvent } from './framework.ts';
import type { createListers } from './listers.ts';
import type { Nominator } from './nominator.ts';
import { isFinished, podInfo } from './pod-info.ts';
import type { SchedulingQueue } from './queue.ts';

export interface FollowDeps {
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly sources: ReturnType<typeof createListers>;
  readonly cache: Cache;
  readonly queue: SchedulingQueue;
  readonly nominator: Nominator;
  readonly schedulerName: string;
}

/** Attaches handlers; the result detaches them. */
export function followCluster(deps: FollowDeps): () => void {
  const wake = (event: ClusterEvent) => (): void => deps.queue.happened(event);
  const any = (event: ClusterEvent) => ({ added: wake(event), updated: wake(event) });
  const { sources } = deps;
  const detach = [
    deps.nodes.addHandler({
      added: (node) => nodeChanged(deps, node),
      updated: (node) => nodeChanged(deps, node),
      deleted: (node) => deps.cache.removeNode(node.metadata.name),
    }),
    deps.pods.addHandler({
      added: (pod) => podSeen(deps, pod),
      updated: (pod) => podSeen(deps, pod),
      deleted: (pod) => podGone(deps, pod),
    }),
    sources.claims.addHandler(any({ on: 'claim' })),
    sources.volumes.addHandler(any({ on: 'volume' })),
    sources.classes.addHandler(any({ on: 'class' })),
    sources.namespaces.addHandler(any({ on: 'namespace' })),
  ];
  return () => {
    for (const d of detach) d();
  };
}

function nodeChanged({ cache, queue }: FollowDeps, node: Stored<Node>): void {
  const { info, changes } = cache.setNode(node);
  // A new node is one event; what it brings is seen by every plugin through 'add'.
  if (changes.has('add')) queue.happened({ on: 'node', what: 'add', node: info });
  else for (const what of changes) queue.happened({ on: 'node', what, node: info });
}

function podSeen(deps: FollowDeps, pod: Stored<Pod>): void {
  const { cache, queue, nominator } = deps;
  if (isFinished(pod)) {
    podGone(deps, pod);
    return;
  }
  const node = pod.spec?.nodeName ?? '';
  const info = podInfo(pod);
  if (node !== '') {
    queue.delete(info.uid);
    nominator.remove(info.uid);
    const before = cache.removePod(info.uid);
    cache.setPod(info, node);
    if (before === undefined) queue.happened({ on: 'pod', what: 'add', pod: info });
    else if (JSON.stringify(before.labels) !== JSON.stringify(info.labels) || shrank(before.requests, info.requests)) {
      queue.happened({ on: 'pod', what: 'update', pod: info });
    }
    return;
  }
  if ((pod.spec?.schedulerName ?? deps.schedulerName) !== deps.schedulerName || cache.isAssumed(info.uid)) return;
  if (pod.metadata.deletionTimestamp !== undefined) {
    podGone(deps, pod);
    return;
  }
  const nominated = pod.status?.nominatedNodeName ?? '';
  if (nominated !== '') nominator.add(info, nominated);
  queue.set(info);
}

const shrank = (before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): boolean =>
  [...before].some(([name, value]) => (now.get(name) ?? 0) < value);

function podGone({ cache, queue, nominator }: FollowDeps, pod: Stored<Pod>): void {
  const { uid } = pod.metadata;
  queue.delete(uid);
  nominator.remove(uid);
  const info = cache.removePod(uid);
  if (info !== undefined) queue.happened({ on: 'pod', what: 'delete', pod: info });
}

/** Shows static pods in the API: each has a mirror there that cannot be changed but by us. pkg/kubelet/pod/mirror_client.go. */
import type { KubeClient } from '#client/contract.ts';
import type { Node, Pod } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { podAnnotations } from './names.ts';

export interface MirrorDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly node: () => Stored<Node> | undefined;
  /** Tells where the status of a static pod is to be written: its mirror, or undefined while it has none, when it is not written. */
  readonly linked: (staticUid: string, mirror: Pod | undefined) => void;
}

export interface MirrorPods {
  readonly add: (pod: Pod) => void;
  readonly remove: (pod: Pod) => void;
  /** True when the pod of the API is a mirror, which is not to be run. */
  readonly observed: (pod: Pod) => boolean;
  readonly gone: (pod: Pod) => boolean;
  /** The static pods of the node are known: mirrors that have none behind them may go. */
  readonly settled: () => void;
  readonly close: () => Promise<void>;
}

const retryMs = 2000;
const keyOf = (pod: Pod): string => `${pod.metadata.namespace}/${pod.metadata.name}`;
const hashIn = (pod: Pod): string | undefined => pod.metadata.annotations?.[podAnnotations.mirror];

export function createMirrorPods(deps: MirrorDeps): MirrorPods {
  const wanted = new Map<string, Pod>();
  const present = new Map<string, Pod>();
  const busy = new Set<string>();
  let settled = false;
  const tasks = new TaskGroup();

  async function create(pod: Pod, signal: AbortSignal): Promise<void> {
    const node = deps.node();
    if (node === undefined) throw new Error('the node is not registered yet');
    const { uid = '', ...metadata } = pod.metadata;
    const mirror: Pod = {
      ...pod,
      metadata: {
        ...metadata,
        annotations: { ...metadata.annotations, [podAnnotations.mirror]: uid },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node.metadata.name, uid: node.metadata.uid, controller: true }],
      },
    };
    await deps.client.create(pods, mirror, { signal });
  }

  /** Brings the API to what is wanted under one name. */
  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const pod = wanted.get(key);
    const mirror = present.get(key);
    if (!settled) return;
    if (mirror !== undefined && hashIn(mirror) !== pod?.metadata.uid) {
      const { namespace = '', name = '', uid = '' } = mirror.metadata;
      await deps.client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } }, { signal });
    } else if (pod !== undefined && mirror === undefined) await create(pod, signal);
  }

  function kick(key: string): void {
    if (busy.has(key)) return;
    busy.add(key);
    tasks.spawn(async (signal) => {
      try {
        for (;;) {
          try {
            await reconcile(key, signal);
            return;
          } catch (error) {
            if (signal.aborted || isStatus(error, 'NotFound', 'Conflict', 'AlreadyExists')) return;
            deps.log.debug('a mirror pod cannot be written, will retry', { pod: key, error });
          }
          await deps.clock.sleep(retryMs, signal);
        }
      } finally {
        busy.delete(key);
      }
    });
  }

  return {
    add: (pod) => {
      wanted.set(keyOf(pod), pod);
      const mirror = present.get(keyOf(pod));
      if (mirror !== undefined && hashIn(mirror) === pod.metadata.uid) deps.linked(pod.metadata.uid ?? '', mirror);
      kick(keyOf(pod));
    },
    remove: (pod) => {
      if (wanted.get(keyOf(pod))?.metadata.uid === pod.metadata.uid) wanted.delete(keyOf(pod));
      kick(keyOf(pod));
    },
    observed: (pod) => {
      const hash = hashIn(pod);
      if (hash === undefined) return false;
      present.set(keyOf(pod), pod);
      if (wanted.get(keyOf(pod))?.metadata.uid === hash) deps.linked(hash, pod);
      // Without a static pod behind it, a mirror shows what is not there.
      if (wanted.get(keyOf(pod))?.metadata.uid !== hash || pod.metadata.deletionTimestamp !== undefined) kick(keyOf(pod));
      return true;
    },
    gone: (pod) => {
      const hash = hashIn(pod);
      if (hash === undefined) return false;
      present.delete(keyOf(pod));
      deps.linked(hash, undefined);
      kick(keyOf(pod));
      return true;
    },
    settled: () => {
      settled = true;
      for (const key of new Set([...wanted.keys(), ...present.keys()])) kick(key);
    },
    close: () => tasks.close(),
  };
}

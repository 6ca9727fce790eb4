/** Removes pods that nobody else will: k8s.io/kubernetes pkg/controller/podgc. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import { objectKey } from '#kube/object.ts';
import { nodes, pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isTerminal, type StoredPod } from './pods.ts';
import { isoTime } from './times.ts';

const name = 'pod-garbage-collector-controller';
const nodeIndex = 'node';
/** A node that is gone may be on its way back: its pods are given this time. */
const quarantineMs = 40_000;
const terminatedKey = 'terminated pods';
const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

function create({ client, informers, clock, log, config }: ControllerDeps) {
  const allPods = informers.informer(pods);
  const allNodes = informers.informer(nodes);
  allPods.addIndex(nodeIndex, (pod) => [pod.spec?.nodeName ?? '']);
  let terminated = 0;

  /** Says why in a condition, marks the pod failed and deletes it without waiting for a kubelet. */
  const forceDelete = async (pod: StoredPod, message: string | undefined, signal: AbortSignal): Promise<void> => {
    const { name: podName, namespace = '', uid } = pod.metadata;
    try {
      if (!isTerminal(pod)) {
        const condition = {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'DeletionByPodGC',
          message: message ?? '',
          lastTransitionTime: isoTime(clock.now()),
        };
        const status = { phase: 'Failed', ...(message === undefined ? {} : { conditions: [condition] }) };
        await client.patch(
          pods,
          { namespace, name: podName },
          'strategic',
          { metadata: { uid }, status },
          { subresource: 'status', signal },
        );
      }
      await client.delete(pods, { namespace, name: podName }, { gracePeriodSeconds: 0, preconditions: { uid } }, { signal });
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error;
    }
  };

  const nodeIsGone = async (node: string, signal: AbortSignal): Promise<boolean> => {
    if (allNodes.get(node) !== undefined) return false;
    try {
      await client.get(nodes, { name: node }, { signal });
      return false;
    } catch (error) {
      if (isStatus(error, 'NotFound')) return true;
      throw error;
    }
  };

  const collectTerminated = async (signal: AbortSignal): Promise<void> => {
    const ended = allPods.list().filter((pod) => isTerminal(pod) && pod.metadata.deletionTimestamp === undefined);
    const excess = ended.length - config.terminatedPodThreshold;
    if (config.terminatedPodThreshold <= 0 || excess <= 0) return;
    const evictedFirst = (pod: StoredPod): number => (pod.status?.reason === 'Evicted' ? 0 : 1);
    const sorted = ended.sort(
      (a, b) => evictedFirst(a) - evictedFirst(b) || (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1),
    );
    for (const pod of sorted.slice(0, excess)) await forceDelete(pod, undefined, signal);
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    if (key === terminatedKey) {
      await collectTerminated(signal);
      return undefined;
    }
    const pod = allPods.get(key);
    if (pod === undefined) return undefined;
    const node = pod.spec?.nodeName ?? '';
    if (node === '') {
      if (pod.metadata.deletionTimestamp !== undefined) await forceDelete(pod, undefined, signal);
    } else if (isOutOfService(node) && pod.metadata.deletionTimestamp !== undefined) await forceDelete(pod, undefined, signal);
    else if (await nodeIsGone(node, signal)) await forceDelete(pod, 'PodGC: node no longer exists', signal);
    return undefined;
  };
  const isOutOfService = (node: string): boolean => {
    const found = allNodes.get(node);
    const ready = found?.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;
    return !ready && (found?.spec?.taints ?? []).some((t) => t.key === outOfServiceTaint);
  };

  const reconciler = createReconciler({ clock, log }, { name, sources: [allPods, allNodes], reconcile });
  const { queue } = reconciler;
  const check = (pod: StoredPod): void => {
    const node = pod.spec?.nodeName ?? '';
    if (node === '') {
      if (pod.metadata.deletionTimestamp !== undefined) queue.add(objectKey(pod));
    } else if (allNodes.get(node) === undefined) queue.addAfter(objectKey(pod), quarantineMs);
    else if (pod.metadata.deletionTimestamp !== undefined && isOutOfService(node)) queue.add(objectKey(pod));
  };
  const count = (change: number): void => {
    terminated += change;
    if (terminated > config.terminatedPodThreshold) queue.addAfter(terminatedKey, 1000);
  };
  allPods.addHandler({
    added: (pod) => {
      check(pod);
      if (isTerminal(pod)) count(1);
    },
    updated: (pod, old) => {
      check(pod);
      if (isTerminal(pod) !== isTerminal(old)) count(isTerminal(pod) ? 1 : -1);
    },
    deleted: (pod) => {
      if (isTerminal(pod)) count(-1);
    },
  });
  allNodes.addHandler({
    deleted: (node) => {
      for (const pod of allPods.byIndex(nodeIndex, node.metadata.name)) queue.addAfter(objectKey(pod), quarantineMs);
    },
    updated: (node) => {
      if (isOutOfService(node.metadata.name)) for (const pod of allPods.byIndex(nodeIndex, node.metadata.name)) check(pod);
    },
  });
  return [reconciler];
}

export const podGcController: ControllerDef = { name, serviceAccount: 'pod-garbage-collector', create };

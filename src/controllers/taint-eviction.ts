/** Deletes pods from nodes whose NoExecute taints they do not tolerate (any longer): k8s.io/kubernetes pkg/controller/tainteviction. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { Taint } from '#kube/generated/core-v1.ts';
import { objectKey } from '#kube/object.ts';
import { nodes, pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { tolerates } from '#kube/taints.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isTerminal, type StoredPod } from './pods.ts';
import { isoTime } from './times.ts';

const name = 'taint-eviction-controller';
const nodeIndex = 'node';

/** Seconds for which a pod tolerates the taints together: 0 not at all, infinite for ever. */
export function toleratedSeconds(pod: StoredPod, taints: readonly Taint[]): number {
  const tolerations = pod.spec?.tolerations ?? [];
  let least = Number.POSITIVE_INFINITY;
  for (const taint of taints) {
    const used = tolerations.filter((t) => tolerates(t, taint));
    if (used.length === 0) return 0;
    for (const t of used) if (t.tolerationSeconds !== undefined) least = Math.min(least, Math.max(0, t.tolerationSeconds));
  }
  return least;
}

function create({ client, informers, recorder, clock, log }: ControllerDeps) {
  const allPods = informers.informer(pods);
  const allNodes = informers.informer(nodes);
  allPods.addIndex(nodeIndex, (pod) => [pod.spec?.nodeName ?? '']);
  /** When each doomed pod is to go. */
  const due = new Map<string, number>();

  const evict = async (pod: StoredPod, signal: AbortSignal): Promise<void> => {
    const { name: podName, namespace = '' } = pod.metadata;
    recorder.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${podName}`);
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: isoTime(clock.now()),
    };
    try {
      const conditions = [...(pod.status?.conditions ?? []).filter((c) => c.type !== condition.type), condition];
      await client.update(pods, { ...pod, status: { ...pod.status, conditions } }, { subresource: 'status', signal });
      await client.delete(pods, { namespace, name: podName }, { preconditions: { uid: pod.metadata.uid } }, { signal });
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error;
    }
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const pod = allPods.get(key);
    const node = pod?.spec?.nodeName === undefined ? undefined : allNodes.get(pod.spec.nodeName);
    const taints = (node?.spec?.taints ?? []).filter((t) => t.effect === 'NoExecute');
    if (pod === undefined || taints.length === 0 || pod.metadata.deletionTimestamp !== undefined || isTerminal(pod)) {
      const waited = due.delete(key);
      if (waited && pod !== undefined && taints.length === 0)
        recorder.event(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
      return undefined;
    }
    const seconds = toleratedSeconds(pod, taints);
    if (seconds === Number.POSITIVE_INFINITY) {
      due.delete(key);
      return undefined;
    }
    const now = clock.monotonic();
    const fresh = now + seconds * 1000;
    // The time runs from the first taint; a shorter toleration brings the end forward.
    const at = Math.min(due.get(key) ?? fresh, fresh);
    due.set(key, at);
    if (at > now) return at - now;
    due.delete(key);
    await evict(pod, signal);
    return undefined;
  };

  const reconciler = createReconciler({ clock, log }, { name, sources: [allPods, allNodes], workers: 8, reconcile });
  const tainted = (node: string | undefined): boolean =>
    node !== undefined && (allNodes.get(node)?.spec?.taints ?? []).some((t) => t.effect === 'NoExecute');
  const checkPod = (pod: StoredPod): void => {
    if (tainted(pod.spec?.nodeName) || due.has(objectKey(pod))) reconciler.queue.add(objectKey(pod));
  };
  const checkNode = (node: { readonly metadata: { readonly name: string } }): void => {
    for (const pod of allPods.byIndex(nodeIndex, node.metadata.name)) reconciler.queue.add(objectKey(pod));
  };
  allPods.addHandler({ added: checkPod, updated: checkPod, deleted: checkPod });
  allNodes.addHandler({
    added: (node) => {
      if (tainted(node.metadata.name)) checkNode(node);
    },
    updated: (node, old) => {
      if (JSON.stringify(node.spec?.taints) !== JSON.stringify(old.spec?.taints)) checkNode(node);
    },
  });
  return [reconciler];
}

export const taintEvictionController: ControllerDef = { name, serviceAccount: 'node-controller', create };

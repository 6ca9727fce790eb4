/** Rolls ReplicaSets from one template to the next: k8s.io/kubernetes pkg/controller/deployment. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import { controllerOf, objectKey } from '#kube/object.ts';
import { deployments, pods, replicaSets } from '#kube/refs.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';
import { isStatus } from '#kube/status-error.ts';
import { setCondition } from './conditions.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { candidatesFor, controlledBy, indexByController } from './controller-index.ts';
import {
  activeSets,
  desiredAnnotation,
  hasProgressDeadline,
  isRollingUpdate,
  replicasOf,
  type StoredReplicaSet,
} from './deployment-model.ts';
import { type Rollout, recreate, rollingUpdate, syncScale, syncStatusOnly, writeStatus } from './deployment-rollout.ts';
import { deploymentCondition, pausedReason, progressing } from './deployment-status.ts';
import { ownerOf } from './owned-pods.ts';
import { claim } from './ownership.ts';

const name = 'deployment-controller';

function create(deps: ControllerDeps) {
  const { client, informers, clock, recorder } = deps;
  const owners = informers.informer(deployments);
  const sets = informers.informer(replicaSets);
  const podInformer = informers.informer(pods);
  indexByController(sets);
  indexByController(podInformer);

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const d = owners.get(key);
    if (d === undefined) return undefined;
    const rollout: Rollout = { deps, signal, d, sets: [], podsOf: (set) => controlledBy(podInformer, set.metadata.uid) };
    if (selectsEverything(d.spec?.selector)) {
      recorder.event(d, 'Warning', 'SelectingAll', 'This deployment is selecting all pods. A non-empty selector is required.');
      const { generation } = d.metadata;
      if ((d.status?.observedGeneration ?? 0) < (generation ?? 0))
        await writeStatus(rollout, { ...d.status, ...(generation === undefined ? {} : { observedGeneration: generation }) });
      return undefined;
    }
    rollout.sets = await claim({
      client,
      ownerResource: deployments,
      owner: d,
      resource: replicaSets,
      selector: fromLabelSelector(d.spec?.selector),
      candidates: candidatesFor(sets, d),
      signal,
    });
    try {
      return await step(rollout);
    } catch (error) {
      if (isStatus(error, 'NotFound') && owners.get(key) === undefined) return undefined;
      throw error;
    }
  };

  const step = async (r: Rollout): Promise<Requeue> => {
    if (r.d.metadata.deletionTimestamp !== undefined) {
      await syncStatusOnly(r);
      return undefined;
    }
    await syncPaused(r, clock.now());
    if (r.d.spec?.paused === true || wasResized(r)) return syncScale(r);
    return isRollingUpdate(r.d) ? rollingUpdate(r) : recreate(r);
  };

  const reconciler = createReconciler(deps, { name, sources: [owners, sets, podInformer], reconcile, keys: () => owners.keys() });
  const { queue } = reconciler;
  owners.addHandler({ added: (d) => queue.add(objectKey(d)), updated: (d) => queue.add(objectKey(d)) });

  const setChanged = (set: StoredReplicaSet): void => {
    const owner = ownerOf(deployments, owners, set.metadata.namespace, controllerOf(set));
    if (owner !== undefined) queue.add(objectKey(owner));
    else if (controllerOf(set) === undefined && set.metadata.deletionTimestamp === undefined)
      for (const d of owners.list(set.metadata.namespace))
        if (matchesLabels(fromLabelSelector(d.spec?.selector), set.metadata.labels)) queue.add(objectKey(d));
  };
  sets.addHandler({
    added: setChanged,
    updated: (set, old) => {
      if (controllerOf(old)?.uid !== controllerOf(set)?.uid) {
        const before = ownerOf(deployments, owners, old.metadata.namespace, controllerOf(old));
        if (before !== undefined) queue.add(objectKey(before));
      }
      setChanged(set);
    },
    deleted: setChanged,
  });
  // Recreate waits for the last old pod to be gone.
  podInformer.addHandler({
    deleted: (pod) => {
      const ref = controllerOf(pod);
      const set = ownerOf(replicaSets, sets, pod.metadata.namespace, ref);
      const d = set === undefined ? undefined : ownerOf(deployments, owners, set.metadata.namespace, controllerOf(set));
      if (d !== undefined && !isRollingUpdate(d)) queue.add(objectKey(d));
    },
  });
  return [reconciler];
}

const selectsEverything = (
  selector: { readonly matchLabels?: object; readonly matchExpressions?: readonly unknown[] } | undefined,
): boolean =>
  selector !== undefined && Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;

const wasResized = (r: Rollout): boolean =>
  activeSets(r.sets).some((set) => {
    const desired = desiredAnnotation(set);
    return desired !== undefined && desired !== replicasOf(r.d);
  });

/** While paused, the progress deadline stands still. */
async function syncPaused(r: Rollout, nowMs: number): Promise<void> {
  if (!hasProgressDeadline(r.d)) return;
  const current = progressing(r.d);
  if (current?.reason === 'ProgressDeadlineExceeded') return;
  const paused = r.d.spec?.paused === true;
  if (paused === (current?.reason === pausedReason)) return;
  const condition = paused
    ? deploymentCondition('Progressing', 'Unknown', pausedReason, 'Deployment is paused', nowMs)
    : deploymentCondition('Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed', nowMs);
  await writeStatus(r, { ...r.d.status, conditions: setCondition(r.d.status?.conditions, condition) });
}

export const deploymentController: ControllerDef = { name, create };

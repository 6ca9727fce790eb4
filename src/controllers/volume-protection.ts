/** Claims that pods use and volumes that are bound cannot vanish: k8s.io/kubernetes pkg/controller/volume/pvcprotection and pvprotection. */
import { createReconciler } from '#client/reconciler.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import { type KubeObject, objectKey, type Stored } from '#kube/object.ts';
import { persistentVolumeClaims, persistentVolumes, pods, type ResourceRef } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isTerminal, type StoredPod } from './pods.ts';

const claimFinalizer = 'kubernetes.io/pvc-protection';
const volumeFinalizer = 'kubernetes.io/pv-protection';
const claimIndex = 'claim';

/** Claims of a pod, those of its generic ephemeral volumes included. */
export const claimsOfPod = (pod: StoredPod): readonly string[] =>
  (pod.spec?.volumes ?? []).flatMap((v) => {
    const claim = v.persistentVolumeClaim?.claimName ?? (v.ephemeral === undefined ? undefined : `${pod.metadata.name}-${v.name}`);
    return claim === undefined ? [] : [`${pod.metadata.namespace}/${claim}`];
  });

/** Adds the finalizer to a living object, takes it from a dying one that is no longer used. */
async function protect<T extends KubeObject>(
  { client }: ControllerDeps,
  resource: ResourceRef<T>,
  object: Stored<T>,
  finalizer: string,
  inUse: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { finalizers = [], deletionTimestamp } = object.metadata;
  const has = finalizers.includes(finalizer);
  const wanted = deletionTimestamp === undefined || inUse;
  if (has === wanted || (deletionTimestamp !== undefined && !has)) return;
  const next = wanted ? [...finalizers, finalizer] : finalizers.filter((f) => f !== finalizer);
  try {
    await client.update(resource, { ...object, metadata: { ...object.metadata, finalizers: next } } as unknown as T, { signal });
  } catch (error) {
    if (!isStatus(error, 'NotFound')) throw error;
  }
}

function createClaims(deps: ControllerDeps) {
  const claims = deps.informers.informer(persistentVolumeClaims);
  const allPods = deps.informers.informer(pods);
  allPods.addIndex(claimIndex, claimsOfPod);
  /** A pod that was never scheduled uses nothing. */
  const inUse = (claim: Stored<PersistentVolumeClaim>): boolean =>
    allPods.byIndex(claimIndex, objectKey(claim)).some((pod) => (pod.spec?.nodeName ?? '') !== '' && !isTerminal(pod));
  const reconciler = createReconciler(deps, {
    name: 'pvc-protection-controller',
    sources: [claims, allPods],
    keys: () => claims.keys(),
    reconcile: async (key, signal) => {
      const claim = claims.get(key);
      if (claim !== undefined) await protect(deps, persistentVolumeClaims, claim, claimFinalizer, inUse(claim), signal);
      return undefined;
    },
  });
  const { queue } = reconciler;
  claims.addHandler({ added: (c) => queue.add(objectKey(c)), updated: (c) => queue.add(objectKey(c)) });
  const released = (pod: StoredPod): void => {
    for (const key of claimsOfPod(pod)) if (claims.get(key)?.metadata.deletionTimestamp !== undefined) queue.add(key);
  };
  allPods.addHandler({
    updated: (pod) => {
      if (isTerminal(pod)) released(pod);
    },
    deleted: released,
  });
  return [reconciler];
}

function createVolumes(deps: ControllerDeps) {
  const volumes = deps.informers.informer(persistentVolumes);
  const reconciler = createReconciler(deps, {
    name: 'pv-protection-controller',
    sources: [volumes],
    keys: () => volumes.keys(),
    reconcile: async (key, signal) => {
      const volume: Stored<PersistentVolume> | undefined = volumes.get(key);
      if (volume !== undefined) await protect(deps, persistentVolumes, volume, volumeFinalizer, volume.status?.phase === 'Bound', signal);
      return undefined;
    },
  });
  volumes.addHandler({ added: (v) => reconciler.queue.add(objectKey(v)), updated: (v) => reconciler.queue.add(objectKey(v)) });
  return [reconciler];
}

export const claimProtectionController: ControllerDef = {
  name: 'persistentvolumeclaim-protection-controller',
  serviceAccount: 'pvc-protection-controller',
  create: createClaims,
};
export const volumeProtectionController: ControllerDef = {
  name: 'persistentvolume-protection-controller',
  serviceAccount: 'pv-protection-controller',
  create: createVolumes,
};

/** Makes the claims of generic ephemeral volumes: k8s.io/kubernetes pkg/controller/volume/ephemeral. */
import { createReconciler } from '#client/reconciler.ts';
import type { Volume } from '#kube/generated/core-v1.ts';
import { objectKey } from '#kube/object.ts';
import { persistentVolumeClaims, pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { controllerRef, isControlledBy } from './ownership.ts';
import { isNamespaceTerminating, textOf } from './pod-control.ts';
import { isTerminal, type StoredPod } from './pods.ts';

const name = 'ephemeral-volume-controller';

function create(deps: ControllerDeps) {
  const { client, informers, recorder } = deps;
  const allPods = informers.informer(pods);
  const claims = informers.informer(persistentVolumeClaims);

  const makeClaim = async (pod: StoredPod, volume: Volume, signal: AbortSignal): Promise<void> => {
    const template = volume.ephemeral?.volumeClaimTemplate;
    if (template === undefined) return;
    const namespace = pod.metadata.namespace ?? '';
    const claimName = `${pod.metadata.name}-${volume.name}`;
    const there = claims.get(`${namespace}/${claimName}`);
    if (there !== undefined) {
      // A stranger's claim of that name must not be used.
      if (isControlledBy(there, pod)) return;
      throw new Error(`PVC ${namespace}/${claimName} was not created for pod ${objectKey(pod)} (pod is not owner)`);
    }
    const metadata = { ...template.metadata, name: claimName, namespace, ownerReferences: [controllerRef(pods, pod)] };
    try {
      await client.create(
        persistentVolumeClaims,
        { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec: template.spec },
        { signal },
      );
    } catch (error) {
      if (isNamespaceTerminating(error) || isStatus(error, 'AlreadyExists')) return;
      recorder.event(pod, 'Warning', 'PVCCreationFailed', `ephemeral volume "${volume.name}": ${textOf(error)}`);
      throw error;
    }
  };

  const reconciler = createReconciler(deps, {
    name,
    sources: [allPods, claims],
    reconcile: async (key, signal) => {
      const pod = allPods.get(key);
      if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || isTerminal(pod)) return undefined;
      for (const volume of pod.spec?.volumes ?? []) await makeClaim(pod, volume, signal);
      return undefined;
    },
  });
  const check = (pod: StoredPod): void => {
    if ((pod.spec?.volumes ?? []).some((v) => v.ephemeral !== undefined)) reconciler.queue.add(objectKey(pod));
  };
  allPods.addHandler({ added: check });
  claims.addHandler({
    deleted: (claim) => {
      const owner = claim.metadata.ownerReferences?.find((o) => o.kind === 'Pod');
      const pod = owner === undefined ? undefined : allPods.get(`${claim.metadata.namespace}/${owner.name}`);
      if (pod !== undefined) check(pod);
    },
  });
  return [reconciler];
}

export const ephemeralVolumeController: ControllerDef = { name, create };

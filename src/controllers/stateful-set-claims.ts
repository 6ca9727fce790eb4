/** persistentVolumeClaimRetentionPolicy: claims get owners, and the garbage collector does the rest. */
import { isDeepStrictEqual } from 'node:util';
import type { Informer } from '#client/informer.ts';
import type { PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import type { OwnerReference } from '#kube/object.ts';
import { persistentVolumeClaims } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDeps } from './controller.ts';
import type { StoredPod } from './pods.ts';
import { claimName, replicasOf, type StoredStatefulSet, startOrdinal } from './stateful-set-pods.ts';

const setReference = (set: StoredStatefulSet): OwnerReference => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  name: set.metadata.name,
  uid: set.metadata.uid,
});
const podReference = (pod: StoredPod): OwnerReference => ({
  apiVersion: 'v1',
  kind: 'Pod',
  name: pod.metadata.name,
  uid: pod.metadata.uid,
});

/** Whenever the set goes its claims go (whenDeleted), and those of a pod that is scaled away go with it (whenScaled). */
export async function syncClaimOwners(
  { client }: ControllerDeps,
  claims: Informer<PersistentVolumeClaim>,
  set: StoredStatefulSet,
  pods: ReadonlyMap<number, StoredPod>,
  signal: AbortSignal,
): Promise<void> {
  const policy = set.spec?.persistentVolumeClaimRetentionPolicy;
  if (policy === undefined) return;
  const start = startOrdinal(set);
  for (const [ordinal, pod] of pods) {
    const condemned = ordinal < start || ordinal >= start + replicasOf(set);
    for (const template of set.spec?.volumeClaimTemplates ?? []) {
      const claim = claims.get(`${set.metadata.namespace}/${claimName(set, template, ordinal)}`);
      if (claim === undefined) continue;
      const old = claim.metadata.ownerReferences ?? [];
      const others = old.filter((o) => o.uid !== set.metadata.uid && !(o.kind === 'Pod' && o.name === pod.metadata.name));
      const ownerReferences = [
        ...others,
        ...(policy.whenScaled === 'Delete' && condemned ? [podReference(pod)] : policy.whenDeleted === 'Delete' ? [setReference(set)] : []),
      ];
      if (isDeepStrictEqual(old, ownerReferences)) continue;
      try {
        await client.update(persistentVolumeClaims, { ...claim, metadata: { ...claim.metadata, ownerReferences } }, { signal });
      } catch (error) {
        if (!isStatus(error, 'NotFound')) throw error;
      }
    }
  }
}

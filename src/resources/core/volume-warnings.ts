/** Warnings about persistent volumes and claims: pkg/api/persistentvolume and persistentvolumeclaim, util.go. */
import type { PersistentVolume, PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { fractionalBytes, selectorTermWarnings } from './pod-warnings.ts';

const oldClass = 'volume.beta.kubernetes.io/storage-class';

const oldClassWarnings = (object: KubeObject): string[] =>
  object.metadata.annotations !== undefined && Object.hasOwn(object.metadata.annotations, oldClass)
    ? [`metadata.annotations[${oldClass}]: deprecated since v1.8; use "storageClassName" attribute instead`]
    : [];

export function persistentVolumeWarnings(volume: PersistentVolume & KubeObject): string[] {
  const warnings = oldClassWarnings(volume);
  if (volume.spec?.persistentVolumeReclaimPolicy === 'Recycle')
    warnings.push(
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
    );
  for (const [i, term] of (volume.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? []).entries())
    warnings.push(...selectorTermWarnings(`spec.nodeAffinity.required.nodeSelectorTerms[${i}]`, term));
  return warnings;
}

export const claimWarnings = (claim: PersistentVolumeClaim & KubeObject): string[] => [
  ...oldClassWarnings(claim),
  ...fractionalBytes('spec.resources.requests', claim.spec?.resources?.requests, ['storage']),
];

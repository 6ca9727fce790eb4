/** Warnings about persistent volumes and claims: pkg/api/persistentvolume and persistentvolumeclaim, util.go. */
import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec } from '#kube/generated/core-v1.ts';
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
  for (const [source, what] of Object.entries(removedSources))
    if (volume.spec?.[source as keyof PersistentVolumeSpec] !== undefined)
      warnings.push(`spec.${source === 'storageos' ? 'storageOS' : source}: ${what}`);
  return warnings;
}

/** Sources that nothing provides any more. */
const removedSources: Partial<Record<keyof PersistentVolumeSpec, string>> = {
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
};

export const claimWarnings = (claim: PersistentVolumeClaim & KubeObject): string[] => [
  ...oldClassWarnings(claim),
  ...fractionalBytes('spec.resources.requests', claim.spec?.resources?.requests, ['storage']),
];

import type { PersistentVolumeClaimSpec } from '#kube/generated/core-v1.ts';
import type { Mutable } from '../define.ts';

/** Defaults of the spec of a PersistentVolumeClaim, also inside templates. */
export function claimSpecDefaults(spec: Mutable<PersistentVolumeClaimSpec>): void {
  spec.volumeMode ??= 'Filesystem';
}

/** Which volume suits a claim: k8s.io/component-helpers storage/volume FindMatchingVolume. */
import type { PersistentVolume, PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { compareQuantity } from '#kube/quantity.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';

export type StoredClaim = Stored<PersistentVolumeClaim>;
export type StoredVolume = Stored<PersistentVolume>;

export const classOf = (o: StoredClaim | StoredVolume): string =>
  o.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? o.spec?.storageClassName ?? '';

const modeOf = (o: StoredClaim | StoredVolume): string => o.spec?.volumeMode ?? 'Filesystem';
const requested = (claim: StoredClaim): string | number => claim.spec?.resources?.requests?.['storage'] ?? '0';
const capacity = (volume: StoredVolume): string | number => volume.spec?.capacity?.['storage'] ?? '0';

/** Whether a volume names this very claim: by name, and by uid where it has one. */
export function isClaimedBy(volume: StoredVolume, claim: StoredClaim): boolean {
  const ref = volume.spec?.claimRef;
  return (
    ref !== undefined &&
    ref.name === claim.metadata.name &&
    ref.namespace === claim.metadata.namespace &&
    (ref.uid === undefined || ref.uid === '' || ref.uid === claim.metadata.uid)
  );
}

/** Why a volume cannot serve a claim, or undefined when it can. */
export function mismatch(volume: StoredVolume, claim: StoredClaim): string | undefined {
  if (compareQuantity(capacity(volume), requested(claim)) < 0) return 'requested PV is too small';
  if (classOf(volume) !== classOf(claim)) return 'storageClassName does not match';
  if (modeOf(volume) !== modeOf(claim)) return 'incompatible volumeMode';
  if (!(claim.spec?.accessModes ?? []).every((m) => volume.spec?.accessModes?.includes(m) === true)) return 'incompatible accessMode';
  return undefined;
}

/** The volume to bind: one made for the claim, else the smallest free one that suits. */
export function findVolume(claim: StoredClaim, volumes: readonly StoredVolume[]): StoredVolume | undefined {
  const selector = claim.spec?.selector === undefined ? [] : fromLabelSelector(claim.spec.selector);
  let best: StoredVolume | undefined;
  for (const volume of volumes) {
    if (volume.metadata.deletionTimestamp !== undefined || mismatch(volume, claim) !== undefined) continue;
    if (isClaimedBy(volume, claim)) return volume;
    if (volume.spec?.claimRef !== undefined || volume.status?.phase !== 'Available') continue;
    if (!matchesLabels(selector, volume.metadata.labels)) continue;
    if (best === undefined || compareQuantity(capacity(volume), capacity(best)) < 0) best = volume;
  }
  return best;
}

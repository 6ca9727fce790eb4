/** PersistentVolumes. */
import { isDeepStrictEqual } from 'node:util';
import type { PersistentVolume, PersistentVolumeSpec } from '#kube/generated/core-v1.ts';
import { quantitySign } from '#kube/quantity.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsSubdomain, immutable, optionalOneOf, pathWithoutBacksteps } from '#kube/validation/values.ts';
import { accessModeList } from './claim-validation.ts';
import { nodeSelector } from './pod-validation/placement.ts';

const notSources = new Set([
  ...['accessModes', 'capacity', 'claimRef', 'mountOptions', 'nodeAffinity', 'persistentVolumeReclaimPolicy', 'storageClassName'],
  ...['volumeMode', 'volumeAttributesClassName'],
]);
const sourcesOf = (spec: PersistentVolumeSpec): [string, unknown][] => Object.entries(spec).filter(([part]) => !notSources.has(part));

export function validatePersistentVolume(object: PersistentVolume): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = accessModeList('spec.accessModes', spec.accessModes);
  const capacity = Object.entries(spec.capacity ?? {});
  if (capacity.length === 0) errors.push(fieldRequired('spec.capacity'));
  else if (spec.capacity?.['storage'] === undefined || capacity.length > 1) {
    errors.push(fieldNotSupported('spec.capacity', Object.fromEntries(capacity), ['storage']));
  }
  for (const [name, value] of capacity) {
    if (quantitySign(value) <= 0) errors.push(fieldInvalid(`spec.capacity[${name}]`, String(value), 'must be greater than zero'));
  }
  errors.push(...optionalOneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, ['Delete', 'Recycle', 'Retain']));
  const sources = sourcesOf(spec);
  if (sources.length === 0) errors.push(fieldRequired('spec', 'must specify a volume type'));
  for (const [part] of sources.slice(1)) errors.push(fieldForbidden(`spec.${part}`, 'may not specify more than 1 volume type'));
  if (spec.hostPath !== undefined) {
    if (spec.hostPath.path === '') errors.push(fieldRequired('spec.hostPath.path'));
    else errors.push(...pathWithoutBacksteps('spec.hostPath.path', spec.hostPath.path));
  }
  if (spec.local !== undefined) {
    if (spec.local.path === '') errors.push(fieldRequired('spec.local.path'));
    if (spec.nodeAffinity?.required === undefined) errors.push(fieldRequired('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (spec.csi !== undefined) {
    if (spec.csi.driver === '') errors.push(fieldRequired('spec.csi.driver'));
    if (spec.csi.volumeHandle === '') errors.push(fieldRequired('spec.csi.volumeHandle'));
  }
  if (spec.nodeAffinity !== undefined) {
    if (spec.nodeAffinity.required === undefined)
      errors.push(fieldRequired('spec.nodeAffinity.required', 'must specify required node constraints'));
    else errors.push(...nodeSelector('spec.nodeAffinity.required', spec.nodeAffinity.required));
  }
  if ((spec.storageClassName ?? '') !== '') errors.push(...dnsSubdomain('spec.storageClassName', spec.storageClassName ?? ''));
  errors.push(...optionalOneOf('spec.volumeMode', spec.volumeMode, ['Block', 'Filesystem']));
  return errors;
}

export function validatePersistentVolumeUpdate(object: PersistentVolume, old: PersistentVolume): FieldError[] {
  const errors = validatePersistentVolume(object);
  const [now, was] = [object.spec, old.spec];
  if (now === undefined || was === undefined) return errors;
  if (!isDeepStrictEqual(sourcesOf(now), sourcesOf(was))) {
    errors.push(fieldForbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'));
  }
  errors.push(...immutable('spec.volumeMode', now.volumeMode, was.volumeMode));
  return errors;
}

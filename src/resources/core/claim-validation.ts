/** PersistentVolumeClaims: ValidatePersistentVolumeClaimSpec and updates. */
import { isDeepStrictEqual } from 'node:util';
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import { compareQuantity, quantitySign } from '#kube/quantity.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { optionalOneOf } from '#kube/validation/values.ts';

export const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** A list of access modes: at least one, and ReadWriteOncePod only alone. */
export function accessModeList(field: string, modes: readonly string[] | undefined): FieldError[] {
  if (modes === undefined || modes.length === 0) return [fieldRequired(field, 'at least 1 access mode is required')];
  const errors = modes.flatMap((mode) => (accessModes.includes(mode) ? [] : [fieldNotSupported(field, mode, accessModes)]));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    errors.push(fieldForbidden(field, 'may not use ReadWriteOncePod with other access modes'));
  }
  return errors;
}

export function claimSpec(field: string, spec: PersistentVolumeClaimSpec): FieldError[] {
  const errors = [...accessModeList(`${field}.accessModes`, spec.accessModes), ...labelSelector(`${field}.selector`, spec.selector)];
  const storage = spec.resources?.requests?.['storage'];
  if (storage === undefined) errors.push(fieldRequired(`${field}.resources[storage]`));
  else if (quantitySign(storage) <= 0)
    errors.push(fieldInvalid(`${field}.resources[storage]`, String(storage), 'must be greater than zero'));
  const name = spec.storageClassName ?? '';
  if (name !== '') errors.push(...fieldProblems(`${field}.storageClassName`, name, isDns1123Subdomain(name)));
  errors.push(...optionalOneOf(`${field}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem']));
  const { dataSource, dataSourceRef } = spec;
  for (const [part, ref] of [
    ['dataSource', dataSource],
    ['dataSourceRef', dataSourceRef],
  ] as const) {
    if (ref === undefined) continue;
    if (ref.name === '') errors.push(fieldRequired(`${field}.${part}.name`));
    if (ref.kind === '') errors.push(fieldRequired(`${field}.${part}.kind`));
    if ((ref.apiGroup ?? '') === '' && ref.kind !== 'PersistentVolumeClaim') {
      errors.push(fieldInvalid(`${field}.${part}`, ref.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
    }
  }
  return errors;
}

const immutableRule = 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

/** What an update of a claim may not change. */
export function claimUpdate(object: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const { spec } = object;
  const before = old.spec;
  if (spec === undefined || before === undefined) return [];
  const bound = old.status?.phase === 'Bound';
  const mayBind = (before.volumeName ?? '') === '';
  const comparable = (s: PersistentVolumeClaimSpec): unknown => ({
    ...s,
    volumeName: mayBind ? undefined : s.volumeName,
    volumeAttributesClassName: bound ? undefined : s.volumeAttributesClassName,
    storageClassName: before.storageClassName === undefined && mayBind ? undefined : s.storageClassName,
    resources: bound ? { ...s.resources, requests: { ...s.resources?.requests, storage: '0' } } : s.resources,
  });
  const strip = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;
  const errors: FieldError[] = [];
  if (!isDeepStrictEqual(strip(comparable(spec)), strip(comparable(before)))) errors.push(fieldForbidden('spec', immutableRule));
  const [size, oldSize] = [spec.resources?.requests?.['storage'], before.resources?.requests?.['storage']];
  if (size !== undefined && oldSize !== undefined && compareQuantity(size, oldSize) < 0) {
    const capacity = object.status?.capacity?.['storage'];
    if (capacity === undefined || compareQuantity(size, capacity) <= 0) {
      errors.push(fieldForbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
    }
  }
  return errors;
}

/** PersistentVolumeClaims: their specs, also in templates, updates and status. */
import type {
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  PersistentVolumeClaimTemplate,
  TypedObjectReference,
} from '#kube/generated/core-v1.ts';
import type { ObjectMeta } from '#kube/generated/meta-v1.ts';
import { goDiff } from '#kube/go-diff.ts';
import { compareQuantity, quantitySign } from '#kube/quantity.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { annotations, dnsLabel, dnsSubdomain, immutable, labels, optionalOneOf, ownValue, qualifiedName } from '#kube/validation/values.ts';
import { isNativeResource, resourceQuantity } from './pod-validation/resources.ts';
import { required } from './volume-sources.ts';

const modes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** Modes that are known; ReadWriteOncePod stands alone. */
export function accessModes(field: string, given: readonly string[] | undefined): FieldError[] {
  const list = given ?? [];
  const errors = list.filter((mode) => !modes.includes(mode)).map((mode) => fieldNotSupported(field, mode, modes));
  const alone = 'ReadWriteOncePod';
  if (!list.includes(alone) || !list.some((mode) => mode !== alone && modes.includes(mode))) return errors;
  return [...errors, fieldForbidden(field, 'may not use ReadWriteOncePod with other access modes')];
}

/** What a claim is to be filled with. `known`: the old claim's group is left as it is. */
function dataSource(field: string, ref: TypedObjectReference | undefined, known: boolean): FieldError[] {
  if (ref === undefined) return [];
  const { apiGroup = '', kind, namespace = '' } = ref;
  const errors = required(field, ref, 'name', 'kind');
  if (apiGroup === '' && kind !== 'PersistentVolumeClaim')
    errors.push(fieldInvalid(field, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
  if (apiGroup !== '' && !known) errors.push(...dnsSubdomain(`${field}.apiGroup`, apiGroup));
  return namespace === '' ? errors : [...errors, ...dnsLabel(`${field}.namespace`, namespace)];
}

const sourceOf = (ref: TypedObjectReference): string => JSON.stringify([ref.apiGroup ?? null, ref.kind, ref.name]);

function dataSources(field: string, spec: PersistentVolumeClaimSpec, known: boolean): FieldError[] {
  const { dataSource: source, dataSourceRef: ref } = spec;
  const errors = [...dataSource(`${field}.dataSource`, source, known), ...dataSource(`${field}.dataSourceRef`, ref, known)];
  if (source === undefined || ref === undefined) return errors;
  // Go shows the path of the field as an object without fields of its own.
  const elsewhere = (ref.namespace ?? '') !== '';
  if (elsewhere) errors.push(fieldInvalid(field, {}, 'may not be specified when dataSourceRef.namespace is specified'));
  else if (sourceOf(source) !== sourceOf(ref)) errors.push(fieldInvalid(field, {}, 'must match dataSourceRef'));
  return errors;
}

const className = (field: string, name: string | undefined): FieldError[] =>
  name === undefined || name === '' ? [] : dnsSubdomain(field, name);

/** ValidatePersistentVolumeClaimSpec; `old`: what an update begins with. */
export function claimSpec(field: string, spec: PersistentVolumeClaimSpec, old?: PersistentVolumeClaimSpec): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec.accessModes ?? []).length === 0) errors.push(fieldRequired(`${field}.accessModes`, 'at least 1 access mode is required'));
  if (old === undefined || labelSelector('', old.selector).length === 0) errors.push(...labelSelector(`${field}.selector`, spec.selector));
  errors.push(...accessModes(`${field}.accessModes`, spec.accessModes));
  const storage = ownValue(spec.resources?.requests, 'storage');
  const at = `${field}.resources[storage]`;
  if (storage === undefined) errors.push(fieldRequired(at));
  else if (quantitySign(storage) <= 0) errors.push(fieldInvalid(at, String(storage), 'must be greater than zero'));
  const grouped = old?.dataSource?.apiGroup !== undefined || old?.dataSourceRef?.apiGroup !== undefined;
  return [
    ...errors,
    ...className(`${field}.storageClassName`, spec.storageClassName),
    ...optionalOneOf(`${field}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem']),
    ...dataSources(field, spec, grouped),
    ...className(`${field}.volumeAttributesClassName`, spec.volumeAttributesClassName),
  ];
}

/** Metadata of a template: labels and annotations, nothing else. */
export function templateMeta(field: string, meta: ObjectMeta | undefined): FieldError[] {
  const { labels: map, annotations: notes, ...others } = meta ?? {};
  return [
    ...annotations(`${field}.annotations`, notes),
    ...labels(`${field}.labels`, map),
    ...Object.keys(others).map((part) => fieldForbidden(`${field}.${part}`, 'cannot be set')),
  ];
}

export const claimTemplate = (field: string, template: PersistentVolumeClaimTemplate): FieldError[] => [
  ...templateMeta(`${field}.metadata`, template.metadata),
  ...claimSpec(`${field}.spec`, template.spec),
];

const oldClass = 'volume.beta.kubernetes.io/storage-class';
const fixed = 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

/** The new spec with the old one's values where an update may change them. */
function comparable(
  claim: PersistentVolumeClaim,
  spec: PersistentVolumeClaimSpec,
  old: PersistentVolumeClaimSpec,
): PersistentVolumeClaimSpec {
  const bound = claim.status?.phase === 'Bound';
  const { requests } = spec.resources ?? {};
  const storage = ownValue(old.resources?.requests, 'storage');
  return {
    ...spec,
    ...(bound && requests !== undefined && storage !== undefined
      ? { resources: { ...spec.resources, requests: { ...requests, storage } } }
      : {}),
    ...(bound && spec.volumeAttributesClassName !== undefined ? { volumeAttributesClassName: old.volumeAttributesClassName } : {}),
  } as PersistentVolumeClaimSpec;
}

/** Without fields that are undefined, amounts in one spelling: what Go compares. */
const plain = (spec: PersistentVolumeClaimSpec): PersistentVolumeClaimSpec => JSON.parse(JSON.stringify(spec)) as PersistentVolumeClaimSpec;

function specUpdate(object: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const [spec, before] = [object.spec ?? {}, old.spec ?? {}];
  const annotation = ownValue(old.metadata.annotations, oldClass);
  const now = ownValue(object.metadata.annotations, oldClass);
  const named = before.storageClassName === undefined && spec.storageClassName !== undefined;
  const upgraded = named && annotation === spec.storageClassName && (now === undefined || now === annotation);
  const errors: FieldError[] = [];
  if (!upgraded) errors.push(...immutable(`metadata.annotations.${oldClass}`, now ?? '', annotation ?? ''));
  const given = named && (annotation === undefined || annotation === spec.storageClassName);
  const expected = {
    ...before,
    ...((before.volumeName ?? '') === '' ? { volumeName: spec.volumeName } : {}),
    ...(upgraded || given ? { storageClassName: spec.storageClassName } : {}),
  } as PersistentVolumeClaimSpec;
  const diff = goDiff('core.PersistentVolumeClaimSpec', plain(expected), plain(comparable(object, spec, before)));
  if (diff !== '') errors.push(fieldForbidden('spec', `${fixed}\n${diff}`));
  return errors;
}

function attributesUpdate(now: string | undefined, was: string | undefined): FieldError[] {
  const field = 'spec.volumeAttributesClassName';
  if (was === undefined || now === was) return [];
  if (now === undefined) return [fieldForbidden(field, 'update from non-nil value to nil is forbidden')];
  return now === '' ? [fieldForbidden(field, 'update from non-nil value to an empty string is forbidden')] : [];
}

/** ValidatePersistentVolumeClaimUpdate. */
export function claimUpdate(object: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const [spec, before] = [object.spec ?? {}, old.spec ?? {}];
  const errors = [...claimSpec('spec', spec, before), ...specUpdate(object, old)];
  const size = ownValue(spec.resources?.requests, 'storage') ?? '0';
  const oldSize = ownValue(before.resources?.requests, 'storage') ?? '0';
  const capacity = ownValue(old.status?.capacity, 'storage') ?? '0';
  if (compareQuantity(size, oldSize) < 0 && compareQuantity(size, capacity) <= 0)
    errors.push(fieldForbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  return [
    ...errors,
    ...immutable('volumeMode', spec.volumeMode ?? null, before.volumeMode ?? null),
    ...attributesUpdate(spec.volumeAttributesClassName, before.volumeAttributesClassName),
  ];
}

const resizeStates = [
  ...['ControllerResizeInProgress', 'ControllerResizeInfeasible'],
  ...['NodeResizeInProgress', 'NodeResizeInfeasible', 'NodeResizePending'],
].sort();

/** Of the resources without a domain a claim has storage only. */
function claimResource(field: string, name: string): FieldError[] {
  const errors = qualifiedName(field, name);
  if (errors.length > 0 || name === 'storage' || !isNativeResource(name)) return errors;
  return [fieldNotSupported(field, name, ['storage'])];
}

/** ValidatePersistentVolumeClaimStatusUpdate. */
export function claimStatus({ spec, status }: PersistentVolumeClaim): FieldError[] {
  const errors = (spec?.accessModes ?? []).length === 0 ? [fieldRequired('Spec.accessModes')] : [];
  for (const [name, value] of Object.entries(status?.capacity ?? {}))
    if (quantitySign(value) < 0) errors.push(fieldInvalid(`status.capacity[${name}]`, String(value), 'must be a valid resource quantity'));
  for (const [name, state] of Object.entries(status?.allocatedResourceStatuses ?? {})) {
    errors.push(...claimResource('status.allocatedResourceStatus', name));
    if (!resizeStates.includes(state)) errors.push(fieldNotSupported('status.allocatedResourceStatus', name, resizeStates));
  }
  for (const [name, value] of Object.entries(status?.allocatedResources ?? {})) {
    const bad = claimResource('status.allocatedResources', name);
    const at = `status.allocatedResources[${name}]`;
    if (bad.length > 0) errors.push(...bad);
    else if (quantitySign(value) < 0) errors.push(fieldInvalid(at, String(value), 'must be a valid resource quantity'));
    else errors.push(...resourceQuantity(at, 'storage', value));
  }
  return errors;
}

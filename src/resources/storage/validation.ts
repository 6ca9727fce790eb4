/** Kinds of storage.k8s.io: pkg/apis/storage/validation. */
import { isDeepStrictEqual } from 'node:util';
import type { TopologySelectorTerm } from '#kube/generated/core-v1.ts';
import type {
  CSIDriver,
  CSINode,
  CSINodeDriver,
  CSIStorageCapacity,
  StorageClass,
  TokenRequest,
  VolumeAttachment,
  VolumeAttributesClass,
  VolumeError,
} from '#kube/generated/storage-v1.ts';
import { isDns1123Subdomain, isQualifiedName } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldProblems, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import {
  dnsSubdomain,
  immutable,
  immutableText,
  nonNegative,
  nonNegativeQuantity,
  oneOf,
  optionalOneOf,
  qualifiedName,
} from '#kube/validation/values.ts';
import { csiDriverName } from '../core/volume-sources.ts';

/** The name of a provisioner or driver. */
const driverName = (field: string, name: string): FieldError[] =>
  name === '' ? [fieldRequired(field)] : fieldProblems(field, name, isQualifiedName(name.toLowerCase()));

const limits = { parameters: 512, parameterBytes: 256 * 1024, nodeIdBytes: 256, errorBytes: 1024, leastPeriod: 10 };

function parameters(field: string, map: Readonly<Record<string, string>> | undefined): FieldError[] {
  const entries = Object.entries(map ?? {});
  if (entries.length > limits.parameters) return [fieldTooLong(field, limits.parameters)];
  const errors = entries.filter(([key]) => key === '').map(() => fieldInvalid(field, '', 'field can not be empty.'));
  return entries.reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0) > limits.parameterBytes
    ? [...errors, fieldTooLong(field, limits.parameterBytes)]
    : errors;
}

/** Where volumes of a class may be: terms that differ, of keys that differ. */
function topologies(field: string, terms: readonly TopologySelectorTerm[] | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const seen: ReadonlyMap<string, Set<string>>[] = [];
  for (const [i, { matchLabelExpressions = [] }] of (terms ?? []).entries()) {
    const term = new Map<string, Set<string>>();
    for (const [j, { key, values }] of matchLabelExpressions.entries()) {
      // Upstream leaves out the place of the term.
      const at = `${field}.matchLabelExpressions[${j}]`;
      if (values.length === 0) errors.push(fieldRequired(`${at}.values`));
      for (const [k, value] of values.entries()) if (values.indexOf(value) < k) errors.push(fieldDuplicate(`${at}.values[${k}]`, value));
      errors.push(...qualifiedName(`${at}.key`, key));
      if (term.has(key)) errors.push(fieldDuplicate(`${at}.key`, key));
      term.set(key, new Set(values));
    }
    if (seen.some((other) => isDeepStrictEqual(other, term))) errors.push(fieldDuplicate(`${field}[${i}].matchLabelExpressions`, ''));
    seen.push(term);
  }
  return errors;
}

export function validateStorageClass(object: StorageClass): FieldError[] {
  const { reclaimPolicy } = object;
  return [
    ...driverName('provisioner', object.provisioner),
    ...parameters('parameters', object.parameters),
    ...(reclaimPolicy === '' ? [] : optionalOneOf('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain'])),
    ...oneOf('volumeBindingMode', object.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']),
    ...topologies('allowedTopologies', object.allowedTopologies),
  ];
}

export function validateStorageClassUpdate(object: StorageClass, old: StorageClass): FieldError[] {
  const errors = validateStorageClass(object);
  if (!isDeepStrictEqual(object.parameters, old.parameters))
    errors.push(fieldForbidden('parameters', 'updates to parameters are forbidden.'));
  if (object.provisioner !== old.provisioner) errors.push(fieldForbidden('provisioner', 'updates to provisioner are forbidden.'));
  if (object.reclaimPolicy !== old.reclaimPolicy) errors.push(fieldForbidden('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'));
  return [...errors, ...immutable('volumeBindingMode', object.volumeBindingMode, old.volumeBindingMode)];
}

export function validateVolumeAttributesClass(object: VolumeAttributesClass): FieldError[] {
  const errors = driverName('driverName', object.driverName);
  if (Object.keys(object.parameters ?? {}).length === 0)
    return [...errors, fieldRequired('parameters', 'must contain at least one key/value pair')];
  return [...errors, ...parameters('parameters', object.parameters)];
}

export function validateVolumeAttributesClassUpdate(object: VolumeAttributesClass, old: VolumeAttributesClass): FieldError[] {
  const errors = validateVolumeAttributesClass(object);
  if (object.driverName !== old.driverName) errors.push(fieldForbidden('driverName', 'updates to driverName are forbidden.'));
  if (!isDeepStrictEqual(object.parameters, old.parameters))
    errors.push(fieldForbidden('parameters', 'updates to parameters are forbidden.'));
  return errors;
}

/** What went wrong is told in few words. */
const volumeError = (field: string, error: VolumeError | undefined): FieldError[] =>
  Buffer.byteLength(error?.message ?? '') > limits.errorBytes ? [fieldTooLong(`${field}.message`, limits.errorBytes)] : [];

export const validateVolumeAttachmentStatus = ({ status }: VolumeAttachment): FieldError[] => [
  ...parameters('status.attachmentMetadata', status?.attachmentMetadata),
  ...volumeError('status.attachError', status?.attachError),
  ...volumeError('status.detachError', status?.detachError),
];

export function validateVolumeAttachment(object: VolumeAttachment): FieldError[] {
  const { spec } = object;
  const { inlineVolumeSpec: inline, persistentVolumeName: name } = spec.source;
  const errors = driverName('spec.attacher', spec.attacher);
  const field = 'spec.source';
  const one = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';
  if (inline === undefined && name === undefined) errors.push(fieldRequired(field, one));
  if (inline !== undefined && name !== undefined) errors.push(fieldForbidden(field, one));
  if (inline === undefined && name === '')
    errors.push(fieldRequired(`${field}.persistentVolumeName`, 'must specify non empty persistentVolumeName'));
  return [
    ...errors,
    ...dnsSubdomain('spec.nodeName', spec.nodeName),
    ...validateVolumeAttachmentStatus(object),
    ...csiDriverName('spec.attacher', spec.attacher),
    ...(name === undefined ? [] : dnsSubdomain(`${field}.persistentVolumeName`, name)),
  ];
}

export const validateVolumeAttachmentUpdate = (object: VolumeAttachment, old: VolumeAttachment): FieldError[] => [
  ...validateVolumeAttachment(object),
  ...immutable('spec', object.spec, old.spec),
];

const longest = 2 ** 32;

/** Audiences that a driver wants tokens for: each once. */
function tokenRequests(field: string, list: readonly TokenRequest[] | undefined): FieldError[] {
  const audiences = new Set<string>();
  return (list ?? []).flatMap(({ audience, expirationSeconds: seconds }, i) => {
    const at = `${field}[${i}]`;
    if (audiences.has(audience)) return [fieldDuplicate(`${at}.audience`, audience)];
    audiences.add(audience);
    if (seconds === undefined) return [];
    if (seconds < 600) return [fieldInvalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes')];
    return seconds > longest
      ? [fieldInvalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds')]
      : [];
  });
}

export function validateCsiDriver(object: CSIDriver): FieldError[] {
  const { spec } = object;
  const errors = csiDriverName('name', object.metadata.name ?? '');
  // Upstream's names.
  const required = { attachedRequired: spec.attachRequired, podInfoOnMount: spec.podInfoOnMount, storageCapacity: spec.storageCapacity };
  for (const [part, value] of Object.entries(required)) if (value === undefined) errors.push(fieldRequired(`spec.${part}`));
  const modes = spec.volumeLifecycleModes ?? [];
  const period = spec.nodeAllocatableUpdatePeriodSeconds;
  if (period !== undefined && period < limits.leastPeriod) {
    const rule = `must be greater than or equal to ${limits.leastPeriod} seconds`;
    errors.push(fieldInvalid('spec.nodeAllocatableUpdatePeriodSeconds', period, rule));
  }
  return [
    ...errors,
    ...optionalOneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType']),
    ...tokenRequests('spec.tokenRequests', spec.tokenRequests),
    ...modes.flatMap((mode) => optionalOneOf('spec.volumeLifecycleModes', mode, ['Persistent', 'Ephemeral'])),
  ];
}

export const validateCsiDriverUpdate = (object: CSIDriver, old: CSIDriver): FieldError[] => [
  ...validateCsiDriver(object),
  ...immutable('spec.attachedRequired', object.spec.attachRequired, old.spec.attachRequired),
  ...immutable('spec.volumeLifecycleModes', object.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes),
];

function nodeDriver(field: string, driver: CSINodeDriver): FieldError[] {
  const { name, nodeID: id, topologyKeys: keys, allocatable } = driver;
  const errors = csiDriverName(`${field}.name`, name);
  if (id === '') errors.push(fieldRequired(`${field}.nodeID`));
  if (id.length > limits.nodeIdBytes) errors.push(fieldInvalid(`${field}.nodeID`, id, `must be ${limits.nodeIdBytes} characters or less`));
  errors.push(...nonNegative(`${field}.allocatable.count`, allocatable?.count));
  for (const [i, key] of (keys ?? []).entries()) {
    if (key === '') errors.push(fieldRequired(field));
    if ((keys ?? []).indexOf(key) < i) errors.push(fieldDuplicate(field, key));
    errors.push(...fieldProblems(field, keys, isQualifiedName(key)));
  }
  return errors;
}

export function validateCsiNode(object: CSINode): FieldError[] {
  const names = new Set<string>();
  return object.spec.drivers.flatMap((driver, i) => {
    const at = `spec.drivers[${i}]`;
    const twice = names.has(driver.name) ? [fieldDuplicate(`${at}.name`, driver.name)] : [];
    names.add(driver.name);
    return [...nodeDriver(at, driver), ...twice];
  });
}

/** A driver that stays may change what it can take, nothing else. */
export function validateCsiNodeUpdate(object: CSINode, old: CSINode): FieldError[] {
  const fixed = ({ allocatable: _allocatable, ...driver }: CSINodeDriver): object => driver;
  const changed = old.spec.drivers.flatMap((was) =>
    object.spec.drivers.filter((now) => now.name === was.name && !isDeepStrictEqual(fixed(now), fixed(was))),
  );
  return [...validateCsiNode(object), ...changed.map((driver) => fieldInvalid('CSINodeDriver', driver, immutableText))];
}

export function validateCsiStorageCapacity(object: CSIStorageCapacity): FieldError[] {
  const errors = fieldProblems('storageClassName', object.storageClassName, isDns1123Subdomain(object.storageClassName));
  if (object.nodeTopology !== undefined) errors.push(...labelSelector('nodeTopology', object.nodeTopology));
  for (const part of ['capacity', 'maximumVolumeSize'] as const) {
    const size = object[part];
    if (size !== undefined) errors.push(...nonNegativeQuantity(part, size));
  }
  return errors;
}

export const validateCsiStorageCapacityUpdate = (object: CSIStorageCapacity, old: CSIStorageCapacity): FieldError[] => [
  ...validateCsiStorageCapacity(object),
  ...immutable('nodeTopology', object.nodeTopology, old.nodeTopology),
  ...immutable('storageClassName', object.storageClassName, old.storageClassName),
];

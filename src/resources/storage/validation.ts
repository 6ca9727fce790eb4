/** Kinds of storage.k8s.io: pkg/apis/storage/validation. */
import { isDeepStrictEqual } from 'node:util';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '#kube/generated/storage-v1.ts';
import { isDns1123Subdomain, isQualifiedName } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsSubdomain, immutable, nonNegativeQuantity, oneOf, optionalOneOf } from '#kube/validation/values.ts';

/** The name of a provisioner or driver. */
const driverName = (field: string, name: string): FieldError[] => {
  if (name === '') return [fieldRequired(field)];
  return fieldProblems(field, name.toLowerCase(), isQualifiedName(name.toLowerCase()));
};

export function validateStorageClass(object: StorageClass): FieldError[] {
  const errors = driverName('provisioner', object.provisioner);
  if (Object.hasOwn(object.parameters ?? {}, '')) errors.push(fieldInvalid('parameters', '', 'key must be non-empty'));
  return [
    ...errors,
    ...optionalOneOf('reclaimPolicy', object.reclaimPolicy, ['Delete', 'Retain']),
    ...oneOf('volumeBindingMode', object.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']),
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
    errors.push(fieldRequired('parameters', 'must contain at least one key/value pair'));
  return errors;
}

export function validateVolumeAttributesClassUpdate(object: VolumeAttributesClass, old: VolumeAttributesClass): FieldError[] {
  const errors = validateVolumeAttributesClass(object);
  if (object.driverName !== old.driverName) errors.push(fieldForbidden('driverName', 'updates to driverName are forbidden.'));
  if (!isDeepStrictEqual(object.parameters, old.parameters))
    errors.push(fieldForbidden('parameters', 'updates to parameters are forbidden.'));
  return errors;
}

export function validateVolumeAttachment(object: VolumeAttachment): FieldError[] {
  const { spec } = object;
  const errors = driverName('spec.attacher', spec.attacher);
  const { inlineVolumeSpec: inline, persistentVolumeName: name } = spec.source;
  if (inline === undefined && name === undefined)
    errors.push(fieldRequired('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'));
  if (inline !== undefined && name !== undefined)
    errors.push(fieldForbidden('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'));
  if (name === '') errors.push(fieldRequired('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName'));
  if (spec.nodeName === '') errors.push(fieldRequired('spec.nodeName'));
  else errors.push(...dnsSubdomain('spec.nodeName', spec.nodeName));
  return errors;
}

export const validateVolumeAttachmentUpdate = (object: VolumeAttachment, old: VolumeAttachment): FieldError[] => [
  ...validateVolumeAttachment(object),
  ...immutable('spec', object.spec, old.spec),
];

const lifecycleModes = ['Ephemeral', 'Persistent'];

export function validateCsiDriver(object: CSIDriver): FieldError[] {
  const { spec } = object;
  const errors = driverName('metadata.name', object.metadata.name ?? '');
  for (const part of ['attachRequired', 'podInfoOnMount', 'storageCapacity'] as const) {
    if (spec[part] === undefined) errors.push(fieldRequired(`spec.${part}`));
  }
  errors.push(...optionalOneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType']));
  for (const [i, mode] of (spec.volumeLifecycleModes ?? []).entries()) {
    errors.push(...optionalOneOf(`spec.volumeLifecycleModes[${i}]`, mode, lifecycleModes));
  }
  const audiences = new Set<string>();
  for (const [i, token] of (spec.tokenRequests ?? []).entries()) {
    const at = `spec.tokenRequests[${i}]`;
    if (audiences.has(token.audience)) errors.push(fieldDuplicate(`${at}.audience`, token.audience));
    audiences.add(token.audience);
    const seconds = token.expirationSeconds;
    if (seconds !== undefined && seconds < 600) {
      errors.push(fieldInvalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
    }
  }
  return errors;
}

export const validateCsiDriverUpdate = (object: CSIDriver, old: CSIDriver): FieldError[] => [
  ...validateCsiDriver(object),
  ...immutable('spec.attachRequired', object.spec.attachRequired, old.spec.attachRequired),
  ...immutable('spec.volumeLifecycleModes', object.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes),
];

export function validateCsiNode(object: CSINode): FieldError[] {
  const names = new Set<string>();
  return object.spec.drivers.flatMap((driver, i) => {
    const at = `spec.drivers[${i}]`;
    const errors = driverName(`${at}.name`, driver.name);
    if (names.has(driver.name)) errors.push(fieldDuplicate(`${at}.name`, driver.name));
    names.add(driver.name);
    if (driver.nodeID === '') errors.push(fieldRequired(`${at}.nodeID`));
    const count = driver.allocatable?.count;
    if (count !== undefined && count < 0) errors.push(fieldInvalid(`${at}.allocatable.count`, count, 'must be greater than or equal to 0'));
    return errors;
  });
}

export function validateCsiStorageCapacity(object: CSIStorageCapacity): FieldError[] {
  const errors = fieldProblems('storageClassName', object.storageClassName, isDns1123Subdomain(object.storageClassName));
  if (object.capacity !== undefined) errors.push(...nonNegativeQuantity('capacity', object.capacity));
  return errors;
}

export const validateCsiStorageCapacityUpdate = (object: CSIStorageCapacity, old: CSIStorageCapacity): FieldError[] => [
  ...validateCsiStorageCapacity(object),
  ...immutable('nodeTopology', object.nodeTopology, old.nodeTopology),
  ...immutable('storageClassName', object.storageClassName, old.storageClassName),
];

/** Dynamic resource allocation: the common part of pkg/apis/resource/validation. */
import type {
  DeviceClass,
  DeviceRequest,
  ResourceClaim,
  ResourceClaimSpec,
  ResourceClaimTemplate,
  ResourceSlice,
} from '#kube/generated/resource-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldNotFound, fieldRequired, fieldTooMany } from '#kube/validation/field-error.ts';
import { dnsLabel, dnsSubdomain, immutable, oneOf } from '#kube/validation/values.ts';

const limits = { requests: 32, devices: 128 };

interface Exact {
  readonly deviceClassName: string;
  readonly allocationMode?: string;
  readonly count?: number;
}

function exact(field: string, request: Exact): FieldError[] {
  const errors =
    request.deviceClassName === ''
      ? [fieldRequired(`${field}.deviceClassName`)]
      : dnsSubdomain(`${field}.deviceClassName`, request.deviceClassName);
  errors.push(...oneOf(`${field}.allocationMode`, request.allocationMode, ['All', 'ExactCount']));
  const count = request.count ?? 0;
  if (request.allocationMode === 'ExactCount' && count <= 0)
    errors.push(fieldInvalid(`${field}.count`, count, 'must be greater than zero'));
  if (request.allocationMode === 'All' && count !== 0) {
    errors.push(fieldInvalid(`${field}.count`, count, "must not be specified when allocationMode is 'All'"));
  }
  return errors;
}

function request(field: string, r: DeviceRequest): FieldError[] {
  const errors = dnsLabel(`${field}.name`, r.name);
  const alternatives = r.firstAvailable ?? [];
  const kinds = Number(r.exactly !== undefined) + Number(alternatives.length > 0);
  if (kinds === 0) errors.push(fieldRequired(field, 'exactly one of `exactly` or `firstAvailable` is required'));
  if (kinds > 1)
    errors.push(fieldInvalid(field, null, 'exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set'));
  if (r.exactly !== undefined) errors.push(...exact(`${field}.exactly`, r.exactly));
  const names = new Set<string>();
  for (const [i, alternative] of alternatives.entries()) {
    const at = `${field}.firstAvailable[${i}]`;
    errors.push(...dnsLabel(`${at}.name`, alternative.name), ...exact(at, alternative));
    if (names.has(alternative.name)) errors.push(fieldDuplicate(at, alternative.name));
    names.add(alternative.name);
  }
  return errors;
}

function claimSpec(field: string, spec: ResourceClaimSpec | undefined): FieldError[] {
  const requests = spec?.devices?.requests ?? [];
  const at = `${field}.devices.requests`;
  if (requests.length > limits.requests) return [fieldTooMany(at, requests.length, limits.requests)];
  const names = new Set<string>();
  const errors = requests.flatMap((r, i) => {
    const found = request(`${at}[${i}]`, r);
    if (names.has(r.name)) found.push(fieldDuplicate(`${at}[${i}]`, r.name));
    names.add(r.name);
    return found;
  });
  for (const [i, constraint] of (spec?.devices?.constraints ?? []).entries()) {
    for (const [j, name] of (constraint.requests ?? []).entries()) {
      if (!names.has(name.split('/')[0] ?? '')) errors.push(fieldNotFound(`${field}.devices.constraints[${i}].requests[${j}]`, name));
    }
  }
  return errors;
}

export const validateResourceClaim = (object: ResourceClaim): FieldError[] => claimSpec('spec', object.spec);

export const validateResourceClaimUpdate = (object: ResourceClaim, old: ResourceClaim): FieldError[] => [
  ...immutable('spec', object.spec, old.spec),
  ...validateResourceClaim(object),
];

export const validateResourceClaimTemplate = (object: ResourceClaimTemplate): FieldError[] => claimSpec('spec.spec', object.spec?.spec);

export const validateResourceClaimTemplateUpdate = (object: ResourceClaimTemplate, old: ResourceClaimTemplate): FieldError[] => [
  ...validateResourceClaimTemplate(object),
  ...immutable('spec', object.spec, old.spec),
];

export const validateDeviceClass = (object: DeviceClass): FieldError[] =>
  (object.spec?.selectors ?? []).flatMap((selector, i) =>
    (selector.cel?.expression ?? '') === '' ? [fieldRequired(`spec.selectors[${i}].cel`)] : [],
  );

export function validateResourceSlice(object: ResourceSlice): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = spec.driver === '' ? [fieldRequired('spec.driver')] : dnsSubdomain('spec.driver', spec.driver);
  const { pool } = spec;
  if (pool.name === '') errors.push(fieldRequired('spec.pool.name'));
  if (pool.resourceSliceCount <= 0)
    errors.push(fieldInvalid('spec.pool.resourceSliceCount', pool.resourceSliceCount, 'must be greater than zero'));
  if (pool.generation < 0) errors.push(fieldInvalid('spec.pool.generation', pool.generation, 'must be greater than or equal to zero'));
  const placed = [
    spec.nodeName !== undefined,
    spec.nodeSelector !== undefined,
    spec.allNodes === true,
    spec.perDeviceNodeSelection === true,
  ];
  const count = placed.filter(Boolean).length;
  const rule = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';
  if (count === 0) errors.push(fieldRequired('spec', rule));
  if (count > 1) errors.push(fieldInvalid('spec', null, rule));
  const devices = spec.devices ?? [];
  if (devices.length > limits.devices) errors.push(fieldTooMany('spec.devices', devices.length, limits.devices));
  const names = new Set<string>();
  for (const [i, device] of devices.entries()) {
    errors.push(...dnsLabel(`spec.devices[${i}].name`, device.name));
    if (names.has(device.name)) errors.push(fieldDuplicate(`spec.devices[${i}].name`, device.name));
    names.add(device.name);
  }
  return errors;
}

export const validateResourceSliceUpdate = (object: ResourceSlice, old: ResourceSlice): FieldError[] => [
  ...validateResourceSlice(object),
  ...immutable('spec.driver', object.spec?.driver, old.spec?.driver),
  ...immutable('spec.pool.name', object.spec?.pool.name, old.spec?.pool.name),
  ...immutable('spec.nodeName', object.spec?.nodeName, old.spec?.nodeName),
];

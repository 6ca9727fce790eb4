/** IPAddress and ServiceCIDR: pkg/apis/networking/validation. */
import type { IPAddress, ServiceCIDR } from '#kube/generated/networking-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { canonicalCidr, canonicalIpAddress, cidrFamily } from '#kube/validation/addresses.ts';
import { fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsSubdomain, immutable, immutableText, pathSegmentProblems, requiredPathSegment } from '#kube/validation/values.ts';

export function validateIpAddress(object: IPAddress): FieldError[] {
  const errors = canonicalIpAddress('metadata.name', object.metadata.name ?? '');
  const field = 'spec.parentRef';
  const parent = object.spec?.parentRef;
  if (parent === undefined) return [...errors, fieldRequired(field)];
  const { group = '', namespace = '' } = parent;
  return [
    ...errors,
    ...(group === '' ? [] : dnsSubdomain(`${field}.group`, group)),
    ...requiredPathSegment(`${field}.resource`, parent.resource),
    ...requiredPathSegment(`${field}.name`, parent.name),
    ...fieldProblems(`${field}.namespace`, namespace, pathSegmentProblems(namespace)),
  ];
}

export const validateIpAddressUpdate = (object: IPAddress, old: IPAddress): FieldError[] =>
  immutable('spec.parentRef', object.spec?.parentRef, old.spec?.parentRef);

const field = 'spec.cidrs';

export function validateServiceCidr(object: ServiceCIDR): FieldError[] {
  const ranges = object.spec?.cidrs ?? [];
  if (ranges.length === 0) return [fieldRequired(field, 'at least one CIDR required')];
  if (ranges.length > 2) return [fieldInvalid(field, { CIDRs: ranges }, 'may only hold up to 2 values')];
  const errors = ranges.flatMap((range, i) => canonicalCidr(`${field}[${i}]`, range));
  const [first, second] = ranges.map(cidrFamily);
  if (first !== undefined && first === second) {
    const rule = 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64';
    errors.push(fieldInvalid(field, ranges, rule));
  }
  return errors;
}

/** A second range may be added, so that services get addresses of both families; nothing else changes. */
export function validateServiceCidrUpdate(object: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const [now, was] = [object.spec?.cidrs ?? [], old.spec?.cidrs ?? []];
  const added = was.length === 1 && now.length === 2;
  if (!added && now.length !== was.length) return [fieldInvalid(field, now, immutableText)];
  const changed = was.flatMap((range, i) => (range === now[i] ? [] : [fieldInvalid(`${field}[${i}]`, now[i], immutableText)]));
  return added ? [...changed, ...validateServiceCidr(object)] : changed;
}

/** IPAddress and ServiceCIDR. */

import type { IPAddress, ServiceCIDR } from '#kube/generated/networking-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { cidr, immutable, isCidr } from '#kube/validation/values.ts';
import { formatCidr, formatIp, parseCidr, parseIp } from '#lib/cidr.ts';

export function validateIpAddress(object: IPAddress): FieldError[] {
  const name = object.metadata.name ?? '';
  const ip = parseIp(name);
  const errors: FieldError[] = [];
  if (ip === undefined) errors.push(fieldInvalid('metadata.name', name, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
  else if (formatIp(ip.family, ip.value) !== name) {
    errors.push(fieldInvalid('metadata.name', name, `must be in canonical form (${JSON.stringify(formatIp(ip.family, ip.value))})`));
  }
  const parent = object.spec?.parentRef;
  if (parent === undefined) return [...errors, fieldRequired('spec.parentRef')];
  if ((parent.resource ?? '') === '') errors.push(fieldRequired('spec.parentRef.resource'));
  if ((parent.name ?? '') === '') errors.push(fieldRequired('spec.parentRef.name'));
  return errors;
}

export const validateIpAddressUpdate = (object: IPAddress, old: IPAddress): FieldError[] => [
  ...validateIpAddress(object),
  ...immutable('spec.parentRef', object.spec?.parentRef, old.spec?.parentRef),
];

export function validateServiceCidr(object: ServiceCIDR): FieldError[] {
  const ranges = object.spec?.cidrs ?? [];
  if (ranges.length === 0) return [fieldRequired('spec.cidrs', 'at least one CIDR required')];
  if (ranges.length > 2) return [fieldInvalid('spec', { cidrs: ranges }, 'may only hold up to 2 values')];
  const errors = ranges.flatMap((range, i) => cidr(`spec.cidrs[${i}]`, range));
  const [first, second] = ranges.map(parseCidr);
  if (first !== undefined && second !== undefined && first.family === second.family) {
    errors.push(
      fieldInvalid('spec', { cidrs: ranges }, 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'),
    );
  }
  for (const [i, range] of ranges.entries()) {
    const parsed = parseCidr(range);
    if (isCidr(range) && parsed !== undefined && formatCidr(parsed) !== range) {
      errors.push(fieldInvalid(`spec.cidrs[${i}]`, range, `must be in canonical form (${JSON.stringify(formatCidr(parsed))})`));
    }
  }
  return errors;
}

export const validateServiceCidrUpdate = (object: ServiceCIDR, old: ServiceCIDR): FieldError[] => [
  ...validateServiceCidr(object),
  ...immutable('spec.cidrs[0]', object.spec?.cidrs?.[0], old.spec?.cidrs?.[0]),
];

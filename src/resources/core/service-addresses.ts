/** Addresses and IP families of services: pkg/apis/core/validation. */
import { isDeepStrictEqual } from 'node:util';
import type { Service, ServiceSpec } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { ipAddress, ipFamily, isDualStack } from '#kube/validation/addresses.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { optionalOneOf } from '#kube/validation/values.ts';

export const isHeadless = ({ clusterIPs = [] }: ServiceSpec): boolean => clusterIPs.length === 1 && clusterIPs[0] === 'None';

const ips = 'spec.clusterIPs';
const once = 'may not change once set';

/** The single field and the list say the same. */
function inStep({ clusterIP = '', clusterIPs = [] }: ServiceSpec): FieldError[] {
  if (clusterIP === '')
    return clusterIPs.length === 0 ? [] : [fieldInvalid(ips, clusterIPs, 'must be empty when `clusterIP` is not specified')];
  if (clusterIPs.length === 0) return [fieldRequired(ips)];
  return clusterIPs[0] === clusterIP ? [] : [fieldInvalid(ips, clusterIPs, 'first value must match `clusterIP`')];
}

function families(list: readonly string[]): FieldError[] {
  return list.flatMap((family, i) => [
    ...(family === 'IPv4' || family === 'IPv6' ? [] : [fieldNotSupported(`spec.ipFamilies[${i}]`, family, ['IPv4', 'IPv6'])]),
    ...(list.indexOf(family) < i ? [fieldDuplicate(`spec.ipFamilies[${i}]`, family)] : []),
  ]);
}

function addressList(list: readonly string[], known: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, ip] of list.entries()) {
    if (i > 0 || ip !== 'None') errors.push(...ipAddress(`${ips}[${i}]`, ip, known));
    else if (list.length > 1) errors.push(fieldInvalid(ips, list, "'None' must be the first and only value"));
  }
  return errors;
}

/** ValidateServiceClusterIPsRelatedFields; `known`: what the old object holds. */
export function clusterAddresses(spec: ServiceSpec, known: readonly string[]): FieldError[] {
  const { clusterIPs: list = [], ipFamilies = [] } = spec;
  const errors = [
    ...inStep(spec),
    ...families(ipFamilies),
    ...optionalOneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, ['PreferDualStack', 'RequireDualStack', 'SingleStack']),
  ];
  const bad = addressList(list, known);
  errors.push(...bad);
  if (list.length > 2) errors.push(fieldInvalid(ips, list, 'may only hold up to 2 values'));
  if (bad.length > 0) return errors;
  if (list.length > 1 && !isDualStack(list.map(ipFamily)))
    errors.push(fieldInvalid(ips, list, 'may specify no more than one IP for each IP family'));
  if (isHeadless(spec)) return errors;
  for (const [i, ip] of list.slice(0, ipFamilies.length).entries()) {
    const family = ipFamilies[i];
    if ((family === 'IPv4' || family === 'IPv6') && family !== `IPv${ipFamily(ip)}`)
      errors.push(fieldInvalid(`${ips}[${i}]`, ip, `expected an ${family} value as indicated by \`ipFamilies[${i}]\``));
  }
  return errors;
}

/** A service of type ExternalName has no addresses. */
export function noAddresses(spec: ServiceSpec): FieldError[] {
  const rule = 'may not be set for ExternalName services';
  return [
    ...((spec.clusterIPs ?? []).length > 0 ? [fieldForbidden(ips, rule)] : []),
    ...((spec.ipFamilies ?? []).length > 0 ? [fieldForbidden('spec.ipFamilies', rule)] : []),
    ...(spec.ipFamilyPolicy === undefined ? [] : [fieldForbidden('spec.ipFamilyPolicy', rule)]),
  ];
}

/** What a list of addresses or families may do in an update: grow or shrink at its end. `what` names its entries. */
function listUpdate(spec: ServiceSpec, old: ServiceSpec, part: 'clusterIPs' | 'ipFamilies', what: string): FieldError[] {
  const field = `spec.${part}`;
  const [now, was] = [spec[part] ?? [], old[part] ?? []];
  if (now.length === was.length)
    return was.flatMap((value, i) => (value === now[i] ? [] : [fieldInvalid(`${field}[${part === 'clusterIPs' ? i : 0}]`, now, once)]));
  const errors: FieldError[] = [];
  const moved = now.length > 0 && was.length > 0 && now[0] !== was[0];
  if (moved) errors.push(fieldInvalid(`${field}[0]`, spec.clusterIPs ?? [], once));
  if (now.length > was.length) return errors;
  if ((spec.clusterIPs ?? []).length === 0) errors.unshift(fieldInvalid(`${field}[0]`, now, `primary ${what} can not be unset`));
  if (now.length === 1 && spec.ipFamilyPolicy !== 'SingleStack')
    errors.push(
      fieldInvalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy ?? null, `must be set to 'SingleStack' when releasing the secondary ${what}`),
    );
  return errors;
}

/** validateUpgradeDowngradeClusterIPs and validateUpgradeDowngradeIPFamilies. */
export function addressesUpdate({ spec = {} }: Service, { spec: old = {} }: Service): FieldError[] {
  if (spec.type === 'ExternalName' || old.type === 'ExternalName') return [];
  const [now, was] = [isHeadless(spec), isHeadless(old)];
  const errors = now && was ? [] : listUpdate(spec, old, 'clusterIPs', 'clusterIP');
  if (now || was || isDeepStrictEqual(spec.ipFamilies, old.ipFamilies)) return errors;
  return [...errors, ...listUpdate(spec, old, 'ipFamilies', 'ipFamily')];
}

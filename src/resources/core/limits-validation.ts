/** LimitRanges and ResourceQuotas. */
import type { LimitRange, LimitRangeItem, ResourceQuota } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { compareAmounts, immutable, ownValue, qualifiedName } from '#kube/validation/values.ts';
import { resourceQuantity } from './pod-validation/resources.ts';

const isUnset = (map: object | undefined): boolean => map === undefined || Object.keys(map).length === 0;

/** The smaller of two amounts must not be above the larger one. */
function ordered(
  field: string,
  item: LimitRangeItem,
  name: string,
  low: keyof LimitRangeItem,
  high: keyof LimitRangeItem,
  text: string,
): FieldError[] {
  const of = (part: keyof LimitRangeItem) => ownValue(item[part] as LimitRangeItem['min'], name);
  const [a, b] = [of(low), of(high)];
  if ((compareAmounts(a, b) ?? 0) <= 0) return [];
  return [
    fieldInvalid(
      `${field}.${low}[${name}]`,
      String(a),
      `${text} value ${a} is greater than ${high === 'max' ? 'max' : high === 'default' ? 'default limit' : high} value ${b}`,
    ),
  ];
}

function limitItem(field: string, item: LimitRangeItem): FieldError[] {
  const errors: FieldError[] = [];
  if (item.type === '') errors.push(fieldRequired(`${field}.type`));
  for (const part of ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const) {
    for (const [name, value] of Object.entries(item[part] ?? {})) {
      errors.push(...qualifiedName(`${field}.${part}[${name}]`, name), ...resourceQuantity(`${field}.${part}[${name}]`, name, value));
    }
  }
  if (item.type === 'Pod') {
    if (!isUnset(item.default)) errors.push(fieldForbidden(`${field}.default`, "may not be specified when `type` is 'Pod'"));
    if (!isUnset(item.defaultRequest)) errors.push(fieldForbidden(`${field}.defaultRequest`, "may not be specified when `type` is 'Pod'"));
  }
  if (item.type === 'PersistentVolumeClaim' && item.min?.['storage'] === undefined && item.max?.['storage'] === undefined) {
    errors.push(fieldRequired(`${field}.limits`, 'either minimum or maximum storage value is required, but neither was provided'));
  }
  const names = new Set(Object.keys({ ...item.max, ...item.min, ...item.default, ...item.defaultRequest }));
  for (const name of names) {
    errors.push(
      ...ordered(field, item, name, 'min', 'max', 'min'),
      ...ordered(field, item, name, 'min', 'defaultRequest', 'min'),
      ...ordered(field, item, name, 'defaultRequest', 'max', 'default request'),
      ...ordered(field, item, name, 'defaultRequest', 'default', 'default request'),
      ...ordered(field, item, name, 'default', 'max', 'default'),
    );
  }
  return errors;
}

export function validateLimitRange(object: LimitRange): FieldError[] {
  const seen = new Set<string>();
  return (object.spec?.limits ?? []).flatMap((item, i) => {
    const at = `spec.limits[${i}]`;
    const errors = limitItem(at, item);
    if (seen.has(item.type)) errors.push(fieldDuplicate(`${at}.type`, item.type));
    seen.add(item.type);
    return errors;
  });
}

const quotaNames = new Set([
  ...['cpu', 'memory', 'ephemeral-storage', 'requests.cpu', 'requests.memory', 'requests.storage', 'requests.ephemeral-storage'],
  ...['limits.cpu', 'limits.memory', 'limits.ephemeral-storage', 'pods', 'services', 'replicationcontrollers', 'resourcequotas'],
  ...['secrets', 'configmaps', 'persistentvolumeclaims', 'services.nodeports', 'services.loadbalancers'],
]);
const countedNames =
  /^(?:pods|services|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|services\..*|count\/.*)$/;

export function validateResourceQuota(object: ResourceQuota): FieldError[] {
  return Object.entries(object.spec?.hard ?? {}).flatMap(([name, value]) => {
    const at = `spec.hard[${name}]`;
    const errors = qualifiedName(at, name);
    if (!name.includes('/') && !quotaNames.has(name) && !/^(?:requests\.|limits\.)?hugepages-/.test(name)) {
      errors.push(fieldInvalid(at, name, 'must be a standard resource for quota'));
    }
    errors.push(...resourceQuantity(at, countedNames.test(name) ? 'pods' : name, value));
    return errors;
  });
}

export const validateResourceQuotaUpdate = (object: ResourceQuota, old: ResourceQuota): FieldError[] => [
  ...validateResourceQuota(object),
  ...immutable('spec.scopes', [...(object.spec?.scopes ?? [])].sort(), [...(old.spec?.scopes ?? [])].sort()),
];

/** LimitRanges and ResourceQuotas. */
import type {
  LimitRange,
  LimitRangeItem,
  ResourceQuota,
  ResourceQuotaSpec,
  ScopedResourceSelectorRequirement,
} from '#kube/generated/core-v1.ts';
import { isQualifiedName } from '#kube/names.ts';
import { compareQuantity, milliValue } from '#kube/quantity.ts';
import type { Quantity } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { immutableText, ownValue } from '#kube/validation/values.ts';
import {
  containerResourceName,
  isQuotaResource,
  mayOvercommit,
  quotaResourceName,
  resourceName,
  resourceQuantity,
} from './pod-validation/resources.ts';

type Amounts = Readonly<Record<string, Quantity>> | undefined;

const limitTypes = new Set(['Pod', 'Container', 'PersistentVolumeClaim']);

function limitType(field: string, type: string): FieldError[] {
  const errors = fieldProblems(field, type, isQualifiedName(type));
  if (errors.length > 0 || type.includes('/') || limitTypes.has(type)) return errors;
  return [fieldInvalid(field, type, 'must be a standard limit type or fully qualified')];
}

/** The bounds of one resource, by the words that upstream has for them. */
interface Bounds {
  readonly min: Quantity | undefined;
  readonly max: Quantity | undefined;
  readonly default: Quantity | undefined;
  readonly defaultRequest: Quantity | undefined;
}
/** What may not be above what; the bound that upstream names and the one whose value it shows; how it calls the two. */
type Order = readonly [low: keyof Bounds, high: keyof Bounds, named: keyof Bounds, shown: keyof Bounds, lowWord: string, highWord: string];
const orders: readonly Order[] = [
  ['min', 'max', 'min', 'min', 'min', 'max'],
  ['min', 'defaultRequest', 'defaultRequest', 'defaultRequest', 'min', 'default request'],
  ['defaultRequest', 'max', 'defaultRequest', 'defaultRequest', 'default request', 'max'],
  ['defaultRequest', 'default', 'defaultRequest', 'defaultRequest', 'default request', 'default limit'],
  ['min', 'default', 'default', 'min', 'min', 'default'],
  ['default', 'max', 'default', 'max', 'default', 'max'],
];

function ratioErrors(at: string, ratio: Quantity, { min, max }: Bounds): FieldError[] {
  const errors: FieldError[] = [];
  if (compareQuantity(ratio, '1') < 0) errors.push(fieldInvalid(at, String(ratio), `ratio ${ratio} is less than 1`));
  if (min === undefined || max === undefined) return errors;
  const most = milliValue(max) / milliValue(min);
  if (milliValue(ratio) / 1000 <= most || Number.isNaN(most)) return errors;
  return [...errors, fieldInvalid(at, String(ratio), `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`)];
}

function boundErrors(field: string, name: string, bounds: Bounds, ratio: Quantity | undefined): FieldError[] {
  const errors: FieldError[] = [];
  for (const [low, high, named, shown, lowWord, highWord] of orders) {
    const [a, b] = [bounds[low], bounds[high]];
    if (a === undefined || b === undefined || compareQuantity(a, b) <= 0) continue;
    errors.push(
      fieldInvalid(`${field}.${named}[${name}]`, String(bounds[shown]), `${lowWord} value ${a} is greater than ${highWord} value ${b}`),
    );
  }
  if (ratio !== undefined) errors.push(...ratioErrors(`${field}.maxLimitRequestRatio[${name}]`, ratio, bounds));
  const { default: limit, defaultRequest: request } = bounds;
  if (!mayOvercommit(name) && limit !== undefined && request !== undefined && compareQuantity(limit, request) !== 0) {
    const rule = `default value ${limit} must equal to defaultRequest value ${request} in ${name}`;
    errors.push(fieldInvalid(`${field}.defaultRequest[${name}]`, String(request), rule));
  }
  return errors;
}

function limitItem(field: string, item: LimitRangeItem): FieldError[] {
  const ofPods = item.type === 'Pod';
  const check = ofPods || item.type === 'Container' ? containerResourceName : resourceName;
  const namesOf = (part: keyof LimitRangeItem, amounts: Amounts): FieldError[] =>
    Object.keys(amounts ?? {}).flatMap((name) => check(`${field}.${part}[${name}]`, name));
  const errors = [...namesOf('max', item.max), ...namesOf('min', item.min)];
  for (const part of ['default', 'defaultRequest'] as const) {
    if (!ofPods) errors.push(...namesOf(part, item[part]));
    else if (Object.keys(item[part] ?? {}).length > 0)
      errors.push(fieldForbidden(`${field}.${part}`, "may not be specified when `type` is 'Pod'"));
  }
  const storage = ownValue(item.min, 'storage') ?? ownValue(item.max, 'storage');
  if (item.type === 'PersistentVolumeClaim' && storage === undefined)
    errors.push(fieldRequired(`${field}.limits`, 'either minimum or maximum storage value is required, but neither was provided'));
  errors.push(...namesOf('maxLimitRequestRatio', item.maxLimitRequestRatio));
  const defaults = ofPods ? {} : { ...item.default, ...item.defaultRequest };
  for (const name of Object.keys({ ...item.max, ...item.min, ...defaults, ...item.maxLimitRequestRatio })) {
    const bounds = {
      min: ownValue(item.min, name),
      max: ownValue(item.max, name),
      default: ofPods ? undefined : ownValue(item.default, name),
      defaultRequest: ofPods ? undefined : ownValue(item.defaultRequest, name),
    };
    errors.push(...boundErrors(field, name, bounds, ownValue(item.maxLimitRequestRatio, name)));
  }
  return errors;
}

export function validateLimitRange(object: LimitRange): FieldError[] {
  const seen = new Set<string>();
  return (object.spec?.limits ?? []).flatMap((item, i) => {
    const at = `spec.limits[${i}]`;
    const errors = limitType(`${at}.type`, item.type);
    if (seen.has(item.type)) errors.push(fieldDuplicate(`${at}.type`, item.type));
    seen.add(item.type);
    return [...errors, ...limitItem(at, item)];
  });
}

/** Amounts that a quota has or knows of. */
const quotaAmounts = (field: string, amounts: Amounts): FieldError[] =>
  Object.entries(amounts ?? {}).flatMap(([name, value]) => {
    const at = `${field}[${name}]`;
    return [...quotaResourceName(at, name), ...resourceQuantity(at, name, value)];
  });

const ofPods = ['pods', 'cpu', 'memory', 'limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory'];
/** The scopes, with the resources that each can limit. */
const scopes: Readonly<Record<string, readonly string[]>> = {
  Terminating: ofPods,
  NotTerminating: ofPods,
  BestEffort: ['pods'],
  NotBestEffort: ofPods,
  PriorityClass: ofPods,
  CrossNamespacePodAffinity: ofPods,
  VolumeAttributesClass: ['persistentvolumeclaims', 'requests.storage'],
};
const opposites = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

/** Scopes that exist, that the resources can have, and that do not exclude each other. */
function scopeErrors(
  spec: ResourceQuotaSpec,
  given: readonly string[],
  places: { readonly unknown: (scope: string) => FieldError; readonly wrong: FieldError; readonly conflict: FieldError },
  each: (i: number) => FieldError[] = () => [],
): FieldError[] {
  const limited = Object.keys(spec.hard ?? {})
    .filter(isQuotaResource)
    .sort();
  const errors = given.flatMap((scope, i) => {
    const can = ownValue(scopes, scope);
    const wrong = limited.filter((name) => can !== undefined && !can.includes(name)).map(() => places.wrong);
    return [...(can === undefined ? [places.unknown(scope)] : []), ...wrong, ...each(i)];
  });
  for (const pair of opposites) if (pair.every((scope) => given.includes(scope))) errors.push(places.conflict);
  return errors;
}

const existsOnly =
  "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
const withValues = new Set(['PriorityClass', 'VolumeAttributesClass']);

function requirement(field: string, { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement): FieldError[] {
  const errors: FieldError[] = [];
  if (Object.hasOwn(scopes, scopeName) && !withValues.has(scopeName) && operator !== 'Exists')
    errors.push(fieldInvalid(`${field}.operator`, operator, existsOnly));
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0)
      errors.push(fieldRequired(`${field}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"));
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0)
      errors.push(
        fieldInvalid(`${field}.values`, values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"),
      );
  } else errors.push(fieldInvalid(`${field}.operator`, operator, 'not a valid selector operator'));
  return errors;
}

function scopeSelector(spec: ResourceQuotaSpec): FieldError[] {
  if (spec.scopeSelector === undefined) return [];
  const list = spec.scopeSelector.matchExpressions ?? [];
  const field = 'spec.scopeSelector.matchExpressions';
  // As Go writes the struct.
  const shown = { MatchExpressions: list.map((r) => ({ ScopeName: r.scopeName, Operator: r.operator, Values: r.values ?? null })) };
  return scopeErrors(
    spec,
    list.map((r) => r.scopeName),
    {
      unknown: (scope) => fieldInvalid(`${field}.scopeName`, scope, 'unsupported scope'),
      wrong: fieldInvalid(field, shown, 'unsupported scope applied to resource'),
      conflict: fieldInvalid(field, spec.scopes ?? null, 'conflicting scopes'),
    },
    (i) => (list[i] === undefined ? [] : requirement(field, list[i])),
  );
}

function quotaSpec(spec: ResourceQuotaSpec): FieldError[] {
  const list = spec.scopes ?? [];
  const bad = (why: string): FieldError => fieldInvalid('spec.scopes', list, why);
  return [
    ...quotaAmounts('spec.hard', spec.hard),
    ...scopeErrors(spec, list, {
      unknown: () => bad('unsupported scope'),
      wrong: bad('unsupported scope applied to resource'),
      conflict: bad('conflicting scopes'),
    }),
    ...scopeSelector(spec),
  ];
}

export const validateResourceQuotaStatus = ({ status }: ResourceQuota): FieldError[] => [
  ...quotaAmounts('status.hard', status?.hard),
  ...quotaAmounts('status.used', status?.used),
];

export const validateResourceQuota = (object: ResourceQuota): FieldError[] => [
  ...quotaSpec(object.spec ?? {}),
  ...validateResourceQuotaStatus(object),
];

export function validateResourceQuotaUpdate(object: ResourceQuota, old: ResourceQuota): FieldError[] {
  const errors = quotaSpec(object.spec ?? {});
  const [now, was] = [new Set(object.spec?.scopes), new Set(old.spec?.scopes)];
  if (now.symmetricDifference(was).size > 0) errors.push(fieldInvalid('spec.scopes', object.spec?.scopes ?? null, immutableText));
  return errors;
}

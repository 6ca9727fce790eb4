/** ResourceSlices: pkg/apis/resource/validation. */
import { isDeepStrictEqual } from 'node:util';
import type {
  CounterSet,
  Device,
  DeviceAttribute,
  DeviceCapacity,
  DeviceTaint,
  ResourceSlice,
  ResourceSliceSpec,
} from '#kube/generated/resource-v1.ts';
import { isLabelValue } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldProblems, fieldRequired, fieldTooLong, fieldTooMany } from '#kube/validation/field-error.ts';
import { dnsLabel, dnsSubdomain, immutable, oneOf, qualifiedName, requiredDnsLabel } from '#kube/validation/values.ts';
import { nodeSelector } from '../core/pod-validation/placement.ts';
import { csiDriverName } from '../core/volume-sources.ts';
import { attributeName, distinct, items, poolName } from './lists.ts';

const limits = {
  ...{ devices: 128, devicesWithMore: 64, attributes: 32, values: 48, text: 64, taints: 16 },
  ...{ counterSets: 8, counters: 32, consumptions: 2 },
};

const number = '(0|[1-9]\\d*)';
const release = '(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)';
const build = '[0-9a-zA-Z-]+';
const version = new RegExp(`^${number}\\.${number}\\.${number}(-${release}(\\.${release})*)?(\\+${build}(\\.${build})*)?$`);

const text = (field: string, value: string): FieldError[] => (value.length > limits.text ? [fieldTooLong(field, limits.text)] : []);
const versionText = (field: string, value: string): FieldError[] => [
  ...(version.test(value) ? [] : [fieldInvalid(field, value, 'must be a string compatible with semver.org spec 2.0.0')]),
  ...text(field, value),
];

function attribute(field: string, value: DeviceAttribute): FieldError[] {
  const errors: FieldError[] = [];
  if (value.string !== undefined) errors.push(...text(`${field}.string`, value.string));
  if (value.version !== undefined) errors.push(...versionText(`${field}.version`, value.version));
  for (const part of ['bools', 'ints', 'strings', 'versions'] as const)
    if (value[part]?.length === 0) errors.push(fieldInvalid(`${field}.${part}`, [], 'must not be empty if specified'));
  for (const [i, item] of (value.strings ?? []).entries()) errors.push(...text(`${field}.strings[${i}]`, item));
  for (const [i, item] of (value.versions ?? []).entries()) errors.push(...versionText(`${field}.versions[${i}]`, item));
  const given = Object.keys(value).length;
  if (given !== 1) errors.push(fieldInvalid(field, given === 0 ? '' : value, 'exactly one value must be specified'));
  return errors;
}

/** Of a taint that an update keeps nothing is asked. */
const taint = (field: string, { key, value = '', effect }: DeviceTaint): FieldError[] => [
  ...qualifiedName(`${field}.key`, key),
  ...(value === '' ? [] : fieldProblems(`${field}.value`, value, isLabelValue(value))),
  ...oneOf(`${field}.effect`, effect, ['NoExecute', 'NoSchedule', 'None']),
];

function named<T>(
  field: string,
  map: Readonly<Record<string, T>> | undefined,
  check: (at: string, value: T) => FieldError[],
): FieldError[] {
  return Object.entries(map ?? {}).flatMap(([key, value]) => [...attributeName(field, key), ...check(`${field}[${key}]`, value)]);
}

/** What can be given in parts needs devices that several may have. */
const capacity =
  (shared: boolean) =>
  (field: string, { requestPolicy }: DeviceCapacity): FieldError[] =>
    shared || requestPolicy === undefined ? [] : [fieldForbidden(`${field}.requestPolicy`, 'allowMultipleAllocations must be true')];

function counters(field: string, map: CounterSet['counters'] | undefined, most: number): FieldError[] {
  const names = Object.keys(map ?? {});
  if (names.length === 0) return [fieldRequired(field)];
  return names.length > most ? [fieldTooMany(field, names.length, most)] : names.flatMap((name) => dnsLabel(field, name));
}

type Place = Pick<ResourceSliceSpec, 'nodeName' | 'nodeSelector' | 'allNodes'>;

/** Where devices are; and the fields that say so, as upstream lists them. */
function places(field: string, value: Place, emptyName: string): readonly [errors: FieldError[], set: string[]] {
  const { nodeName, nodeSelector: selector, allNodes } = value;
  const errors: FieldError[] = [];
  const set: string[] = [];
  if (nodeName === '') errors.push(fieldInvalid(`${field}.nodeName`, '', emptyName));
  if (nodeName !== undefined && nodeName !== '') {
    set.push('`nodeName`');
    errors.push(...dnsSubdomain(`${field}.nodeName`, nodeName));
  }
  if (selector !== undefined) {
    set.push('`nodeSelector`');
    errors.push(...nodeSelector(`${field}.nodeSelector`, selector));
  }
  if (allNodes === true) set.push('`allNodes`');
  if (allNodes === false) errors.push(fieldInvalid(`${field}.allNodes`, false, 'must be either unset or set to true'));
  return [errors, set];
}

function devicePlace(field: string, device: Device, each: boolean): FieldError[] {
  if (!each) {
    const rule =
      '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec';
    const given = device.nodeName !== undefined || device.nodeSelector !== undefined || device.allNodes !== undefined;
    return given ? [fieldInvalid(field, null, rule)] : [];
  }
  const [errors, set] = places(field, device, 'must not be empty');
  const rule =
    'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec';
  if (set.length === 0) errors.push(fieldRequired(field, rule));
  if (set.length > 1) errors.push(fieldInvalid(field, `{${set.join(', ')}}`, rule));
  return errors;
}

const valuesOf = ({ bools, ints, strings, versions }: DeviceAttribute): number =>
  Math.max(1, (bools?.length ?? 0) + (ints?.length ?? 0) + (strings?.length ?? 0) + (versions?.length ?? 0));

const device =
  (each: boolean, before: ReadonlyMap<string, Device>) =>
  (field: string, value: Device): FieldError[] => {
    const old = before.get(value.name);
    const errors = dnsLabel(`${field}.name`, value.name);
    const size = Object.keys(value.attributes ?? {}).length + Object.keys(value.capacity ?? {}).length;
    if (size > limits.attributes)
      errors.push(fieldInvalid(field, size, `the total number of attributes and capacities must not exceed ${limits.attributes}`));
    const amount = Object.values(value.attributes ?? {}).reduce((sum, a) => sum + valuesOf(a), 0);
    if (amount > limits.values)
      errors.push(fieldInvalid(field, amount, `the total number of attribute values must not exceed ${limits.values}`));
    errors.push(...named(`${field}.attributes`, value.attributes, attribute));
    if (old === undefined || !isDeepStrictEqual(old.capacity, value.capacity))
      errors.push(...named(`${field}.capacity`, value.capacity, capacity(value.allowMultipleAllocations === true)));
    if (old === undefined || !isDeepStrictEqual(old.taints, value.taints))
      errors.push(...items(`${field}.taints`, value.taints, limits.taints, taint));
    return [
      ...errors,
      ...distinct(
        `${field}.consumesCounters`,
        value.consumesCounters,
        limits.consumptions,
        (c) => c.counterSet,
        (at, c) => [...requiredDnsLabel(`${at}.counterSet`, c.counterSet), ...counters(`${at}.counters`, c.counters, limits.counters)],
      ),
      ...devicePlace(field, value, each),
    ];
  };

function slicePlace(spec: ResourceSliceSpec): FieldError[] {
  const [errors, set] = places('spec', spec, 'must be either unset or set to a non-empty string');
  const terms = spec.nodeSelector?.nodeSelectorTerms;
  if (terms !== undefined && terms.length !== 1)
    errors.push(fieldInvalid('spec.nodeSelector.nodeSelectorTerms', terms, 'must have exactly one node selector term'));
  if (spec.perDeviceNodeSelection === true) set.push('`perDeviceNodeSelection`');
  if (spec.perDeviceNodeSelection === false)
    errors.push(fieldInvalid('spec.perDeviceNodeSelection', false, 'must be either unset or set to true'));
  const rule = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';
  if (set.length === 0) errors.push(fieldRequired('spec', rule));
  if (set.length > 1) errors.push(fieldInvalid('spec', `{${set.join(', ')}}`, `${rule}, but multiple fields are set`));
  return errors;
}

const hasMore = ({ taints = [], consumesCounters = [], attributes }: Device): boolean =>
  taints.length + consumesCounters.length > 0 ||
  Object.values(attributes ?? {}).some((a) => (a.bools ?? a.ints ?? a.strings ?? a.versions) !== undefined);

function slice(spec: ResourceSliceSpec, old?: ResourceSliceSpec): FieldError[] {
  const { driver, pool, devices, sharedCounters } = spec;
  const errors = [...csiDriverName('spec.driver', driver), ...poolName('spec.pool.name', pool.name)];
  if (pool.resourceSliceCount <= 0)
    errors.push(fieldInvalid('spec.pool.resourceSliceCount', pool.resourceSliceCount, 'must be greater than zero'));
  if (pool.generation < 0) errors.push(fieldInvalid('spec.pool.generation', pool.generation, 'must be greater than or equal to zero'));
  if (old !== undefined)
    errors.push(
      ...immutable('spec.pool.name', pool.name, old.pool.name),
      ...immutable('spec.driver', driver, old.driver),
      ...immutable('spec.nodeName', spec.nodeName ?? null, old.nodeName ?? null),
    );
  errors.push(...slicePlace(spec));
  if ((sharedCounters ?? []).length > 0 && (devices ?? []).length > 0)
    errors.push(fieldInvalid('spec', '', 'only one of `sharedCounters` or `devices` is allowed'));
  const before = new Map((old?.devices ?? []).map((d) => [d.name, d]));
  const most = (devices ?? []).some(hasMore) ? limits.devicesWithMore : limits.devices;
  return [
    ...errors,
    ...distinct('spec.devices', devices, most, (d) => d.name, device(spec.perDeviceNodeSelection === true, before)),
    ...distinct(
      'spec.sharedCounters',
      sharedCounters,
      limits.counterSets,
      (c) => c.name,
      (at, c) => [...requiredDnsLabel(`${at}.name`, c.name), ...counters(`${at}.counters`, c.counters, limits.counters)],
    ),
  ];
}

export const validateResourceSlice = ({ spec }: ResourceSlice): FieldError[] =>
  spec === undefined ? [fieldRequired('spec')] : slice(spec);
export const validateResourceSliceUpdate = ({ spec }: ResourceSlice, old: ResourceSlice): FieldError[] =>
  spec === undefined ? [fieldRequired('spec')] : slice(spec, old.spec);

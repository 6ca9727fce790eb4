/** ResourceClaims and their templates, DeviceClasses: pkg/apis/resource/validation. CEL expressions are not compiled. */
import type {
  AllocationResult,
  DeviceClaim,
  DeviceClass,
  DeviceConfiguration,
  DeviceConstraint,
  DeviceRequest,
  DeviceSelector,
  DeviceToleration,
  ExactDeviceRequest,
  ResourceClaim,
  ResourceClaimConsumerReference,
  ResourceClaimTemplate,
} from '#kube/generated/resource-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';
import { dnsLabel, dnsSubdomain, immutable, oneOf, optionalOneOf, qualifiedName } from '#kube/validation/values.ts';
import { templateMeta } from '../core/claim-validation.ts';
import { nodeSelector } from '../core/pod-validation/placement.ts';
import { isExtendedResource } from '../core/pod-validation/resources.ts';
import { csiDriverName } from '../core/volume-sources.ts';
import { distinct, fullAttributeName, items, poolName } from './lists.ts';

const limits = { list: 32, alternatives: 8, expression: 10 * 1024, parameters: 10 * 1024, consumers: 256, results: 32 };

const same = (text: string): string => text;

function selector(field: string, { cel }: DeviceSelector): FieldError[] {
  if (cel === undefined) return [fieldRequired(`${field}.cel`)];
  return cel.expression.length > limits.expression ? [fieldTooLong(`${field}.cel.expression`, limits.expression)] : [];
}

function toleration(field: string, { key = '', operator = '', value = '', effect, tolerationSeconds }: DeviceToleration): FieldError[] {
  const errors = key === '' ? [] : qualifiedName(`${field}.key`, key);
  if (operator === 'Exists' && value !== '') errors.push(fieldInvalid(`${field}.value`, value, 'must be empty for operator `Exists`'));
  if (operator !== '') errors.push(...optionalOneOf(`${field}.operator`, operator, ['Equal', 'Exists']));
  if (effect !== undefined && effect !== '') errors.push(...optionalOneOf(`${field}.effect`, effect, ['NoExecute', 'NoSchedule', 'None']));
  if (tolerationSeconds !== undefined && effect !== 'NoExecute')
    errors.push(fieldInvalid(`${field}.effect`, effect ?? '', "must be 'NoExecute' when `tolerationSeconds` is set"));
  return errors;
}

function exact(field: string, request: ExactDeviceRequest): FieldError[] {
  const { deviceClassName: name, selectors, allocationMode: mode = '', count = 0, tolerations } = request;
  const at = `${field}.deviceClassName`;
  const errors = name === '' ? [fieldRequired(at)] : dnsSubdomain(at, name);
  errors.push(...items(`${field}.selectors`, selectors, limits.list, selector));
  if (mode !== 'All' && mode !== 'ExactCount') errors.push(fieldNotSupported(`${field}.allocationMode`, mode, ['All', 'ExactCount']));
  if (mode === 'ExactCount' && count <= 0) errors.push(fieldInvalid(`${field}.count`, count, 'must be greater than zero'));
  if (mode === 'All' && count !== 0)
    errors.push(fieldInvalid(`${field}.count`, count, "must not be specified when allocationMode is 'All'"));
  return [...errors, ...(tolerations ?? []).flatMap((t, i) => toleration(`${field}.tolerations[${i}]`, t))];
}

function request(field: string, { name, exactly, firstAvailable: alternatives = [] }: DeviceRequest): FieldError[] {
  const errors = dnsLabel(`${field}.name`, name);
  const rule = 'exactly one of `exactly` or `firstAvailable` is required';
  if (exactly === undefined && alternatives.length === 0) return [...errors, fieldRequired(field, rule)];
  if (exactly !== undefined && alternatives.length > 0)
    return [...errors, fieldInvalid(field, null, `${rule}, but multiple fields are set`)];
  if (exactly !== undefined) return [...errors, ...exact(`${field}.exactly`, exactly)];
  const key = (r: { readonly name: string }): string => r.name;
  const check = (at: string, r: (typeof alternatives)[number]): FieldError[] => [...dnsLabel(`${at}.name`, r.name), ...exact(at, r)];
  return [...errors, ...distinct(`${field}.firstAvailable`, alternatives, limits.alternatives, key, check)];
}

/** The names of a claim's requests, those of alternatives behind a slash. */
const requestNames = (claim: DeviceClaim | undefined): ReadonlySet<string> =>
  new Set((claim?.requests ?? []).flatMap((r) => [r.name, ...(r.firstAvailable ?? []).map((a) => `${r.name}/${a.name}`)]));

const reference =
  (names: ReadonlySet<string>) =>
  (field: string, name: string): FieldError[] => {
    const rule = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    const parts = name.split('/');
    if (parts.length > 2) return [fieldInvalid(field, name, rule)];
    return [...parts.flatMap((part) => dnsLabel(field, part)), ...(names.has(name) ? [] : [fieldInvalid(field, name, rule)])];
  };

function constraint(field: string, { matchAttribute: match, distinctAttribute: differs }: DeviceConstraint): FieldError[] {
  if (match !== undefined) return fullAttributeName(`${field}.matchAttribute`, match);
  if (differs !== undefined) return fullAttributeName(`${field}.distinctAttribute`, differs);
  return [fieldRequired(field, 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set')];
}

function configuration(field: string, { opaque }: DeviceConfiguration): FieldError[] {
  if (opaque === undefined) return [fieldRequired(`${field}.opaque`)];
  const errors = csiDriverName(`${field}.opaque.driver`, opaque.driver);
  const at = `${field}.opaque.parameters`;
  const parameters: unknown = opaque.parameters;
  if (parameters === undefined || parameters === null) return [...errors, fieldRequired(at)];
  if (Buffer.byteLength(JSON.stringify(parameters)) > limits.parameters) return [...errors, fieldTooLong(at, limits.parameters)];
  const isObject = typeof parameters === 'object' && !Array.isArray(parameters);
  return isObject ? errors : [...errors, fieldInvalid(at, '<value omitted>', 'must be a valid JSON object')];
}

function devices(field: string, claim: DeviceClaim | undefined): FieldError[] {
  const known = reference(requestNames(claim));
  const refs = (at: string, list: readonly string[] | undefined): FieldError[] =>
    distinct(`${at}.requests`, list, limits.list, same, known);
  return [
    ...distinct(`${field}.requests`, claim?.requests, limits.list, (r) => r.name, request),
    ...items(`${field}.constraints`, claim?.constraints, limits.list, (at, c) => [...refs(at, c.requests), ...constraint(at, c)]),
    ...items(`${field}.config`, claim?.config, limits.list, (at, c) => [...refs(at, c.requests), ...configuration(at, c)]),
  ];
}

export const validateResourceClaim = (object: ResourceClaim): FieldError[] => devices('spec.devices', object.spec?.devices);

/** What cannot change need not be looked at again. */
export const validateResourceClaimUpdate = (object: ResourceClaim, old: ResourceClaim): FieldError[] =>
  immutable('spec', object.spec, old.spec);

export const validateResourceClaimTemplate = (object: ResourceClaimTemplate): FieldError[] => [
  ...templateMeta('spec.metadata', object.spec?.metadata),
  ...devices('spec.spec.devices', object.spec?.spec.devices),
];

export const validateResourceClaimTemplateUpdate = (object: ResourceClaimTemplate, old: ResourceClaimTemplate): FieldError[] =>
  immutable('spec', object.spec, old.spec);

const consumer = (field: string, ref: ResourceClaimConsumerReference): FieldError[] =>
  (['resource', 'name', 'uid'] as const).flatMap((part) => (ref[part] === '' ? [fieldRequired(`${field}.${part}`)] : []));

function allocation(field: string, result: AllocationResult, claim: DeviceClaim | undefined): FieldError[] {
  const known = reference(requestNames(claim));
  const at = `${field}.devices`;
  return [
    ...items(`${at}.results`, result.devices?.results, limits.results, (place, r) => [
      ...known(`${place}.request`, r.request),
      ...csiDriverName(`${place}.driver`, r.driver),
      ...poolName(`${place}.pool`, r.pool),
      ...dnsLabel(`${place}.device`, r.device),
      ...(r.tolerations ?? []).flatMap((t, i) => toleration(`${place}.tolerations[${i}]`, t)),
    ]),
    ...items(`${at}.config`, result.devices?.config, 2 * limits.list, (place, c) => [
      ...oneOf(`${place}.source`, c.source, ['FromClaim', 'FromClass']),
      ...distinct(`${place}.requests`, c.requests, limits.list, same, known),
      ...configuration(place, c),
    ]),
    ...(result.nodeSelector === undefined ? [] : nodeSelector(`${field}.nodeSelector`, result.nodeSelector)),
  ];
}

export function validateResourceClaimStatus(object: ResourceClaim, old: ResourceClaim): FieldError[] {
  const { reservedFor = [], allocation: now, devices: given } = object.status ?? {};
  const was = old.status?.allocation;
  const field = 'status.reservedFor';
  const errors = distinct(field, reservedFor, limits.consumers, (ref) => ref.uid, consumer);
  const id = (d: { readonly driver: string; readonly pool: string; readonly device: string; readonly shareID?: string }): string =>
    [d.driver, d.pool, d.device, ...(d.shareID === undefined ? [] : [d.shareID])].join('/');
  const allocated = new Set((now?.devices?.results ?? []).map(id));
  errors.push(
    ...distinct('status.devices', given, Number.POSITIVE_INFINITY, id, (at, device) => [
      ...csiDriverName(`${at}.driver`, device.driver),
      ...poolName(`${at}.pool`, device.pool),
      ...dnsLabel(`${at}.device`, device.device),
      ...(allocated.has(id(device)) ? [] : [fieldInvalid(at, id(device), 'must be an allocated device in the claim')]),
    ]),
  );
  if (reservedFor.length > 0 && now === undefined) errors.push(fieldForbidden(field, 'may not be specified when `allocated` is not set'));
  const before = new Set((old.status?.reservedFor ?? []).map((ref) => ref.uid));
  const added = reservedFor.some((ref) => !before.has(ref.uid));
  if (now !== undefined && added && object.metadata.deletionTimestamp !== undefined)
    errors.push(fieldForbidden(field, 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set'));
  if (now === undefined) return errors;
  if (was !== undefined) return [...errors, ...immutable('status.allocation', now, was)];
  return [...errors, ...allocation('status.allocation', now, object.spec?.devices)];
}

export function validateDeviceClass({ spec }: DeviceClass): FieldError[] {
  const name = spec?.extendedResourceName;
  return [
    ...items('spec.selectors', spec?.selectors, limits.list, selector),
    ...items('spec.config', spec?.config, limits.list, configuration),
    ...(name === undefined || isExtendedResource(name)
      ? []
      : [fieldInvalid('spec.extendedResourceName', name, 'must be a valid extended resource name')]),
  ];
}

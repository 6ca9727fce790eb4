/** Resource requirements: ValidateResourceRequirements and what it rests on. */
import type { PodSpec, ResourceRequirements } from '#kube/generated/core-v1.ts';
import { isQualifiedName } from '#kube/names.ts';
import { containerRequests } from '#kube/pod-resources.ts';
import { compareQuantity, isQuantity, milliValue } from '#kube/quantity.ts';
import type { Quantity } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotFound,
  fieldNotSupported,
  fieldProblems,
  fieldRequired,
} from '#kube/validation/field-error.ts';
import { dnsLabel, nonNegativeQuantity, ownValue } from '#kube/validation/values.ts';

const containerResources = new Set(['cpu', 'memory', 'ephemeral-storage']);
/** Objects that are counted. */
const countedResources = [
  ...['pods', 'services', 'replicationcontrollers', 'resourcequotas', 'secrets', 'configmaps', 'persistentvolumeclaims'],
  ...['services.nodeports', 'services.loadbalancers'],
];
const quotaResources = new Set([
  ...['cpu', 'memory', 'ephemeral-storage', 'requests.cpu', 'requests.memory', 'requests.storage', 'requests.ephemeral-storage'],
  ...['limits.cpu', 'limits.memory', 'limits.ephemeral-storage', ...countedResources],
]);
const standardResources = new Set([...quotaResources, 'storage']);
const integerResources = new Set(countedResources);
const isQuotaHugePages = (name: string): boolean => isHugePages(name) || name.startsWith('requests.hugepages-');
export const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
/** Without a domain, or with one of Kubernetes' own. */
export const isNativeResource = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');

/** True for `example.com/gpu` and the like: counted, not divided. */
export function isExtendedResource(name: string): boolean {
  if (isNativeResource(name) || name.startsWith('requests.')) return false;
  return isQualifiedName(`requests.${name}`).length === 0;
}

const isInteger = (name: string): boolean => isExtendedResource(name) || integerResources.has(name);

/** The name of any resource: validateResourceName. */
export function resourceName(field: string, name: string): FieldError[] {
  const errors = fieldProblems(field, name, isQualifiedName(name));
  if (errors.length > 0 || name.includes('/') || standardResources.has(name) || isQuotaHugePages(name)) return errors;
  return [fieldInvalid(field, name, 'must be a standard resource type or fully qualified')];
}

/** The name of a resource that containers may ask for. */
export function containerResourceName(field: string, name: string): FieldError[] {
  const errors = resourceName(field, name);
  if (!name.includes('/')) {
    if (containerResources.has(name) || isHugePages(name)) return errors;
    return [...errors, fieldInvalid(field, name, 'must be a standard resource for containers')];
  }
  if (isNativeResource(name) || isExtendedResource(name)) return errors;
  return [...errors, fieldInvalid(field, name, "doesn't follow extended resource name standard")];
}

/** One of the resources without a domain that quotas limit. */
export const isQuotaResource = (name: string): boolean => quotaResources.has(name) || isQuotaHugePages(name);

/** True where more may be promised than there is. */
export const mayOvercommit = (name: string): boolean => !isExtendedResource(name) && !isHugePages(name);

/** The name of a resource that a quota limits: ValidateResourceQuotaResourceName. */
export function quotaResourceName(field: string, name: string): FieldError[] {
  const errors = resourceName(field, name);
  if (name.includes('/') || isQuotaResource(name)) return errors;
  return [...errors, fieldInvalid(field, name, 'must be a standard resource for quota')];
}

/** An amount of a resource: not negative, whole where it is counted. */
export function resourceQuantity(field: string, name: string, value: Quantity): FieldError[] {
  const errors = nonNegativeQuantity(field, value);
  if (isInteger(name) && milliValue(value) % 1000 !== 0) errors.push(fieldInvalid(field, String(value), 'must be an integer'));
  return errors;
}

/** A request is not above its limit; of what cannot be promised twice it is the limit. */
function requestAgainstLimit(field: string, name: string, request: Quantity, limits: ResourceRequirements['limits']): FieldError[] {
  const at = `${field}.requests`;
  const limit = ownValue(limits, name);
  const overcommits = mayOvercommit(name);
  if (limit === undefined)
    return overcommits ? [] : [fieldRequired(`${field}.limits`, 'Limit must be set for non overcommitable resources')];
  const order = compareQuantity(request, limit);
  if (!overcommits && order !== 0) return [fieldInvalid(at, String(request), `must be equal to ${name} limit of ${limit}`)];
  return order > 0 ? [fieldInvalid(at, String(request), `must be less than or equal to ${name} limit of ${limit}`)] : [];
}

/** The claims of the pod that a container uses: validateResourceClaimNames. */
function claimNames(field: string, claims: ResourceRequirements['claims'], podClaims: ReadonlySet<string>): FieldError[] {
  const seen = new Set<string>();
  return (claims ?? []).flatMap(({ name, request = '' }, i) => {
    const at = `${field}[${i}]`;
    if (name === '') return [fieldRequired(at)];
    const errors: FieldError[] = [];
    const key = request === '' ? name : `${name}/${request}`;
    if (seen.has(name)) errors.push(fieldDuplicate(at, name));
    else {
      if (request !== '') errors.push(...dnsLabel(`${at}.request`, request));
      if (seen.has(key)) errors.push(fieldDuplicate(at, key));
      else if (request === '' && [...seen].some((other) => other.startsWith(`${name}/`))) errors.push(fieldDuplicate(at, name));
      seen.add(key);
    }
    if (podClaims.has(name)) return errors;
    const known = podClaims.size === 0 ? ' which is empty' : `: ${[...podClaims].sort().join(', ')}`;
    return [...errors, fieldNotFound(at, name, `must be one of the names in pod.spec.resourceClaims${known}`)];
  });
}

/** Huge pages come whole. */
function wholePages(field: string, name: string, value: Quantity): FieldError[] {
  if (!isHugePages(name)) return [];
  const text = name.slice('hugepages-'.length);
  const size = isQuantity(text) ? milliValue(text) : 0;
  if (size > 0 && size % 1000 === 0 && milliValue(value) % size === 0) return [];
  return [fieldInvalid(field, String(value), `${value} is not positive integer multiple of ${name}`)];
}

const perPod = ['cpu', 'hugepages-', 'memory'];

/** The name of a resource that a pod as a whole may ask for. */
const podResourceName = (field: string, name: string): FieldError[] => {
  const errors = resourceName(field, name);
  if (errors.length > 0 || name === 'cpu' || name === 'memory' || isHugePages(name)) return errors;
  return [fieldNotSupported(field, name, perPod)];
};

/** Limits, requests and claims of a container: ValidateContainerResourceRequirements; with another check of names those of a whole pod. */
export function resourceRequirements(
  field: string,
  requirements: ResourceRequirements | undefined,
  podClaims: ReadonlySet<string>,
  nameErrors: (field: string, name: string) => FieldError[] = containerResourceName,
): FieldError[] {
  if (requirements === undefined) return [];
  const { limits, requests, claims } = requirements;
  const errors: FieldError[] = [];
  for (const [part, amounts] of [
    ['limits', limits],
    ['requests', requests],
  ] as const)
    for (const [name, value] of Object.entries(amounts ?? {})) {
      const at = `${field}.${part}[${name}]`;
      errors.push(...nameErrors(at, name), ...resourceQuantity(at, name, value));
      if (part === 'requests') errors.push(...requestAgainstLimit(field, name, value, limits));
      errors.push(...wholePages(at, name, value));
    }
  const names = Object.keys({ ...limits, ...requests });
  if (names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory'))
    errors.push(fieldForbidden(field, 'HugePages require cpu or memory'));
  return [...errors, ...claimNames(`${field}.claims`, claims, podClaims)];
}

/** What a pod asks for as a whole: validatePodResources. */
export function podLevelResources(field: string, spec: PodSpec, podClaims: ReadonlySet<string>): FieldError[] {
  const { resources } = spec;
  if (resources === undefined) return [];
  const errors =
    resources.claims === undefined ? [] : [fieldForbidden(`${field}.claims`, 'claims cannot be set for Resources at pod-level')];
  errors.push(...resourceRequirements(field, resources, podClaims, podResourceName));
  for (const [name, needed] of Object.entries(containerRequests(spec))) {
    const given = ownValue(resources.requests, name) ?? '0';
    if (compareQuantity(needed, given) > 0) {
      const rule = `must be greater than or equal to aggregate container requests of ${needed}`;
      errors.push(fieldInvalid(`${field}.requests[${name}]`, String(given), rule));
    }
  }
  for (const [i, container] of spec.containers.entries())
    for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
      const most = ownValue(resources.limits, name);
      if (most !== undefined && compareQuantity(limit, most) > 0)
        errors.push(
          fieldInvalid(`${field}.containers[${i}][${name}].limits`, String(limit), `must be less than or equal to pod limits of ${most}`),
        );
    }
  return errors;
}

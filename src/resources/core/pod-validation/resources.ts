/** Resource requirements: ValidateResourceRequirements and what it rests on. */
import type { ResourceRequirements } from '#kube/generated/core-v1.ts';
import { isQualifiedName } from '#kube/names.ts';
import { compareQuantity, milliValue } from '#kube/quantity.ts';
import type { Quantity } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldNotFound, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { nonNegativeQuantity, ownValue } from '#kube/validation/values.ts';

const containerResources = new Set(['cpu', 'memory', 'ephemeral-storage']);
export const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');

/** True for `example.com/gpu` and the like: counted, not divided. */
export function isExtendedResource(name: string): boolean {
  if (isNative(name) || name.startsWith('requests.')) return false;
  return isQualifiedName(`requests.${name}`).length === 0;
}

const isInteger = (name: string): boolean => isExtendedResource(name) || name === 'pods';

/** The name of a resource that containers may ask for. */
export function containerResourceName(field: string, name: string): FieldError[] {
  const errors = fieldProblems(field, name, isQualifiedName(name));
  if (errors.length > 0) return errors;
  if (!name.includes('/') && !containerResources.has(name) && !isHugePages(name)) {
    return [fieldInvalid(field, name, 'must be a standard resource for containers')];
  }
  if (name.includes('/') && !isNative(name) && !isExtendedResource(name)) {
    return [fieldInvalid(field, name, "doesn't follow extended resource name standard")];
  }
  return [];
}

/** An amount of a resource: not negative, whole where it is counted. */
export function resourceQuantity(field: string, name: string, value: Quantity): FieldError[] {
  const errors = nonNegativeQuantity(field, value);
  if (isInteger(name) && milliValue(value) % 1000 !== 0) errors.push(fieldInvalid(field, String(value), 'must be an integer'));
  return errors;
}

function amounts(field: string, list: Readonly<Record<string, Quantity>> | undefined): FieldError[] {
  return Object.entries(list ?? {}).flatMap(([name, value]) => [
    ...containerResourceName(field, name),
    ...resourceQuantity(`${field}[${name}]`, name, value),
  ]);
}

function requestsAgainstLimits(field: string, requirements: ResourceRequirements): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, request] of Object.entries(requirements.requests ?? {})) {
    const at = `${field}.requests`;
    const limit = ownValue(requirements.limits, name);
    const overcommits = !isExtendedResource(name) && !isHugePages(name);
    if (limit !== undefined && overcommits && compareQuantity(request, limit) > 0) {
      errors.push(fieldInvalid(at, String(request), `must be less than or equal to ${name} limit of ${limit}`));
    } else if (limit !== undefined && !overcommits && compareQuantity(request, limit) !== 0) {
      errors.push(fieldInvalid(at, String(request), `must be equal to ${name} limit of ${limit}`));
    } else if (limit === undefined && !overcommits)
      errors.push(fieldRequired(`${field}.limits`, 'Limit must be set for non overcommitable resources'));
  }
  return errors;
}

/** Limits, requests and claims of a container (or of a whole pod). */
export function resourceRequirements(
  field: string,
  requirements: ResourceRequirements | undefined,
  podClaims: ReadonlySet<string>,
): FieldError[] {
  if (requirements === undefined) return [];
  const errors = [
    ...amounts(`${field}.limits`, requirements.limits),
    ...amounts(`${field}.requests`, requirements.requests),
    ...requestsAgainstLimits(field, requirements),
  ];
  const names = Object.keys({ ...requirements.limits, ...requirements.requests });
  if (names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory')) {
    errors.push(fieldForbidden(field, 'HugePages require cpu or memory'));
  }
  const seen = new Set<string>();
  for (const [i, claim] of (requirements.claims ?? []).entries()) {
    const at = `${field}.claims[${i}]`;
    const key = `${claim.name}/${claim.request ?? ''}`;
    if (claim.name === '') errors.push(fieldRequired(`${at}.name`));
    else if (seen.has(key)) errors.push(fieldDuplicate(at, claim.name));
    else if (!podClaims.has(claim.name)) errors.push(fieldNotFound(at, claim.name));
    seen.add(key);
  }
  return errors;
}

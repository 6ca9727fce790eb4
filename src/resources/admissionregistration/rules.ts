/** The rules of webhooks and policies: what they match. */
import type { RuleWithOperations } from '#kube/generated/admissionregistration-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { optionalOneOf } from '#kube/validation/values.ts';

function listErrors(field: string, list: readonly string[] | undefined, what: string, emptyIsValue = false): FieldError[] {
  const values = list ?? [];
  if (values.length === 0) return [fieldRequired(field)];
  const errors = values.flatMap((value, i) => (value === '' && !emptyIsValue ? [fieldRequired(`${field}[${i}]`)] : []));
  if (values.length > 1 && values.includes('*'))
    errors.push(fieldInvalid(field, values, `if '*' is present, must not specify other ${what}`));
  return errors;
}

function resourceErrors(field: string, list: readonly string[] | undefined): FieldError[] {
  const resources = list ?? [];
  if (resources.length === 0) return [fieldRequired(field)];
  const errors: FieldError[] = [];
  const allSubresourcesOf = new Set<string>();
  const allResourcesWith = new Set<string>();
  for (const [i, text] of resources.entries()) {
    if (text === '') errors.push(fieldRequired(`${field}[${i}]`));
    const slash = text.indexOf('/');
    if (slash < 0) continue;
    const [resource, sub] = [text.slice(0, slash), text.slice(slash + 1)];
    if (allSubresourcesOf.has(resource))
      errors.push(fieldInvalid(`${field}[${i}]`, text, `if '${resource}/*' is present, must not specify ${text}`));
    if (allResourcesWith.has(sub)) errors.push(fieldInvalid(`${field}[${i}]`, text, `if '*/${sub}' is present, must not specify ${text}`));
    if (sub === '*') allSubresourcesOf.add(resource);
    if (resource === '*') allResourcesWith.add(sub);
  }
  if (resources.length > 1 && resources.includes('*/*'))
    errors.push(fieldInvalid(field, resources, "if '*/*' is present, must not specify other resources"));
  if (resources.includes('*') && resources.some((r) => r !== '*' && !r.includes('/')))
    errors.push(fieldInvalid(field, resources, "if '*' is present, must not specify other resources without subresources"));
  return errors;
}

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];

export function ruleErrors(field: string, r: RuleWithOperations): FieldError[] {
  const errors = listErrors(`${field}.operations`, r.operations, 'operations');
  for (const [i, operation] of (r.operations ?? []).entries()) {
    if (!operations.includes(operation)) errors.push(fieldNotSupported(`${field}.operations[${i}]`, operation, operations));
  }
  return [
    ...errors,
    ...listErrors(`${field}.apiGroups`, r.apiGroups, 'API groups', true),
    ...listErrors(`${field}.apiVersions`, r.apiVersions, 'API versions'),
    ...resourceErrors(`${field}.resources`, r.resources),
    ...optionalOneOf(`${field}.scope`, r.scope, ['*', 'Cluster', 'Namespaced']),
  ];
}

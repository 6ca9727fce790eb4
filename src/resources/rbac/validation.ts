/** Roles and bindings: pkg/apis/rbac/validation. */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject } from '#kube/generated/rbac-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { dnsSubdomain, pathSegmentProblems } from '#kube/validation/values.ts';
import { rbacGroup } from './binding.ts';

const some = (list: readonly string[] | undefined): boolean => (list ?? []).length > 0;

function rule(field: string, r: PolicyRule, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (!some(r.verbs)) errors.push(fieldRequired(`${field}.verbs`, 'verbs must contain at least one value'));
  if (some(r.nonResourceURLs)) {
    if (namespaced)
      errors.push(fieldInvalid(`${field}.nonResourceURLs`, r.nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'));
    if (some(r.apiGroups) || some(r.resources) || some(r.resourceNames)) {
      errors.push(
        fieldInvalid(`${field}.nonResourceURLs`, r.nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs'),
      );
    }
    return errors;
  }
  if (!some(r.apiGroups)) errors.push(fieldRequired(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
  if (!some(r.resources)) errors.push(fieldRequired(`${field}.resources`, 'resource rules must supply at least one resource'));
  return errors;
}

export const validateRole = (object: Role): FieldError[] => (object.rules ?? []).flatMap((r, i) => rule(`rules[${i}]`, r, true));

export function validateClusterRole(object: ClusterRole): FieldError[] {
  const errors = (object.rules ?? []).flatMap((r, i) => rule(`rules[${i}]`, r, false));
  if (object.aggregationRule === undefined) return errors;
  const selectors = object.aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0)
    errors.push(
      fieldRequired('aggregationRule.clusterRoleSelectors', 'at least one clusterRoleSelector required if aggregationRule is non-nil'),
    );
  for (const [i, selector] of selectors.entries()) errors.push(...labelSelector(`aggregationRule.clusterRoleSelectors[${i}]`, selector));
  return errors;
}

function roleRef(ref: RoleRef, kinds: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  if (ref.apiGroup !== rbacGroup) errors.push(fieldNotSupported('roleRef.apiGroup', ref.apiGroup, [rbacGroup]));
  if (!kinds.includes(ref.kind)) errors.push(fieldNotSupported('roleRef.kind', ref.kind, kinds));
  if (ref.name === '') errors.push(fieldRequired('roleRef.name'));
  else errors.push(...fieldProblems('roleRef.name', ref.name, pathSegmentProblems(ref.name)));
  return errors;
}

function subject(field: string, s: Subject, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (s.name === '') errors.push(fieldRequired(`${field}.name`));
  const group = s.apiGroup ?? '';
  switch (s.kind) {
    case 'ServiceAccount':
      if (s.name !== '') errors.push(...dnsSubdomain(`${field}.name`, s.name));
      if (group !== '') errors.push(fieldNotSupported(`${field}.apiGroup`, group, ['']));
      if (!namespaced && (s.namespace ?? '') === '') errors.push(fieldRequired(`${field}.namespace`));
      break;
    case 'User':
    case 'Group':
      if (group !== rbacGroup) errors.push(fieldNotSupported(`${field}.apiGroup`, group, [rbacGroup]));
      break;
    default:
      errors.push(fieldNotSupported(`${field}.kind`, s.kind, ['ServiceAccount', 'User', 'Group']));
  }
  return errors;
}

function binding(object: RoleBinding | ClusterRoleBinding, kinds: readonly string[], namespaced: boolean): FieldError[] {
  return [...roleRef(object.roleRef, kinds), ...(object.subjects ?? []).flatMap((s, i) => subject(`subjects[${i}]`, s, namespaced))];
}

export const validateRoleBinding = (object: RoleBinding): FieldError[] => binding(object, ['Role', 'ClusterRole'], true);
export const validateClusterRoleBinding = (object: ClusterRoleBinding): FieldError[] => binding(object, ['ClusterRole'], false);

const sameRole = (object: RoleBinding | ClusterRoleBinding, old: RoleBinding | ClusterRoleBinding): FieldError[] =>
  isDeepStrictEqual(object.roleRef, old.roleRef) ? [] : [fieldInvalid('roleRef', object.roleRef, 'cannot change roleRef')];

export const validateRoleBindingUpdate = (object: RoleBinding, old: RoleBinding): FieldError[] => [
  ...validateRoleBinding(object),
  ...sameRole(object, old),
];
export const validateClusterRoleBindingUpdate = (object: ClusterRoleBinding, old: ClusterRoleBinding): FieldError[] => [
  ...validateClusterRoleBinding(object),
  ...sameRole(object, old),
];

import type { SelfSubjectAccessReview, SubjectAccessReview } from '#kube/generated/authorization-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid } from '#kube/validation/field-error.ts';

function attributes(spec: SelfSubjectAccessReview['spec']): FieldError[] {
  const { resourceAttributes: resource, nonResourceAttributes: other } = spec;
  if (resource !== undefined && other !== undefined) {
    return [fieldInvalid('spec.nonResourceAttributes', other, 'cannot be specified in combination with resourceAttributes')];
  }
  if (resource === undefined && other === undefined) {
    return [
      fieldInvalid('spec.resourceAttributes', undefined, 'exactly one of nonResourceAttributes or resourceAttributes must be specified'),
    ];
  }
  return [];
}

export const validateSelfAccessReview = (object: SelfSubjectAccessReview): FieldError[] => attributes(object.spec);

export function validateAccessReview(object: SubjectAccessReview): FieldError[] {
  const { user = '', groups = [] } = object.spec;
  const errors = attributes(object.spec);
  if (user === '' && groups.length === 0) errors.push(fieldInvalid('spec.user', user, 'at least one of user or group must be specified'));
  return errors;
}

export function validateLocalAccessReview(object: SubjectAccessReview): FieldError[] {
  const errors = validateAccessReview(object);
  const namespace = object.spec.resourceAttributes?.namespace ?? '';
  if (object.spec.resourceAttributes !== undefined && namespace !== (object.metadata.namespace ?? '')) {
    errors.push(fieldInvalid('spec.resourceAttributes.namespace', namespace, 'must match metadata.namespace'));
  }
  if (object.spec.nonResourceAttributes !== undefined) {
    errors.push(fieldInvalid('spec.nonResourceAttributes', object.spec.nonResourceAttributes, 'disallowed on this kind of request'));
  }
  return errors;
}

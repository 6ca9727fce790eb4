import type { Lease } from '#kube/generated/coordination-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid } from '#kube/validation/field-error.ts';

export function validateLease(object: Lease): FieldError[] {
  const { leaseDurationSeconds: duration, leaseTransitions: transitions, holderIdentity: holder } = object.spec ?? {};
  const errors: FieldError[] = [];
  if (duration !== undefined && duration <= 0) errors.push(fieldInvalid('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  if (transitions !== undefined && transitions < 0) {
    errors.push(fieldInvalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  }
  if (object.spec?.strategy === undefined && holder === '') errors.push(fieldInvalid('spec.holderIdentity', holder, 'must not be empty'));
  return errors;
}

import type { Lease } from '#kube/generated/coordination-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported } from '#kube/validation/field-error.ts';
import { qualifiedName } from '#kube/validation/values.ts';

const strategies = ['OldestEmulationVersion'];

export function validateLease(object: Lease): FieldError[] {
  const { leaseDurationSeconds: duration, leaseTransitions: transitions, strategy, preferredHolder = '' } = object.spec ?? {};
  const errors: FieldError[] = [];
  if (duration !== undefined && duration <= 0) errors.push(fieldInvalid('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  if (transitions !== undefined && transitions < 0)
    errors.push(fieldInvalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  if (strategy !== undefined) {
    // Upstream names the field twice.
    const at = 'spec.strategy.strategy';
    if (strategy.includes('/')) errors.push(...qualifiedName(at, strategy));
    else if (!strategies.includes(strategy)) errors.push(fieldNotSupported(at, strategy, strategies));
  }
  if (preferredHolder !== '' && (strategy ?? '') === '')
    errors.push(fieldForbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined'));
  return errors;
}

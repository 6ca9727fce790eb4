import type { PriorityClass } from '#kube/generated/scheduling-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden } from '#kube/validation/field-error.ts';
import { immutable, optionalOneOf } from '#kube/validation/values.ts';

const highestUserValue = 1_000_000_000;
/** The classes that the server itself makes. */
const systemClasses: Readonly<Record<string, number>> = { 'system-node-critical': 2_000_001_000, 'system-cluster-critical': 2_000_000_000 };

export function validatePriorityClass(object: PriorityClass): FieldError[] {
  const name = object.metadata.name ?? '';
  const errors: FieldError[] = [];
  if (name.startsWith('system-')) {
    const known = Object.hasOwn(systemClasses, name) && systemClasses[name] === object.value && object.globalDefault !== true;
    if (!known) {
      errors.push(
        fieldForbidden(
          'metadata.name',
          "priority class names with 'system-' prefix are reserved for system use only. error: " +
            (Object.hasOwn(systemClasses, name)
              ? object.globalDefault === true && object.value === systemClasses[name]
                ? `globalDefault of ${name} PriorityClass must be false`
                : `value of ${name} PriorityClass must be ${systemClasses[name]}`
              : `${name} is not a known system priority class`),
        ),
      );
    }
  } else if ((object.value ?? 0) > highestUserValue) {
    errors.push(fieldForbidden('value', `maximum allowed value of a user defined priority is ${highestUserValue}`));
  }
  return [...errors, ...optionalOneOf('preemptionPolicy', object.preemptionPolicy, ['PreemptLowerPriority', 'Never'])];
}

export function validatePriorityClassUpdate(object: PriorityClass, old: PriorityClass): FieldError[] {
  const errors: FieldError[] = [];
  if (object.value !== old.value) errors.push(fieldForbidden('value', 'may not be changed in an update.'));
  return [...errors, ...immutable('preemptionPolicy', object.preemptionPolicy ?? null, old.preemptionPolicy ?? null)];
}

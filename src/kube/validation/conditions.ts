/** metav1.Condition lists: ValidateConditions of k8s.io/apimachinery pkg/apis/meta/v1/validation. */
import type { Condition } from '../generated/meta-v1.ts';
import { regexError } from '../names.ts';
import type { FieldError } from '../status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldNotSupported, fieldRequired, fieldTooLong } from './field-error.ts';
import { qualifiedName } from './values.ts';

const reasonFormat = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?';
const reasonPattern = new RegExp(`^${reasonFormat}$`);
const reasonRule =
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
const limits = { reason: 1024, message: 32 * 1024 };
const statuses = ['False', 'True', 'Unknown'];

function condition(field: string, c: Condition): FieldError[] {
  const errors = qualifiedName(`${field}.type`, c.type);
  if (!statuses.includes(c.status)) errors.push(fieldNotSupported(`${field}.status`, c.status, statuses));
  const generation = c.observedGeneration ?? 0;
  if (generation < 0) errors.push(fieldInvalid(`${field}.observedGeneration`, generation, 'must be greater than or equal to zero'));
  if ((c.lastTransitionTime ?? '') === '') errors.push(fieldRequired(`${field}.lastTransitionTime`, 'must be set'));
  if (c.reason === '') errors.push(fieldRequired(`${field}.reason`, 'must be set'));
  else if (!reasonPattern.test(c.reason)) {
    const rule = regexError(reasonRule, reasonFormat, 'my_name', 'MY_NAME', 'MyName', 'ReasonA,ReasonB', 'ReasonA:ReasonB');
    errors.push(fieldInvalid(`${field}.reason`, c.reason, rule));
  }
  if (c.reason.length > limits.reason) errors.push(fieldTooLong(`${field}.reason`, limits.reason));
  if (c.message.length > limits.message) errors.push(fieldTooLong(`${field}.message`, limits.message));
  return errors;
}

export function conditions(field: string, list: readonly Condition[] | undefined): FieldError[] {
  const types = new Set<string>();
  return (list ?? []).flatMap((c, i) => {
    const again = types.has(c.type) ? [fieldDuplicate(`${field}[${i}].type`, c.type)] : [];
    types.add(c.type);
    return [...again, ...condition(`${field}[${i}]`, c)];
  });
}

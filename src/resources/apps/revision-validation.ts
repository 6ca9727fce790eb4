import { isDeepStrictEqual } from 'node:util';
import type { ControllerRevision } from '#kube/generated/apps-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { nonNegative } from '#kube/validation/values.ts';

export function validateControllerRevision(object: ControllerRevision): FieldError[] {
  const errors: FieldError[] = object.data === undefined ? [fieldRequired('data', 'data is mandatory')] : [];
  return [...errors, ...nonNegative('revision', object.revision)];
}

export function validateControllerRevisionUpdate(object: ControllerRevision, old: ControllerRevision): FieldError[] {
  const errors = validateControllerRevision(object);
  if (!isDeepStrictEqual(object.data, old.data)) errors.push(fieldInvalid('data', object.data, 'field is immutable'));
  return errors;
}

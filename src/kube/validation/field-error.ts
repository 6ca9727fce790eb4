/** Constructors of FieldError with upstream's texts: k8s.io/apimachinery pkg/util/validation/field. */
import type { FieldError } from '../status-error.ts';

/** How a bad value is shown: text quoted, numbers and booleans plain, anything else as JSON. */
const shown = (value: unknown): string => (value === undefined ? 'null' : JSON.stringify(value));
const withDetail = (text: string, detail: string): string => (detail === '' ? text : `${text}: ${detail}`);

export const fieldRequired = (field: string, detail = ''): FieldError => ({
  field,
  type: 'FieldValueRequired',
  message: withDetail('Required value', detail),
});

export const fieldInvalid = (field: string, value: unknown, detail = ''): FieldError => ({
  field,
  type: 'FieldValueInvalid',
  message: withDetail(`Invalid value: ${shown(value)}`, detail),
});

/** As fieldInvalid, for a value that is not worth showing: field.OmitValueType. */
export const fieldInvalidState = (field: string, detail: string): FieldError => ({
  field,
  type: 'FieldValueInvalid',
  message: withDetail('Invalid value', detail),
});

export const fieldNotSupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({
  field,
  type: 'FieldValueNotSupported',
  message: withDetail(
    `Unsupported value: ${shown(value)}`,
    supported.length === 0 ? '' : `supported values: ${supported.map((s) => JSON.stringify(s)).join(', ')}`,
  ),
});

export const fieldDuplicate = (field: string, value: unknown, detail = ''): FieldError => ({
  field,
  type: 'FieldValueDuplicate',
  message: withDetail(`Duplicate value: ${shown(value)}`, detail),
});

export const fieldForbidden = (field: string, detail: string): FieldError => ({
  field,
  type: 'FieldValueForbidden',
  message: withDetail('Forbidden', detail),
});

export const fieldInternal = (field: string, detail: string): FieldError => ({
  field,
  type: 'InternalError',
  message: withDetail('Internal error', detail),
});

export const fieldNotFound = (field: string, value: unknown, detail = ''): FieldError => ({
  field,
  type: 'FieldValueNotFound',
  message: withDetail(`Not found: ${shown(value)}`, detail),
});

export const fieldTooLong = (field: string, maxBytes: number): FieldError => ({
  field,
  type: 'FieldValueTooLong',
  message: `Too long: may not be more than ${maxBytes} bytes`,
});

export const fieldTooMany = (field: string, actual: number, max: number): FieldError => ({
  field,
  type: 'FieldValueTooMany',
  message: `Too many: ${actual}: must have at most ${max} items`,
});

/** One FieldError for each problem that a check of a value found. */
export const fieldProblems = (field: string, value: unknown, problems: readonly string[]): FieldError[] =>
  problems.map((problem) => fieldInvalid(field, value, problem));

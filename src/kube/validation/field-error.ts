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

export const fieldNotSupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({
  field,
  type: 'FieldValueNotSupported',
  message: withDetail(
    `Unsupported value: ${shown(value)}`,
    supported.length === 0 ? '' : `supported values: ${supported.map((s) => JSON.stringify(s)).join(', ')}`,
  ),
});

export const fieldDuplicate = (field: string, value: unknown): FieldError => ({
  field,
  type: 'FieldValueDuplicate',
  message: `Duplicate value: ${shown(value)}`,
});

export const fieldForbidden = (field: string, detail: string): FieldError => ({
  field,
  type: 'FieldValueForbidden',
  message: withDetail('Forbidden', detail),
});

export const fieldNotFound = (field: string, value: unknown): FieldError => ({
  field,
  type: 'FieldValueNotFound',
  message: `Not found: ${shown(value)}`,
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

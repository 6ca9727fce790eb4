/** Counts in the status of a workload: which may not be negative, and which may not exceed which. */
import type { FieldError } from '../status-error.ts';
import { fieldInvalid } from './field-error.ts';
import { nonNegative } from './values.ts';

export interface CountRules {
  readonly counts: readonly string[];
  /** The lower count, the count it may not exceed, and what the latter is called in the message. */
  readonly within: readonly (readonly [low: string, high: string, name: string])[];
}

const count = (status: object | undefined, part: string): number | undefined => {
  const value = (status as Readonly<Record<string, unknown>> | undefined)?.[part];
  return typeof value === 'number' ? value : undefined;
};

/** What is wrong with the counts of a status. */
export function statusCounts(status: object | undefined, rules: CountRules): FieldError[] {
  const errors = rules.counts.flatMap((part) => nonNegative(`status.${part}`, count(status, part)));
  for (const [low, high, name] of rules.within) {
    const value = count(status, low) ?? 0;
    if (value > (count(status, high) ?? 0)) errors.push(fieldInvalid(`status.${low}`, value, `cannot be greater than ${name}`));
  }
  return errors;
}

/** A count that only grows. */
export const notDecremented = (field: string, now: number | undefined, old: number | undefined): FieldError[] =>
  old !== undefined && (now === undefined || now < old) ? [fieldInvalid(field, now ?? 0, 'cannot be decremented')] : [];

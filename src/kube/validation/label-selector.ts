import { isDeepStrictEqual } from 'node:util';
import type { LabelSelector } from '../generated/meta-v1.ts';
import { isLabelValue, isQualifiedName } from '../names.ts';
import { fromLabelSelector, matchesLabels } from '../selector.ts';
import type { FieldError } from '../status-error.ts';
import { fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from './field-error.ts';
import { labels } from './values.ts';

/** A LabelSelector: ValidateLabelSelector. */
export function labelSelector(field: string, selector: LabelSelector | undefined): FieldError[] {
  if (selector === undefined) return [];
  const errors = labels(`${field}.matchLabels`, selector.matchLabels);
  for (const [i, expression] of (selector.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${i}]`;
    const count = expression.values?.length ?? 0;
    if (expression.operator === 'In' || expression.operator === 'NotIn') {
      if (count === 0) errors.push(fieldRequired(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (expression.operator === 'Exists' || expression.operator === 'DoesNotExist') {
      if (count > 0) errors.push(fieldForbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else errors.push(fieldInvalid(`${at}.operator`, expression.operator, 'not a valid selector operator'));
    errors.push(...fieldProblems(`${at}.key`, expression.key, isQualifiedName(expression.key)));
    for (const [j, value] of (expression.values ?? []).entries()) {
      errors.push(...fieldProblems(`${at}.values[${j}]`, value, isLabelValue(value)));
    }
  }
  return errors;
}

export const isEmptySelector = (selector: LabelSelector | undefined): boolean =>
  selector !== undefined && Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;

/** True where the selector is readable and matches the labels. */
export function selects(selector: LabelSelector | undefined, map: Readonly<Record<string, string>> | undefined): boolean {
  try {
    return matchesLabels(fromLabelSelector(selector), map);
  } catch {
    return false;
  }
}

export const sameSelector = (a: LabelSelector | undefined, b: LabelSelector | undefined): boolean => isDeepStrictEqual(a, b);

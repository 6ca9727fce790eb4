/** What scale reads of a custom object: ValidateScaleSpec and ValidateScaleStatus of pkg/registry/customresource/validator.go. */
import type { CustomResourceSubresourceScale } from '#kube/generated/apiextensions-v1.ts';
import { goPrint, isObject, own } from '#kube/json-value.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid } from '#kube/validation/field-error.ts';

const maxReplicas = 2 ** 31 - 1;

type Nested = { readonly value: unknown } | { readonly problem: string };

/** The name that Go's %T gives a JSON value's type. */
function goType(value: unknown): string {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint' || Number.isInteger(value)) return 'int64';
  if (typeof value === 'number') return 'float64';
  if (Array.isArray(value)) return '[]interface {}';
  return isObject(value) ? 'map[string]interface {}' : typeof value;
}

/** unstructured.NestedFieldNoCopy; undefined where there is no such field. */
function nested(object: unknown, path: string, expected: 'int64' | 'string'): Nested {
  const steps = path.replace(/^\./, '').split('.');
  const problem = (at: readonly string[], value: unknown, type: string): Nested => ({
    problem: `.${at.join('.')} accessor error: ${goPrint(value)} is of the type ${goType(value)}, expected ${type}`,
  });
  let value = object;
  for (const [i, step] of steps.entries()) {
    if (value === null || value === undefined) return { value: undefined };
    if (!isObject(value)) return problem(steps.slice(0, i + 1), value, 'map[string]interface{}');
    value = own(value, step);
  }
  if (value === undefined || (value !== null && goType(value) === expected)) return { value };
  return value === null
    ? { problem: `.${steps.join('.')} accessor error: <nil> is of the type <nil>, expected ${expected}` }
    : problem(steps, value, expected);
}

function replicasErrors(object: unknown, path: string): FieldError[] {
  const found = nested(object, path, 'int64');
  if ('problem' in found) return [fieldInvalid(path, 0, found.problem)];
  const replicas = Number(found.value ?? 0);
  if (replicas < 0) return [fieldInvalid(path, found.value, 'should be a non-negative integer')];
  return replicas > maxReplicas ? [fieldInvalid(path, found.value, `should be less than or equal to ${maxReplicas}`)] : [];
}

export const scaleSpecErrors = (scale: CustomResourceSubresourceScale | undefined, object: unknown): FieldError[] =>
  scale === undefined ? [] : replicasErrors(object, scale.specReplicasPath);

export function scaleStatusErrors(scale: CustomResourceSubresourceScale | undefined, object: unknown): FieldError[] {
  if (scale === undefined) return [];
  const { labelSelectorPath: path } = scale;
  const selector: Nested = path === undefined ? { value: '' } : nested(object, path, 'string');
  return [
    ...replicasErrors(object, scale.statusReplicasPath),
    ...('problem' in selector ? [fieldInvalid(path ?? '', '', selector.problem)] : []),
  ];
}

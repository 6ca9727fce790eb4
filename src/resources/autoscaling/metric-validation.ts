/** Metrics of horizontal pod autoscalers: pkg/apis/autoscaling/validation. */
import type { MetricIdentifier, MetricSpec, MetricTarget } from '#kube/generated/autoscaling-v2.ts';
import { quantitySign } from '#kube/quantity.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { pathSegmentProblems, requiredPathSegment } from '#kube/validation/values.ts';

const parts = {
  Object: 'object',
  External: 'external',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
} as const;
const types = Object.keys(parts).sort();
const targetTypes = ['Utilization', 'Value', 'AverageValue'];

/** A kind and a name of something that is scaled or measured. */
export const objectReference = (field: string, ref: { readonly kind: string; readonly name: string }): FieldError[] => [
  ...requiredPathSegment(`${field}.kind`, ref.kind),
  ...requiredPathSegment(`${field}.name`, ref.name),
];

function identifier(field: string, { name }: MetricIdentifier): FieldError[] {
  if (name === '') return [fieldRequired(`${field}.name`, 'must specify a metric name')];
  return fieldProblems(`${field}.name`, name, pathSegmentProblems(name));
}

function target(field: string, t: MetricTarget): FieldError[] {
  const errors: FieldError[] = [];
  if (t.type === '') errors.push(fieldRequired(`${field}.type`, 'must specify a metric target type'));
  if (!targetTypes.includes(t.type))
    errors.push(fieldInvalid(`${field}.type`, t.type, 'must be either Utilization, Value, or AverageValue'));
  for (const part of ['value', 'averageValue'] as const) {
    const value = t[part];
    if (value !== undefined && quantitySign(value) <= 0) errors.push(fieldInvalid(`${field}.${part}`, String(value), 'must be positive'));
  }
  if (t.averageUtilization !== undefined && t.averageUtilization < 1)
    errors.push(fieldInvalid(`${field}.averageUtilization`, t.averageUtilization, 'must be greater than 0'));
  return errors;
}

/** Of a resource, either an amount or a share of what is requested. */
function amountOrShare(field: string, t: MetricTarget): FieldError[] {
  const [amount, share] = [t.averageValue !== undefined, t.averageUtilization !== undefined];
  if (!amount && !share)
    return [fieldRequired(`${field}.averageUtilization`, 'must set either a target raw value or a target utilization')];
  return amount && share ? [fieldForbidden(`${field}.averageValue`, 'may not set both a target raw value and a target utilization')] : [];
}

type Part = (typeof parts)[keyof typeof parts];
type Checks = { readonly [P in Part]: (field: string, source: NonNullable<MetricSpec[P]>) => FieldError[] };

const resourceName = (field: string, name: string): FieldError[] =>
  name === '' ? [fieldRequired(`${field}.name`, 'must specify a resource name')] : [];

const checks: Checks = {
  object: (field, { describedObject, metric, target: t }) => [
    ...objectReference(`${field}.describedObject`, describedObject),
    ...identifier(`${field}.metric`, metric),
    ...target(`${field}.target`, t),
    ...(t.value === undefined && t.averageValue === undefined
      ? [fieldRequired(`${field}.target.averageValue`, 'must set either a target value or averageValue')]
      : []),
  ],
  external: (field, { metric, target: t }) => [
    ...identifier(`${field}.metric`, metric),
    ...target(`${field}.target`, t),
    ...(t.value === undefined && t.averageValue === undefined
      ? [fieldRequired(`${field}.target.averageValue`, 'must set either a target value for metric or a per-pod target')]
      : []),
    ...(t.value !== undefined && t.averageValue !== undefined
      ? [fieldForbidden(`${field}.target.value`, 'may not set both a target value for metric and a per-pod target')]
      : []),
  ],
  pods: (field, { metric, target: t }) => [
    ...identifier(`${field}.metric`, metric),
    ...target(`${field}.target`, t),
    ...(t.averageValue === undefined || quantitySign(t.averageValue) <= 0
      ? [fieldRequired(`${field}.target.averageValue`, 'must specify a positive target averageValue')]
      : []),
  ],
  resource: (field, { name, target: t }) => [
    ...resourceName(field, name),
    ...target(`${field}.target`, t),
    ...amountOrShare(`${field}.target`, t),
  ],
  containerResource: (field, { name, container, target: t }) => [
    ...resourceName(field, name),
    ...(container === '' ? [fieldRequired(`${field}.container`, 'must specify a container')] : []),
    ...target(`${field}.target`, t),
    ...amountOrShare(`${field}.target`, t),
  ],
};

function metric(field: string, m: MetricSpec): FieldError[] {
  const errors = m.type === '' ? [fieldRequired(`${field}.type`, 'must specify a metric source type')] : [];
  const present = Object.values(parts).filter((part) => m[part] !== undefined);
  const [first] = present;
  const expected = Object.hasOwn(parts, m.type) ? parts[m.type as keyof typeof parts] : undefined;
  if (expected === undefined) errors.push(fieldNotSupported(`${field}.type`, m.type, types));
  if (first !== undefined) errors.push(...(checks[first] as (f: string, source: unknown) => FieldError[])(`${field}.${first}`, m[first]));
  if (expected !== undefined && m[expected] === undefined)
    errors.push(fieldRequired(`${field}.${expected}`, 'must populate information for the given metric source'));
  if (present.length === 1) return errors;
  const others = present.filter((part) => part !== expected);
  return [...errors, ...others.map((part) => fieldForbidden(`${field}.${part}`, 'must populate the given metric source only'))];
}

/** Without replicas only what is measured elsewhere can say that some are needed. */
export function metrics(field: string, list: readonly MetricSpec[] | undefined, minReplicas: number | undefined): FieldError[] {
  const errors = (list ?? []).flatMap((m, i) => metric(`${field}[${i}]`, m));
  const outside = (list ?? []).some((m) => m.type === 'Object' || m.type === 'External');
  if (minReplicas !== 0 || outside) return errors;
  const rule = 'must specify at least one Object or External metric to support scaling to zero replicas';
  return [...errors, fieldForbidden(field, rule)];
}

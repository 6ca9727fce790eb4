/** Nodes: ValidateNode and ValidateNodeUpdate. */
import type { Node, Taint } from '#kube/generated/core-v1.ts';
import { isLabelValue } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { cidr, qualifiedName } from '#kube/validation/values.ts';
import { taintEffects } from './pod-validation/placement.ts';
import { resourceQuantity } from './pod-validation/resources.ts';

function taints(field: string, list: readonly Taint[] | undefined): FieldError[] {
  const seen = new Set<string>();
  return (list ?? []).flatMap((taint, i) => {
    const at = `${field}[${i}]`;
    const errors = [
      ...qualifiedName(`${at}.key`, taint.key),
      ...fieldProblems(`${at}.value`, taint.value ?? '', isLabelValue(taint.value ?? '')),
    ];
    if (taint.effect === '') errors.push(fieldRequired(`${at}.effect`));
    else if (!taintEffects.includes(taint.effect)) errors.push(fieldNotSupported(`${at}.effect`, taint.effect, taintEffects));
    const key = `${taint.key}:${taint.effect}`;
    if (seen.has(key))
      errors.push({
        ...fieldDuplicate(at, taint),
        message: `${fieldDuplicate(at, taint).message}: taints must be unique by key and effect pair`,
      });
    seen.add(key);
    return errors;
  });
}

export function validateNode(object: Node): FieldError[] {
  const errors = taints('spec.taints', object.spec?.taints);
  for (const [i, range] of (object.spec?.podCIDRs ?? []).entries()) errors.push(...cidr(`spec.podCIDRs[${i}]`, range));
  for (const part of ['capacity', 'allocatable'] as const) {
    for (const [name, value] of Object.entries(object.status?.[part] ?? {}))
      errors.push(...resourceQuantity(`status.${part}.${name}`, name, value));
  }
  return errors;
}

export function validateNodeUpdate(object: Node, old: Node): FieldError[] {
  const errors: FieldError[] = [];
  const [now, was] = [object.spec, old.spec];
  if ((was?.podCIDRs ?? []).length > 0 && now?.podCIDRs?.join(',') !== was?.podCIDRs?.join(',')) {
    errors.push(fieldForbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  }
  if ((was?.providerID ?? '') !== '' && now?.providerID !== was?.providerID) {
    errors.push(fieldForbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  }
  return [...errors, ...validateNode(object)];
}

import type { RuntimeClass } from '#kube/generated/node-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { dnsLabel, immutable, labels } from '#kube/validation/values.ts';
import { tolerations } from '../core/pod-validation/placement.ts';
import { resourceRequirements } from '../core/pod-validation/resources.ts';
import { deprecationOf } from '../core/pod-warnings.ts';

export function validateRuntimeClass(object: RuntimeClass): FieldError[] {
  const errors = dnsLabel('handler', object.handler);
  const limits = object.overhead?.podFixed;
  errors.push(
    ...(limits === undefined ? [] : resourceRequirements('overhead', { limits }, new Set())),
    ...labels('scheduling.nodeSelector', object.scheduling?.nodeSelector),
    ...tolerations('scheduling.tolerations', object.scheduling?.tolerations),
  );
  return errors;
}

/** Labels of nodes that have got other names. */
export const runtimeClassWarnings = (object: RuntimeClass): string[] =>
  Object.keys(object.scheduling?.nodeSelector ?? {}).flatMap((key) => {
    const deprecation = deprecationOf(key);
    return deprecation === undefined ? [] : [`scheduling.nodeSelector: ${deprecation}`];
  });

export const validateRuntimeClassUpdate = (object: RuntimeClass, old: RuntimeClass): FieldError[] => [
  ...immutable('handler', object.handler, old.handler),
];

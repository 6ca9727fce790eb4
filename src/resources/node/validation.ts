import type { RuntimeClass } from '#kube/generated/node-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { dnsLabel, immutable, labels } from '#kube/validation/values.ts';
import { tolerations } from '../core/pod-validation/placement.ts';
import { resourceRequirements } from '../core/pod-validation/resources.ts';

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

export const validateRuntimeClassUpdate = (object: RuntimeClass, old: RuntimeClass): FieldError[] => [
  ...immutable('handler', object.handler, old.handler),
];

import type { RuntimeClass } from '#kube/generated/node-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { immutable, labels, requiredDnsLabel } from '#kube/validation/values.ts';
import { tolerations } from '../core/pod-validation/placement.ts';
import { containerResourceName, resourceQuantity } from '../core/pod-validation/resources.ts';

export function validateRuntimeClass(object: RuntimeClass): FieldError[] {
  const errors = requiredDnsLabel('handler', object.handler);
  for (const [name, value] of Object.entries(object.overhead?.podFixed ?? {})) {
    errors.push(...containerResourceName('overhead.podFixed', name), ...resourceQuantity(`overhead.podFixed[${name}]`, name, value));
  }
  errors.push(
    ...labels('scheduling.nodeSelector', object.scheduling?.nodeSelector),
    ...tolerations('scheduling.tolerations', object.scheduling?.tolerations),
  );
  return errors;
}

export const validateRuntimeClassUpdate = (object: RuntimeClass, old: RuntimeClass): FieldError[] => [
  ...validateRuntimeClass(object),
  ...immutable('handler', object.handler, old.handler),
];

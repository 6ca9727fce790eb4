import type { APIService } from '#kube/generated/apiregistration-v1.ts';
import { isDns1035Label, isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { portNumber } from '#kube/validation/values.ts';

export function validateApiService(object: APIService): FieldError[] {
  const {
    group = '',
    version = '',
    service,
    groupPriorityMinimum = 0,
    versionPriority = 0,
    insecureSkipTLSVerify,
    caBundle,
  } = object.spec ?? {};
  const errors: FieldError[] = [];
  const name = `${version}.${group}`;
  if (object.metadata.name !== name)
    errors.push(fieldInvalid('metadata.name', object.metadata.name ?? '', `must be \`spec.version+"."+spec.group\`: "${name}"`));
  if (group !== '') errors.push(...fieldProblems('spec.group', group, isDns1123Subdomain(group)));
  errors.push(...fieldProblems('spec.version', version, isDns1035Label(version)));
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > 20000) {
    errors.push(fieldInvalid('spec.groupPriorityMinimum', groupPriorityMinimum, 'must be positive and less than 20000'));
  }
  if (versionPriority <= 0 || versionPriority > 1000)
    errors.push(fieldInvalid('spec.versionPriority', versionPriority, 'must be positive and less than 1000'));
  if (service === undefined) {
    if ((caBundle ?? '') !== '') errors.push(fieldInvalid('spec.caBundle', '', 'local APIServices may not have a caBundle'));
    if (insecureSkipTLSVerify === true)
      errors.push(fieldInvalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'));
    return errors;
  }
  if ((service.namespace ?? '') === '') errors.push(fieldRequired('spec.service.namespace'));
  if ((service.name ?? '') === '') errors.push(fieldRequired('spec.service.name'));
  if (service.port !== undefined) errors.push(...portNumber('spec.service.port', service.port));
  if (insecureSkipTLSVerify === true && (caBundle ?? '') !== '')
    errors.push(fieldInvalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  return errors;
}

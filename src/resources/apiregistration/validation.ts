/** kube-aggregator pkg/apis/apiregistration/validation/validation.go. */
import type { APIService } from '#kube/generated/apiregistration-v1.ts';
import { isDns1035Label, isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { portNumberProblems } from '#kube/validation/values.ts';

const maxGroupPriority = 20_000;
const maxVersionPriority = 1000;

export function validateApiService(object: APIService): FieldError[] {
  const { group = '', version = '', groupPriorityMinimum = 0, versionPriority = 0 } = object.spec ?? {};
  const errors: FieldError[] = [];
  const name = `${version}.${group}`;
  if (object.metadata.name !== name)
    errors.push(fieldInvalid('metadata.name', object.metadata.name ?? '', `must be \`spec.version+"."+spec.group\`: "${name}"`));
  if (group === '' && version !== 'v1')
    errors.push(fieldRequired('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  if (group !== '') errors.push(...fieldProblems('spec.group', group, isDns1123Subdomain(group)));
  errors.push(...fieldProblems('spec.version', version, isDns1035Label(version)));
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > maxGroupPriority)
    errors.push(fieldInvalid('spec.groupPriorityMinimum', groupPriorityMinimum, 'must be positive and less than 20000'));
  if (versionPriority <= 0 || versionPriority > maxVersionPriority)
    errors.push(fieldInvalid('spec.versionPriority', versionPriority, 'must be positive and less than 1000'));
  return [...errors, ...(object.spec?.service === undefined ? localErrors(object) : serviceErrors(object))];
}

const bytesIn = (base64: string): number => Buffer.from(base64, 'base64').length;

function localErrors({ spec }: APIService): FieldError[] {
  const errors: FieldError[] = [];
  const bytes = bytesIn(spec?.caBundle ?? '');
  if (bytes > 0) errors.push(fieldInvalid('spec.caBundle', `${bytes} bytes`, 'local APIServices may not have a caBundle'));
  if (spec?.insecureSkipTLSVerify === true)
    errors.push(fieldInvalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'));
  return errors;
}

function serviceErrors({ spec }: APIService): FieldError[] {
  const errors: FieldError[] = [];
  const { namespace = '', name = '', port } = spec?.service ?? {};
  if (namespace === '') errors.push(fieldRequired('spec.service.namespace'));
  if (name === '') errors.push(fieldRequired('spec.service.name'));
  const problems = port === undefined ? [] : portNumberProblems(port);
  if (problems.length > 0) errors.push(fieldInvalid('spec.service.port', port, `port is not valid: ${problems.join(', ')}`));
  if (spec?.insecureSkipTLSVerify === true && bytesIn(spec.caBundle ?? '') > 0)
    errors.push(fieldInvalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  return errors;
}

const statuses = ['True', 'False', 'Unknown'];

export function validateApiServiceStatus(object: APIService): FieldError[] {
  return (object.status?.conditions ?? []).flatMap(({ status }, i) =>
    statuses.includes(status) ? [] : [fieldNotSupported(`status.conditions[${i}].status`, status, statuses)],
  );
}

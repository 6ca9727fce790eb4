import { isDeepStrictEqual } from 'node:util';
import { validateRequest } from '#kube/certificate-requests.ts';
import type { CertificateSigningRequest } from '#kube/generated/certificates-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';

const usages = [
  ...['any', 'cert sign', 'client auth', 'code signing', 'content commitment', 'crl sign', 'data encipherment', 'decipher only'],
  ...['digital signature', 'email protection', 'encipher only', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'key agreement'],
  ...['key encipherment', 'microsoft sgc', 'netscape sgc', 'ocsp signing', 's/mime', 'server auth', 'signing', 'timestamping'],
];

export function validateSigningRequest(object: CertificateSigningRequest): FieldError[] {
  const unknown = (object.spec.usages ?? []).flatMap((usage, i) =>
    usages.includes(usage) ? [] : [fieldNotSupported(`spec.usages[${i}]`, usage, usages)],
  );
  return [...validateRequest(object), ...unknown];
}

/** Conditions, once Approved, Denied or Failed, stay; Approved and Denied exclude each other. */
export function validateSigningRequestStatus(object: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  const errors: FieldError[] = [];
  const types = new Set<string>();
  for (const [i, condition] of (object.status?.conditions ?? []).entries()) {
    const at = `status.conditions[${i}]`;
    if (condition.type === '') errors.push(fieldRequired(`${at}.type`));
    if (condition.status === '') errors.push(fieldRequired(`${at}.status`));
    else if (['Approved', 'Denied', 'Failed'].includes(condition.type) && condition.status !== 'True') {
      errors.push(fieldNotSupported(`${at}.status`, condition.status, ['True']));
    }
    if (types.has(condition.type)) errors.push(fieldDuplicate(`${at}.type`, condition.type));
    types.add(condition.type);
    const excluded = condition.type === 'Approved' ? 'Denied' : condition.type === 'Denied' ? 'Approved' : '';
    if (types.has(excluded))
      errors.push(fieldInvalid(`${at}.type`, condition.type, `Approved and Denied conditions are mutually exclusive`));
  }
  for (const type of ['Approved', 'Denied', 'Failed']) {
    const had = old.status?.conditions?.some((c) => c.type === type) === true;
    if (had && !types.has(type))
      errors.push({
        field: 'status.conditions',
        type: 'FieldValueForbidden',
        message: `Forbidden: updates may not remove a condition of type ${JSON.stringify(type)}`,
      });
  }
  const [certificate, before] = [object.status?.certificate, old.status?.certificate];
  if ((before ?? '') !== '' && !isDeepStrictEqual(certificate, before)) {
    errors.push({
      field: 'status.certificate',
      type: 'FieldValueForbidden',
      message: 'Forbidden: updates may not change non-empty certificate',
    });
  }
  return errors;
}

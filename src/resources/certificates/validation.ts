import { isDeepStrictEqual } from 'node:util';
import type { CertificateSigningRequest } from '#kube/generated/certificates-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldNotSupported, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';

const usages = [
  ...['any', 'cert sign', 'client auth', 'code signing', 'content commitment', 'crl sign', 'data encipherment', 'decipher only'],
  ...['digital signature', 'email protection', 'encipher only', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'key agreement'],
  ...['key encipherment', 'microsoft sgc', 'netscape sgc', 'ocsp signing', 's/mime', 'server auth', 'signing', 'timestamping'],
];

function signerName(field: string, name: string): FieldError[] {
  if (name === '') return [fieldRequired(field)];
  const [domain = '', ...path] = name.split('/');
  if (path.length !== 1) {
    return [fieldInvalid(field, name, 'must be a fully qualified domain and path of the form "example.com/signer-name"')];
  }
  const errors = isDns1123Subdomain(domain).map((why) => fieldInvalid(field, domain, `validating label "${domain}": ${why}`));
  if (!domain.includes('.')) errors.push(fieldInvalid(field, name, 'should be a domain with at least two segments separated by dots'));
  if (name.length > 253 + 1 + 63) errors.push(fieldTooLong(field, 253 + 1 + 63));
  return errors;
}

export function validateSigningRequest(object: CertificateSigningRequest): FieldError[] {
  const { spec } = object;
  const errors: FieldError[] = [];
  const pem = Buffer.from(spec.request ?? '', 'base64').toString('latin1');
  if (!/-----BEGIN CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE REQUEST-----/.test(pem)) {
    errors.push(fieldInvalid('spec.request', spec.request ?? '', 'PEM block type must be CERTIFICATE REQUEST'));
  }
  const asked = spec.usages ?? [];
  if (asked.length === 0) errors.push(fieldRequired('spec.usages'));
  const seen = new Set<string>();
  for (const [i, usage] of asked.entries()) {
    if (!usages.includes(usage)) errors.push(fieldNotSupported(`spec.usages[${i}]`, usage, usages));
    else if (seen.has(usage)) errors.push(fieldDuplicate(`spec.usages[${i}]`, usage));
    seen.add(usage);
  }
  errors.push(...signerName('spec.signerName', spec.signerName));
  const seconds = spec.expirationSeconds;
  if (seconds !== undefined && seconds < 600) {
    errors.push(fieldInvalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'));
  }
  return errors;
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

/** CertificateSigningRequests: pkg/apis/certificates/validation. */
import { X509Certificate } from 'node:crypto';
import { validateRequest } from '#kube/certificate-requests.ts';
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#kube/generated/certificates-v1.ts';
import { goDiff } from '#kube/go-diff.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';

const usages = [
  ...['any', 'cert sign', 'client auth', 'code signing', 'content commitment', 'crl sign', 'data encipherment', 'decipher only'],
  ...['digital signature', 'email protection', 'encipher only', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'key agreement'],
  ...['key encipherment', 'microsoft sgc', 'netscape sgc', 'ocsp signing', 's/mime', 'server auth', 'signing', 'timestamping'],
];

const decisions = ['Approved', 'Denied', 'Failed'];
type Conditions = readonly CertificateSigningRequestCondition[];

function conditions(list: Conditions): FieldError[] {
  const seen = new Set<string>();
  return list.flatMap(({ type, status }, i) => {
    const at = `status.conditions[${i}]`;
    const errors = type === '' ? [fieldRequired(`${at}.type`)] : [];
    const allowed = decisions.includes(type) ? ['True'] : ['False', 'True', 'Unknown'];
    if (status === '') errors.push(fieldRequired(`${at}.status`));
    else if (!allowed.includes(status)) errors.push(fieldNotSupported(`${at}.status`, status, allowed));
    const other = type === 'Approved' ? 'Denied' : type === 'Denied' ? 'Approved' : undefined;
    if (other !== undefined && seen.has(other))
      errors.push(fieldInvalid(`${at}.type`, type, 'Approved and Denied conditions are mutually exclusive'));
    if (seen.has(type)) errors.push(fieldDuplicate(`${at}.type`, type));
    seen.add(type);
    return errors;
  });
}

const pemBlock = /-----BEGIN ([^\n-]*)-----\r?\n([\s\S]*?)-----END \1-----/g;

/** What is wrong with the certificates that a signer gave, as PEM. */
function certificateProblem(pem: string): string | undefined {
  const blocks = [...pem.matchAll(pemBlock)];
  for (const [block, type = '', body = ''] of blocks) {
    if (type !== 'CERTIFICATE') return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    if (body.includes(':')) return 'no PEM block headers are permitted';
    try {
      new X509Certificate(block);
    } catch {
      return 'x509: malformed certificate';
    }
  }
  return blocks.length === 0 ? 'must contain at least one CERTIFICATE PEM block' : undefined;
}

/** `known`: the certificate that the request has already, which is left as it is. */
function request(object: CertificateSigningRequest, known = ''): FieldError[] {
  const errors = [...validateRequest(object)];
  for (const [i, usage] of (object.spec.usages ?? []).entries())
    if (!usages.includes(usage)) errors.push(fieldNotSupported(`spec.usages[${i}]`, usage, usages));
  errors.push(...conditions(object.status?.conditions ?? []));
  const { certificate = '' } = object.status ?? {};
  const problem =
    certificate === '' || certificate === known ? undefined : certificateProblem(Buffer.from(certificate, 'base64').toString());
  return problem === undefined ? errors : [...errors, fieldInvalid('status.certificate', '<certificate data>', problem)];
}

export const validateSigningRequest = (object: CertificateSigningRequest): FieldError[] => request(object);

const ofType = (list: Conditions | undefined, type: string): Conditions => (list ?? []).filter((c) => c.type === type);

function removed(now: Conditions | undefined, was: Conditions | undefined): FieldError[] {
  return decisions
    .filter((type) => ofType(now, type).length < ofType(was, type).length)
    .map((type) => fieldForbidden('status.conditions', `updates may not remove a condition of type ${JSON.stringify(type)}`));
}

/** Approval has a subresource of its own. */
function decided(now: Conditions | undefined, was: Conditions | undefined): FieldError[] {
  return ['Approved', 'Denied'].flatMap((type) => {
    const [list, before] = [ofType(now, type), ofType(was, type)];
    const of = `a condition of type ${JSON.stringify(type)}`;
    if (list.length > before.length) return [fieldForbidden('status.conditions', `updates may not add ${of}`)];
    const diff = list.length < before.length ? '' : goDiff('[]certificates.CertificateSigningRequestCondition', before, list);
    return diff === '' ? [] : [fieldForbidden('status.conditions', `updates may not modify ${of}\n${diff}`)];
  });
}

export const validateSigningRequestUpdate = (object: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] =>
  request(object, old.status?.certificate);

/** Who approves may decide, not take back. */
export const validateSigningRequestApproval = (object: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] => [
  ...request(object, old.status?.certificate),
  ...removed(object.status?.conditions, old.status?.conditions),
];

/** Decisions stay, and so does the certificate once it is there. */
export function validateSigningRequestStatus(object: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  const [now, was] = [object.status, old.status];
  const errors = [
    ...request(object, was?.certificate),
    ...removed(now?.conditions, was?.conditions),
    ...decided(now?.conditions, was?.conditions),
  ];
  if ((was?.certificate ?? '') !== '' && now?.certificate !== was?.certificate)
    errors.push(fieldForbidden('status.certificate', 'updates may not modify existing certificate content'));
  return errors;
}

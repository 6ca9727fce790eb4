/** What Kubernetes' own signers want of a CertificateSigningRequest: pkg/apis/certificates and pkg/controller/certificates. */
import { type CertificateRequest, readRequest } from '#lib/x509.ts';
import type { CertificateSigningRequest } from './generated/certificates-v1.ts';
import type { FieldError } from './status-error.ts';
import { fieldInvalid } from './validation/field-error.ts';
import { signerName as signerNameErrors } from './validation/signer-name.ts';

export const signerNames = {
  apiServerClient: 'kubernetes.io/kube-apiserver-client',
  kubeletClient: 'kubernetes.io/kube-apiserver-client-kubelet',
  kubeletServing: 'kubernetes.io/kubelet-serving',
  legacyUnknown: 'kubernetes.io/legacy-unknown',
} as const;

const usagesAre = (usages: readonly string[], needed: readonly string[]): boolean => {
  const given = new Set(usages);
  given.delete('key encipherment');
  return given.size === needed.length && needed.every((u) => given.has(u));
};

/** Why a request is none for a kubelet's client certificate; undefined: it is one. */
export function kubeletClientProblem(request: CertificateRequest, usages: readonly string[]): string | undefined {
  const { subject, altNames } = request;
  if (subject.organizations.length !== 1 || subject.organizations[0] !== 'system:nodes') return 'subject organization is not system:nodes';
  if (altNames.dns.length > 0) return 'DNS subjectAltNames are not allowed';
  if (altNames.email.length > 0) return 'Email subjectAltNames are not allowed';
  if (altNames.ip.length > 0) return 'IP subjectAltNames are not allowed';
  if (altNames.uri.length > 0) return 'URI subjectAltNames are not allowed';
  if (!subject.commonName.startsWith('system:node:')) return 'subject common name does not begin with system:node: ';
  if (!usagesAre(usages, ['digital signature', 'client auth']))
    return 'usages did not match [client auth digital signature key encipherment]';
  return undefined;
}

/** Why a request is none for a kubelet's serving certificate; undefined: it is one. */
export function kubeletServingProblem(request: CertificateRequest, usages: readonly string[]): string | undefined {
  const { subject, altNames } = request;
  if (subject.organizations.length !== 1 || subject.organizations[0] !== 'system:nodes') return 'subject organization is not system:nodes';
  if (altNames.dns.length === 0 && altNames.ip.length === 0) return 'DNS or IP subjectAltName is required';
  if (altNames.email.length > 0) return 'Email subjectAltNames are not allowed';
  if (altNames.uri.length > 0) return 'URI subjectAltNames are not allowed';
  if (!subject.commonName.startsWith('system:node:')) return 'subject common name does not begin with system:node: ';
  if (!usagesAre(usages, ['digital signature', 'server auth']))
    return 'usages did not match [digital signature key encipherment server auth]';
  return undefined;
}

/** Why a request is none for a client of the API server; undefined: it is one. */
export function apiServerClientProblem(usages: readonly string[]): string | undefined {
  const other = usages.find((u) => !['digital signature', 'key encipherment', 'client auth'].includes(u));
  if (other !== undefined) return `usage ${JSON.stringify(other)} is not allowed`;
  return usages.includes('client auth') ? undefined : 'usage "client auth" is required';
}

/** The PEM request of an object. Throws an Error that says what is wrong with it. */
export const requestOf = (csr: CertificateSigningRequest): CertificateRequest =>
  readRequest(Buffer.from(csr.spec.request, 'base64').toString('utf8'));

/**
 * How a kubelet's request is approved without anybody's doing (pkg/controller/certificates/approver): when its sender may create the
 * given subresource of certificatesigningrequests. 'selfnodeclient': a node renews its own. Undefined: not such a request.
 */
export function autoApproval(
  csr: CertificateSigningRequest,
): { readonly subresource: 'nodeclient' | 'selfnodeclient'; readonly message: string } | undefined {
  if (csr.spec.signerName !== signerNames.kubeletClient) return undefined;
  let request: CertificateRequest;
  try {
    request = requestOf(csr);
  } catch {
    return undefined;
  }
  if (kubeletClientProblem(request, csr.spec.usages ?? []) !== undefined) return undefined;
  if (csr.spec.username === request.subject.commonName)
    return { subresource: 'selfnodeclient', message: 'Auto approving self kubelet client certificate after SubjectAccessReview.' };
  return { subresource: 'nodeclient', message: 'Auto approving kubelet client certificate after SubjectAccessReview.' };
}

/** pkg/apis/certificates/validation: on creation. */
export function validateRequest(csr: CertificateSigningRequest): readonly FieldError[] {
  const errors: FieldError[] = [];
  const { signerName, usages, expirationSeconds } = csr.spec;
  try {
    requestOf(csr);
  } catch (error) {
    errors.push(fieldInvalid('spec.request', csr.spec.request ?? '', error instanceof Error ? error.message : String(error)));
  }
  if ((usages ?? []).length === 0) errors.push({ field: 'spec.usages', type: 'FieldValueRequired', message: 'Required value' });
  for (const [i, usage] of (usages ?? []).entries())
    if ((usages ?? []).indexOf(usage) < i)
      errors.push({ field: `spec.usages[${i}]`, type: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(usage)}` });
  errors.push(...signerNameErrors('spec.signerName', signerName));
  if (signerName === signerNames.legacyUnknown)
    errors.push(fieldInvalid('spec.signerName', signerName, 'the legacy signerName is not allowed via this API version'));
  if (expirationSeconds !== undefined && expirationSeconds < 600)
    errors.push({
      field: 'spec.expirationSeconds',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${expirationSeconds}: may not specify a duration less than 600 seconds (10 minutes)`,
    });
  return errors;
}

/** The admission plugins around CertificateSigningRequests: plugin/pkg/admission/certificates. */
import { requestOf, signerNames } from '#kube/certificate-requests.ts';
import type { CertificateSigningRequest } from '#kube/generated/certificates-v1.ts';
import { forbidden } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, Authorize } from '../contract.ts';

const group = 'certificates.k8s.io';
const plural = 'certificatesigningrequests';

const isCsr = ({ def }: AdmissionRequest): boolean => def.ref.group === group && def.ref.plural === plural;
const csrOf = (object: unknown): CertificateSigningRequest => object as CertificateSigningRequest;
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** A right on the signer by name, or on all of its domain. */
async function may(request: AdmissionRequest, authorize: Authorize, verb: string, signerName: string): Promise<boolean> {
  const domain = `${signerName.split('/')[0] ?? ''}/*`;
  for (const name of [signerName, domain]) {
    const attributes = {
      user: request.user,
      verb,
      resourceRequest: true,
      group,
      version: 'v1',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
      path: '',
    };
    if ((await authorize(attributes, request.signal)).decision === 'allow') return true;
  }
  return false;
}

async function require(request: AdmissionRequest, authorize: Authorize, verb: 'approve' | 'sign'): Promise<void> {
  const { signerName } = csrOf(request.oldObject).spec;
  if (await may(request, authorize, verb, signerName)) return;
  throw forbidden({ group, plural }, request.name, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`);
}

const approval = (authorize: Authorize): AdmissionPlugin => ({
  name: 'CertificateApproval',
  handles: (request) => request.operation === 'UPDATE' && request.subresource === 'approval' && isCsr(request),
  validate: (request) => require(request, authorize, 'approve'),
});

const signing = (authorize: Authorize): AdmissionPlugin => ({
  name: 'CertificateSigning',
  handles: (request) => request.operation === 'UPDATE' && request.subresource === 'status' && isCsr(request),
  validate: async (request) => {
    const now = csrOf(request.object).status;
    const before = csrOf(request.oldObject).status;
    if (same(now?.certificate, before?.certificate) && same(now?.conditions, before?.conditions)) return;
    await require(request, authorize, 'sign');
  },
});

/** Nobody becomes system:masters by way of a signed request. */
const subjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  handles: (request) => request.operation === 'CREATE' && request.subresource === '' && isCsr(request),
  validate: (request) => {
    const csr = csrOf(request.object);
    if (csr.spec.signerName !== signerNames.apiServerClient) return;
    let organizations: readonly string[];
    try {
      organizations = requestOf(csr).subject.organizations;
    } catch {
      // What is no request is refused by validation.
      return;
    }
    if (organizations.includes('system:masters'))
      throw forbidden(
        { group, plural },
        request.name,
        `use of ${signerNames.apiServerClient} signer with system:masters group is not allowed`,
      );
  },
};

export const certificatePlugins = (authorize: Authorize): readonly AdmissionPlugin[] => [
  approval(authorize),
  signing(authorize),
  subjectRestriction,
];

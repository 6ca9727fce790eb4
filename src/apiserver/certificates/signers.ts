/** Kubernetes' own signers, for the controller that signs approved requests: pkg/controller/certificates/signer. */
import { X509Certificate } from 'node:crypto';
import { apiServerClientProblem, kubeletClientProblem, kubeletServingProblem, signerNames } from '#kube/certificate-requests.ts';
import {
  type CertificateRequest,
  type ExtendedUsageName,
  extendedUsages,
  issueCertificate,
  type KeyUsageName,
  readRequest,
  type Signer,
} from '#lib/x509.ts';

type Authority = Signer & { readonly certPem: string };

export interface SignerAuthorities {
  readonly clientCa: () => Authority;
  readonly serverCa: () => Authority;
}

export interface SigningOrder {
  readonly csrPem: string;
  readonly usages: readonly string[];
  readonly durationSeconds: number | undefined;
  readonly now: Date;
}

export interface CertificateSigner {
  readonly signerName: string;
  /** PEM of the certificate. Rejects with an Error when the request is not one that this signer signs. */
  readonly sign: (order: SigningOrder) => Promise<string>;
}

/** --cluster-signing-duration. */
const longestMs = 365 * 24 * 3600 * 1000;
const backdateMs = 5 * 60 * 1000;

const keyUsageNames: readonly KeyUsageName[] = [
  'digital signature',
  'content commitment',
  'key encipherment',
  'data encipherment',
  'key agreement',
  'cert sign',
  'crl sign',
  'encipher only',
  'decipher only',
];
/** Names of the API that have another name in RFC 5280. */
const aliases: Readonly<Record<string, string>> = { signing: 'digital signature', 's/mime': 'email protection' };

function issue(order: SigningOrder, request: CertificateRequest, authority: Authority): string {
  const now = order.now.getTime();
  const usages = order.usages.map((u) => aliases[u] ?? u);
  const life = Math.min(longestMs, Math.max(600, order.durationSeconds ?? Number.MAX_SAFE_INTEGER) * 1000);
  const lastOfAuthority = Date.parse(new X509Certificate(authority.certPem).validTo);
  return issueCertificate(
    {
      subject: request.subject,
      publicKey: request.publicKey,
      altNames: request.altNames,
      notBefore: new Date(now - backdateMs),
      notAfter: new Date(Math.min(now - backdateMs + life, lastOfAuthority)),
      keyUsages: keyUsageNames.filter((n) => usages.includes(n)),
      extendedUsages: (Object.keys(extendedUsages) as ExtendedUsageName[]).filter((n) => usages.includes(n)),
    },
    authority,
  );
}

type Check = (request: CertificateRequest, usages: readonly string[]) => string | undefined;

const signer = (signerName: string, authority: () => Authority, check: Check): CertificateSigner => ({
  signerName,
  sign: async (order) => {
    const request = readRequest(order.csrPem);
    const problem = check(request, order.usages);
    if (problem !== undefined) throw new Error(problem);
    return await Promise.resolve(issue(order, request, authority()));
  },
});

export const certificateSigners = ({ clientCa, serverCa }: SignerAuthorities): readonly CertificateSigner[] => [
  signer(signerNames.apiServerClient, clientCa, (_request, usages) => apiServerClientProblem(usages)),
  signer(signerNames.kubeletClient, clientCa, kubeletClientProblem),
  signer(signerNames.kubeletServing, serverCa, kubeletServingProblem),
  signer(signerNames.legacyUnknown, serverCa, () => undefined),
];

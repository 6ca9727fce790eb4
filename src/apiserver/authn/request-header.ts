/** Users that an authenticating proxy names in headers. k8s.io/apiserver authentication/request/headerrequest. */
import { X509Certificate } from 'node:crypto';
import { readCertificate } from '#lib/x509.ts';
import type { Clock } from '#platform/clock.ts';
import type { RequestHeaders } from '../contract.ts';
import { verifyClientCertificate } from './client-certificate.ts';
import type { RequestAuthenticator } from './types.ts';

export interface RequestHeaderOptions {
  readonly authorities: () => readonly X509Certificate[];
  /** Common names that may speak for others; empty: any that the authority signed. */
  readonly allowedNames: readonly string[];
  /** Lower case. Default: upstream's x-remote-user, x-remote-uid, x-remote-group, x-remote-extra-. */
  readonly userHeaders?: readonly string[];
  readonly uidHeaders?: readonly string[];
  readonly groupHeaders?: readonly string[];
  readonly extraPrefixes?: readonly string[];
}

const first = (headers: RequestHeaders, names: readonly string[]): string | undefined =>
  names.map((n) => headers[n]).find((v) => v !== undefined && v !== '');

/** Values of a header that may repeat: the server joins them with ", ". */
export const values = (header: string | undefined): readonly string[] => (header === undefined || header === '' ? [] : header.split(', '));

/** Keys of extra headers are percent-encoded and case-insensitive. */
export function extraHeaders(headers: RequestHeaders, prefix: string): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(prefix)) continue;
    let key = name.slice(prefix.length);
    try {
      key = decodeURIComponent(key).toLowerCase();
    } catch {
      // Upstream takes an undecodable key as it is.
    }
    extra.set(key, values(value));
  }
  return Object.fromEntries(extra);
}

export function requestHeaderAuthenticator(options: RequestHeaderOptions, clock: Clock): RequestAuthenticator {
  const trusted = new WeakMap<object, { readonly until: number }>();
  return (request) => {
    const name = first(request.headers, options.userHeaders ?? ['x-remote-user']);
    if (request.peer === undefined || name === undefined) return undefined;
    const now = clock.now();
    if (now >= (trusted.get(request.connection)?.until ?? 0)) {
      const cert = new X509Certificate(request.peer.raw);
      // Not the proxy's certificate: a client's own, and its headers say nothing.
      if (!options.authorities().some((a) => cert.checkIssued(a) && cert.verify(a.publicKey))) return undefined;
      verifyClientCertificate(cert, options.authorities(), now);
      const { commonName } = readCertificate(request.peer.raw).subject;
      if (options.allowedNames.length > 0 && !options.allowedNames.includes(commonName))
        throw new Error(`x509: subject with cn=${commonName} is not in the allowed list`);
      trusted.set(request.connection, { until: Math.min(Date.parse(cert.validTo), now + 3600_000) });
    }
    const uid = first(request.headers, options.uidHeaders ?? ['x-remote-uid']);
    const groups = (options.groupHeaders ?? ['x-remote-group']).flatMap((h) => values(request.headers[h]));
    const extra = Object.assign({}, ...(options.extraPrefixes ?? ['x-remote-extra-']).map((p) => extraHeaders(request.headers, p)));
    return { name, groups, extra, ...(uid === undefined ? {} : { uid }) };
  };
}

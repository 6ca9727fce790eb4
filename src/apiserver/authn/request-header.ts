/** Users that an authenticating proxy names in headers. k8s.io/apiserver authentication/request/headerrequest. */
import { X509Certificate } from 'node:crypto';
import { readCertificate } from '#lib/x509.ts';
import type { Clock } from '#platform/clock.ts';
import { issuedBelow, verifyClientCertificate } from './client-certificate.ts';
import { headerValues, prefixedHeaders, type RawHeaders } from './header-values.ts';
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

const first = (headers: RawHeaders, names: readonly string[]): string | undefined =>
  names.map((n) => headerValues(headers, n)[0]).find((v) => v !== undefined && v !== '');

export function requestHeaderAuthenticator(options: RequestHeaderOptions, clock: Clock): RequestAuthenticator {
  const trusted = new WeakMap<object, { readonly until: number }>();
  return (request) => {
    if (request.peer === undefined) return undefined;
    const raw = request.rawHeaders;
    const name = first(raw, options.userHeaders ?? ['x-remote-user']);
    if (name === undefined) return undefined;
    const now = clock.now();
    if (now >= (trusted.get(request.connection)?.until ?? 0)) {
      const cert = new X509Certificate(request.peer.raw);
      // Not the proxy's certificate: a client's own, and its headers say nothing.
      const chain = { cert, intermediates: request.peer.intermediates.map((i) => new X509Certificate(i)) };
      if (!issuedBelow(chain, options.authorities())) return undefined;
      verifyClientCertificate(chain, options.authorities(), now);
      const { commonName } = readCertificate(request.peer.raw).subject;
      if (options.allowedNames.length > 0 && !options.allowedNames.includes(commonName))
        throw new Error(`x509: subject with cn=${commonName} is not in the allowed list`);
      trusted.set(request.connection, { until: Math.min(Date.parse(cert.validTo), now + 3600_000) });
    }
    const uid = first(raw, options.uidHeaders ?? ['x-remote-uid']);
    const groups = (options.groupHeaders ?? ['x-remote-group']).flatMap((h) => headerValues(raw, h)).filter((g) => g !== '');
    const extra = Object.assign({}, ...(options.extraPrefixes ?? ['x-remote-extra-']).map((p) => prefixedHeaders(raw, p)));
    return { name, groups, extra, ...(uid === undefined ? {} : { uid }) };
  };
}

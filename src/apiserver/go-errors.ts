/** Failures of connections and certificates in the words of Go's net, crypto/tls and crypto/x509 packages, which clients and tests know. */

interface NodeError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly cert?: { readonly subjectaltname?: string };
}

const unknownAuthority = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
]);

const systemErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'connect: connection timed out',
};

const joined = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** "DNS:a.svc, IP Address:10.0.0.1" as Go lists names. */
const namesOf = (text: string): string[] => text.split(', ').map((entry) => entry.replace(/^(?:DNS|IP Address|URI|email):/, ''));

/** The times of the certificate that was refused. */
export interface Validity {
  readonly valid_from?: string;
  readonly valid_to?: string;
}

const seconds = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

function timeError(relation: 'before' | 'after', limit: string | undefined): string {
  const at = limit === undefined ? Number.NaN : Date.parse(limit);
  const when = Number.isNaN(at) ? '' : `: current time ${seconds(new Date())} is ${relation} ${seconds(new Date(at))}`;
  return `certificate has expired or is not yet valid${when}`;
}

function certificateError(error: NodeError, serverName: string, validity: Validity): string | undefined {
  const code = error.code ?? '';
  if (unknownAuthority.has(code)) return 'certificate signed by unknown authority';
  if (code === 'CERT_HAS_EXPIRED') return timeError('after', validity.valid_to);
  if (code === 'CERT_NOT_YET_VALID') return timeError('before', validity.valid_from);
  if (code !== 'ERR_TLS_CERT_ALTNAME_INVALID') return undefined;
  const names = error.cert?.subjectaltname;
  const isAddress = /^[\d.]+$|:/.test(serverName);
  if (names === undefined || names === '')
    return isAddress
      ? `cannot validate certificate for ${serverName} because it doesn't contain any IP SANs`
      : 'certificate relies on legacy Common Name field, use SANs instead';
  const listed = namesOf(names).filter((name) => isAddress === /^[\d.]+$|:/.test(name));
  if (listed.length === 0)
    return isAddress
      ? `cannot validate certificate for ${serverName} because it doesn't contain any IP SANs`
      : `certificate is not valid for any names, but wanted to match ${serverName}`;
  return `certificate is valid for ${listed.join(', ')}, not ${serverName}`;
}

/** What Go would say of an error of a TLS connection to `serverName`. */
export function goErrorText(error: unknown, serverName: string, validity: Validity = {}): string {
  if (!(error instanceof Error)) return String(error);
  const e: NodeError = error;
  const certificate = certificateError(e, serverName, validity);
  if (certificate !== undefined) return `tls: failed to verify certificate: x509: ${certificate}`;
  const code = e.code ?? '';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${e.hostname ?? serverName}: no such host`;
  const system = Object.hasOwn(systemErrors, code) ? systemErrors[code] : undefined;
  if (system !== undefined) return `dial tcp ${joined(e.address ?? serverName, e.port ?? 443)}: ${system}`;
  if (code === 'ECONNRESET')
    return e.message === 'socket hang up' || e.message.startsWith('Client network socket') ? 'EOF' : 'read: connection reset by peer';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return 'http: server gave HTTP response to HTTPS client';
  return e.message;
}

/** A real HTTPS server for tests of aggregation: it asks for the proxy's certificate and notes what reaches it. */

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { issueCertificate } from '#lib/x509.ts';

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

export interface Authority {
  readonly cert: string;
  readonly issue: (commonName: string, dns: readonly string[]) => { readonly cert: string; readonly key: string };
}

export function testAuthority(name: string): Authority {
  const valid = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const cert = issueCertificate(
    { ...valid, subject: { commonName: name, organizations: [] }, publicKey, ca: true, keyUsages: ['digital signature', 'cert sign'] },
    { key: privateKey },
  );
  return {
    cert,
    issue: (commonName, dns) => {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const leaf = issueCertificate(
        {
          ...valid,
          subject: { commonName, organizations: [] },
          publicKey: pair.publicKey,
          keyUsages: ['digital signature'],
          extendedUsages: ['client auth', 'server auth'],
          altNames: { dns: [...dns], ip: [], email: [], uri: [] },
        },
        { key: privateKey, certPem: cert },
      );
      return { cert: leaf, key: pem(pair.privateKey) };
    },
  };
}

export interface Extension extends AsyncDisposable {
  readonly port: number;
  readonly authority: Authority;
  /** Connections since the start. */
  readonly connections: () => number;
}

/** Answers `${name}.${namespace}.svc` names; `proxies` signs who may speak for others, and only they get an answer. */
export async function startExtension(
  serverNames: readonly string[],
  proxies: Authority,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
): Promise<Extension> {
  const authority = testAuthority('extension-ca');
  let connections = 0;
  const server = createServer(
    { ...authority.issue('extension', serverNames), ca: proxies.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      if (socket.authorized) answer(request, response);
      else response.writeHead(401).end(`no certificate of the proxy: ${String(socket.authorizationError)}`);
    },
  );
  server.on('secureConnection', () => {
    connections++;
  });
  server.on('tlsClientError', () => undefined);
  if (upgrade !== undefined) server.on('upgrade', upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    authority,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const dialLocal = (port: number, signal: AbortSignal): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, signal });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });

import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueCertificate } from '#lib/x509.ts';
import { realClock } from '#platform/clock.ts';
import { builtinKinds } from '#resources/index.ts';
import type { AuthnRequest } from '../contract.ts';
import { admin, startTestServer, testTls } from '../testing.ts';
import type { HttpServer } from './server.ts';

const tls = testTls();
const seen: AuthnRequest[] = [];
let http: HttpServer;
let port = 0;

beforeAll(async () => {
  const { server } = await startTestServer(builtinKinds, { clock: realClock });
  http = server.createHttp({
    tls: tls.server,
    authenticate: async (request) => {
      seen.push(request);
      return await Promise.resolve(admin);
    },
  });
  port = await http.listen('127.0.0.1', 0);
});
afterAll(() => http.close());

/** A client certificate two authorities below one that the server has never seen. */
function chainedClient() {
  const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const dates = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const authority = (name: string, signer?: { readonly key: ReturnType<typeof newKey>; readonly certPem: string }) => {
    const key = newKey();
    const subject = { commonName: name, organizations: [] };
    return { key, certPem: issueCertificate({ ...dates, subject, publicKey: createPublicKey(key), ca: true }, signer ?? { key }) };
  };
  const upper = authority('upper', authority('root'));
  const lower = authority('lower', upper);
  const key = newKey();
  const subject = { commonName: 'chained', organizations: [] };
  const cert = issueCertificate({ ...dates, subject, publicKey: createPublicKey(key), extendedUsages: ['client auth'] }, lower);
  return { cert: cert + lower.certPem + upper.certPem, key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const names = (request: AuthnRequest | undefined): readonly string[] =>
  request?.peer === undefined ? [] : [request.peer.raw, ...request.peer.intermediates].map((raw) => new X509Certificate(raw).subject);

test('the certificates that a client sends along, and each of repeated headers, reach authentication over HTTP/1.1', async () => {
  const headers = { 'Impersonate-Group': ['a, b', 'c'] };
  await new Promise<void>((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, path: '/version', headers, ca: tls.ca, agent: false, ...chainedClient() },
      (r) => {
        r.resume();
        r.on('end', resolve);
      },
    );
    request.on('error', reject);
    request.end();
  });
  expect(names(seen.at(-1))).toEqual(['CN=chained', 'CN=lower', 'CN=upper']);
  expect(seen.at(-1)?.peer?.authorized).toBe(false);
  const raw = seen.at(-1)?.rawHeaders ?? [];
  expect(raw.filter((_, i) => raw[i - 1]?.toLowerCase() === 'impersonate-group')).toEqual(['a, b', 'c']);
});

test('and over HTTP/2', async () => {
  const session = connect(`https://127.0.0.1:${port}`, { ca: tls.ca, ...chainedClient() });
  await new Promise<void>((resolve, reject) => {
    const stream = session.request({ ':path': '/version', 'impersonate-group': ['a, b', 'c'] });
    stream.on('error', reject);
    stream.on('end', resolve);
    stream.resume();
  });
  session.close();
  expect(names(seen.at(-1))).toEqual(['CN=chained', 'CN=lower', 'CN=upper']);
  const raw = seen.at(-1)?.rawHeaders ?? [];
  expect(raw.filter((_, i) => raw[i - 1] === 'impersonate-group')).toEqual(['a, b', 'c']);
});

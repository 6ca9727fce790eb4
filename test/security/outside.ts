/**
 * Services outside the cluster, for the scenario: an OpenID Connect issuer, a token webhook, an authorization webhook and an
 * audit webhook, on one HTTPS port of the host it runs on. Arguments: the port, and a folder for its certificate, the issuer's
 * key and what the audit webhook received.
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { issueCertificate, noAltNames } from '../../src/lib/x509.ts';

const [port = '9443', folder = '.'] = process.argv.slice(2);
const url = `https://127.0.0.1:${port}`;
const tls = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = (key: typeof tls.privateKey): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const dates = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 86_400_000) };
const cert = issueCertificate(
  {
    ...dates,
    subject: { commonName: 'outside', organizations: [] },
    publicKey: tls.publicKey,
    altNames: { ...noAltNames, ip: ['127.0.0.1'] },
  },
  { key: tls.privateKey },
);

interface Review {
  readonly spec: { readonly token?: string; readonly user?: string; readonly resourceAttributes?: { readonly resource?: string } };
}

const answers: Readonly<Record<string, (body: string) => unknown>> = {
  '/.well-known/openid-configuration': () => ({ issuer: url, jwks_uri: `${url}/keys` }),
  '/keys': () => ({
    keys: [
      {
        ...createPublicKey(signing.publicKey.export({ type: 'spki', format: 'pem' })).export({ format: 'jwk' }),
        kid: 'k',
        alg: 'RS256',
        use: 'sig',
      },
    ],
  }),
  '/authn': (body) => {
    const { token } = (JSON.parse(body) as Review).spec;
    return {
      status: token === 'of-bob' ? { authenticated: true, user: { username: 'bob', groups: ['outsiders'] } } : { authenticated: false },
    };
  },
  '/authz': (body) => {
    const { user, resourceAttributes } = (JSON.parse(body) as Review).spec;
    appendFileSync(join(folder, 'asked'), `${user} ${resourceAttributes?.resource ?? ''}\n`);
    return { status: { allowed: user === 'bob' && resourceAttributes?.resource === 'configmaps' } };
  },
  '/audit': (body) => {
    appendFileSync(join(folder, 'audited'), `${body}\n`);
    return {};
  },
};

createServer({ cert, key: pem(tls.privateKey) }, (request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('end', () => {
    const answer = answers[request.url ?? ''];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer?.(body) ?? {}));
  });
}).listen(Number(port), '127.0.0.1', () => {
  writeFileSync(join(folder, 'issuer.key'), pem(signing.privateKey));
  writeFileSync(join(folder, 'outside.pem'), cert);
});

import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueCertificate } from '#lib/x509.ts';
import { realClock } from '#platform/clock.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { ensureAuthority, ensureLeaf, type KeyPair } from '../../pki/certificates.ts';
import { createWebhookCaller } from './webhook-client.ts';

let server: Server;
let port = 0;
let caBundle = '';
let client: KeyPair;
const whoAsks = (request: IncomingMessage) => ({
  authorization: request.headers.authorization,
  certificate: (request.socket as TLSSocket).getPeerX509Certificate()?.subject,
});
const dir = mkdtempSync(join(tmpdir(), 'webhook-'));
const signal = new AbortController().signal;

beforeAll(async () => {
  const authority = await ensureAuthority(dir, 'ca', Date.now());
  const leaf = await ensureLeaf(
    dir,
    {
      name: 'hook',
      commonName: 'hook',
      usages: ['server auth'],
      altNames: { dns: ['hook.ns.svc'], ip: ['127.0.0.1'], email: [], uri: [] },
    },
    authority,
    Date.now(),
  );
  caBundle = Buffer.from(authority.certPem).toString('base64');
  client = await ensureLeaf(dir, { name: 'client', commonName: 'apiserver', usages: ['client auth'] }, authority, Date.now());
  server = createServer({ key: leaf.keyPem, cert: leaf.certPem, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (c: Buffer) => chunks.push(c));
    request.on('end', () => {
      const url = request.url ?? '';
      if (url.startsWith('/slow')) return;
      if (url.startsWith('/error')) response.writeHead(503).end('not now');
      else if (url.startsWith('/huge')) response.end('x'.repeat(4 * 1024 * 1024));
      else if (url.startsWith('/text')) response.end('no JSON');
      else
        response.end(
          JSON.stringify({
            url,
            host: request.headers.host,
            ...(url.startsWith('/who') ? whoAsks(request) : {}),
            got: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown,
          }),
        );
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const byUrl = (path: string, timeoutMs = 5000, bundle = caBundle) =>
  createWebhookCaller(
    undefined,
    realClock,
  )({
    config: { url: `https://127.0.0.1:${port}${path}`, caBundle: bundle },
    body: { a: 1 },
    timeoutMs,
    signal,
  });

test('a webhook is called by its URL, with its own authority', async () => {
  expect(await byUrl('/x?y=z')).toEqual({ url: '/x?y=z&timeout=5s', host: `127.0.0.1:${port}`, got: { a: 1 } });
});

test('a webhook is told who calls, where there are credentials for its host', async () => {
  const config = { url: `https://127.0.0.1:${port}/who`, caBundle };
  const asked: string[] = [];
  const call = createWebhookCaller(undefined, realClock, (hostPort) => {
    asked.push(hostPort);
    return { cert: client.certPem, key: client.keyPem, token: 'secret' };
  });
  expect(await call({ config, body: {}, timeoutMs: 5000, signal })).toMatchObject({
    authorization: 'Bearer secret',
    certificate: 'CN=apiserver',
  });
  expect(asked).toEqual([`127.0.0.1:${port}`]);
  expect(await byUrl('/who')).not.toHaveProperty('authorization');
});

test('a service is called by its name, over whatever connection leads to it', async () => {
  const asked: unknown[] = [];
  const call = createWebhookCaller((namespace, name, wanted) => {
    asked.push([namespace, name, wanted]);
    return Promise.resolve(connect(port, '127.0.0.1'));
  }, realClock);
  const config = { service: { namespace: 'ns', name: 'hook', path: '/p', port: 8443 }, caBundle };
  expect(await call({ config, body: {}, timeoutMs: 5000, signal })).toMatchObject({ url: '/p?timeout=5s', host: 'hook.ns.svc:8443' });
  expect(asked).toEqual([['ns', 'hook', 8443]]);
});

test('a connection is kept for the next call, however long after it was dialled', async () => {
  const clock = fakeClock();
  const dialled: AbortSignal[] = [];
  const call = createWebhookCaller((_namespace, _name, _port, given) => {
    dialled.push(given);
    return Promise.resolve(connect(port, '127.0.0.1'));
  }, clock);
  const question = { config: { service: { namespace: 'ns', name: 'hook' }, caBundle }, body: {}, timeoutMs: 5000, signal };
  await call(question);
  await clock.advance(120_000);
  await call(question);
  expect(dialled.map((given) => given.aborted)).toEqual([false]);
});

test('a handshake that does not end is given up, and its connection closed', async () => {
  const clock = fakeClock();
  const silent = createTcpServer();
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  const dialled: Socket[] = [];
  const ended = Promise.withResolvers<void>();
  const call = createWebhookCaller((_namespace, _name, _port, given) => {
    const socket = connect((silent.address() as AddressInfo).port, '127.0.0.1');
    dialled.push(socket);
    socket.on('close', () => ended.resolve());
    given.addEventListener('abort', () => socket.destroy(), { once: true });
    return Promise.resolve(socket);
  }, clock);
  const config = { service: { namespace: 'ns', name: 'hook' }, caBundle };
  const failure = call({ config, body: {}, timeoutMs: 20_000, signal }).catch((error: unknown) => error);
  await clock.advance(60_000);
  await ended.promise;
  expect(String(await failure)).toContain('Post "https://hook.ns.svc:443/?timeout=20s": net/http: TLS handshake timeout');
  expect(dialled).toHaveLength(1);
  silent.close();
});

test.each<[string, () => Promise<unknown>, string]>([
  ['an answer that does not come', () => byUrl('/slow', 200), 'context deadline exceeded'],
  ['an error status', () => byUrl('/error'), 'failed to call webhook: the server is currently unable to handle the request'],
  ['an answer too large', () => byUrl('/huge'), 'the answer is larger than'],
  ['an answer that is no JSON', () => byUrl('/text'), 'is not valid JSON'],
  [
    'a certificate of somebody else',
    () => byUrl('/x', 5000, ''),
    'tls: failed to verify certificate: x509: certificate signed by unknown authority',
  ],
  [
    'no way to services',
    () =>
      createWebhookCaller(undefined, realClock)({ config: { service: { namespace: 'a', name: 'b' } }, body: {}, timeoutMs: 1000, signal }),
    'no way to the services',
  ],
])('%s is told', async (_what, call, message) => {
  await expect(call()).rejects.toThrow(message);
});

test.each<[string, object, string, string | RegExp]>([
  [
    'a certificate that is over',
    { days: [-10, -1] },
    'hook.ns.svc',
    /^failed to call webhook: Post "https:\/\/hook\.ns\.svc:443\/\?timeout=5s": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time \S+Z is after \S+Z$/,
  ],
  [
    'a certificate that is not valid yet',
    { days: [1, 10] },
    'hook.ns.svc',
    /certificate has expired or is not yet valid: current time \S+Z is before \S+Z$/,
  ],
  [
    'a certificate for other names',
    { names: ['a.svc', 'b.svc'] },
    'hook.ns.svc',
    'x509: certificate is valid for a.svc, b.svc, not hook.ns.svc',
  ],
  ['a certificate without names', { names: [] }, 'hook.ns.svc', 'x509: certificate relies on legacy Common Name field, use SANs instead'],
])(
  '%s is refused in Go’s words',
  async (_what, { days = [-1, 1], names = ['hook.ns.svc'] }: { days?: number[]; names?: string[] }, serverName, message) => {
    const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const at = (day: number | undefined): Date => new Date(Date.now() + (day ?? 0) * 86_400_000);
    const ca = issueCertificate(
      {
        subject: { commonName: 'ca', organizations: [] },
        publicKey: authority.publicKey,
        ca: true,
        keyUsages: ['cert sign'],
        notBefore: at(-20),
        notAfter: at(20),
      },
      { key: authority.privateKey },
    );
    const cert = issueCertificate(
      {
        subject: { commonName: serverName, organizations: [] },
        publicKey: own.publicKey,
        keyUsages: ['digital signature'],
        extendedUsages: ['server auth'],
        altNames: { dns: names, ip: [], email: [], uri: [] },
        notBefore: at(days[0]),
        notAfter: at(days[1]),
      },
      { key: authority.privateKey, certPem: ca },
    );
    const other = createServer({ cert, key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }) });
    await new Promise<void>((resolve) => {
      other.listen(0, '127.0.0.1', resolve);
    });
    try {
      const call = createWebhookCaller(() => Promise.resolve(connect((other.address() as AddressInfo).port, '127.0.0.1')), realClock);
      const config = { service: { namespace: 'ns', name: 'hook' }, caBundle: Buffer.from(ca).toString('base64') };
      await expect(call({ config, body: {}, timeoutMs: 5000, signal })).rejects.toThrow(message);
    } finally {
      other.close();
    }
  },
);

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createSecureServer, type Http2SecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configMaps } from '#kube/refs.ts';
import { issueCertificate, noAltNames } from '#lib/x509.ts';
import { realClock } from '#platform/clock.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { seededRandom } from '#platform/random.ts';
import { createHttpsTransport, type HttpsTransport, type HttpsTransportOptions } from './https-transport.ts';
import { createKubeClient } from './kube-client.ts';

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: string) => void;

function selfSigned(): { readonly cert: string; readonly key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const cert = issueCertificate(
    {
      subject: { commonName: 'test', organizations: [] },
      publicKey,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      ca: true,
      altNames: { ...noAltNames, ip: ['127.0.0.1'] },
    },
    { key: privateKey },
  );
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

let server: Http2SecureServer;
let handler: Handler;
let url = '';
let cert = '';
const transports: HttpsTransport[] = [];

beforeEach(async () => {
  const identity = selfSigned();
  cert = identity.cert;
  server = createSecureServer(identity);
  server.on('error', () => undefined);
  server.on('session', (session) => session.on('error', () => undefined));
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    let body = '';
    stream.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    stream.on('end', () => handler(stream, headers, body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  for (const transport of transports.splice(0)) transport.close();
  server.close();
});

function transport(more: Partial<HttpsTransportOptions> = {}): HttpsTransport {
  const made = createHttpsTransport({
    server: url,
    tls: () => ({ ca: cert }),
    clock: realClock,
    random: seededRandom(1),
    userAgent: 'test',
    ...more,
  });
  transports.push(made);
  return made;
}

const json = (stream: ServerHttp2Stream, status: number, body: unknown, headers = {}) => {
  stream.respond({ ':status': status, 'content-type': 'application/json', ...headers });
  stream.end(JSON.stringify(body));
};

test('sends method, path, token and body, and hands out frozen objects', async () => {
  const seen: unknown[] = [];
  handler = (stream, headers, body) => {
    seen.push([headers[':method'], headers[':path'], headers['authorization'], headers['content-type'], JSON.parse(body)]);
    json(stream, 201, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', uid: '1' } });
  };
  const client = createKubeClient(transport({ bearerToken: async () => 'secret' }));
  const made = await client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'x y' } });
  expect(made.metadata.uid).toBe('1');
  expect(Object.isFrozen(made.metadata)).toBe(true);
  expect(seen).toEqual([
    [
      'POST',
      '/api/v1/namespaces/x%20y/configmaps',
      'Bearer secret',
      'application/json',
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'x y' } },
    ],
  ]);
});

test('a Status in the answer becomes a StatusError; so does a bare HTTP code', async () => {
  const client = createKubeClient(transport());
  handler = (stream) => json(stream, 404, { kind: 'Status', code: 404, reason: 'NotFound', message: 'configmaps "a" not found' });
  await expect(client.get(configMaps, { namespace: 'default', name: 'a' })).rejects.toMatchObject({
    name: 'StatusError',
    reason: 'NotFound',
    message: 'configmaps "a" not found',
  });
  handler = (stream) => json(stream, 403, 'no');
  await expect(client.get(configMaps, { namespace: 'default', name: 'a' })).rejects.toMatchObject({ reason: 'Forbidden', code: 403 });
});

test('429 with Retry-After is tried again', async () => {
  let calls = 0;
  handler = (stream) =>
    ++calls < 3 ? json(stream, 429, {}, { 'retry-after': '0' }) : json(stream, 200, { kind: 'ConfigMap', metadata: { name: 'a' } });
  const client = createKubeClient(transport());
  expect((await client.get(configMaps, { namespace: 'd', name: 'a' })).metadata.name).toBe('a');
  expect(calls).toBe(3);
});

test('compressed answers are read', async () => {
  handler = (stream) => {
    stream.respond({ ':status': 200, 'content-encoding': 'gzip' });
    stream.end(gzipSync(JSON.stringify({ kind: 'ConfigMapList', metadata: {}, items: [{ metadata: { name: 'z' } }] })));
  };
  const list = await createKubeClient(transport()).list(configMaps);
  expect(list.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'z' } });
});

test('a watch yields events across chunk borders and ends with the server', async () => {
  handler = (stream, headers) => {
    expect(headers[':path']).toBe('/api/v1/namespaces/d/configmaps?resourceVersion=7&watch=true&allowWatchBookmarks=true');
    stream.respond({ ':status': 200 });
    const text = ['a', 'b'].map((name) => `${JSON.stringify({ type: 'ADDED', object: { metadata: { name: `${name}ü` } } })}\n`).join('');
    const bytes = Buffer.from(text);
    for (let i = 0; i < bytes.length; i += 7) stream.write(bytes.subarray(i, i + 7));
    stream.end(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } })}\n`);
  };
  const client = createKubeClient(transport());
  const query = { namespace: 'd', resourceVersion: '7', allowWatchBookmarks: true };
  const got: string[] = [];
  for await (const event of client.watch(configMaps, query, new AbortController().signal))
    got.push(event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.name);
  expect(got).toEqual(['aü', 'bü', '9']);
});

test('an ERROR event ends a watch with its Status', async () => {
  handler = (stream) => {
    stream.respond({ ':status': 200 });
    stream.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } })}\n`);
  };
  const watch = createKubeClient(transport()).watch(configMaps, {}, new AbortController().signal);
  await expect(Array.fromAsync(watch)).rejects.toMatchObject({ reason: 'Expired' });
});

test('a watch event longer than the limit ends the watch', async () => {
  handler = (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('x'.repeat(5000));
  };
  const watch = createKubeClient(transport({ maxLineBytes: 1000 })).watch(configMaps, {}, new AbortController().signal);
  await expect(Array.fromAsync(watch)).rejects.toMatchObject({ message: 'a watch event is larger than 1000 bytes' });
});

test('aborting a watch closes its stream', async () => {
  const closed = Promise.withResolvers<void>();
  handler = (stream) => {
    stream.respond({ ':status': 200 });
    stream.on('close', () => closed.resolve());
    stream.write(`${JSON.stringify({ type: 'ADDED', object: { metadata: { name: 'a' } } })}\n`);
  };
  const stop = new AbortController();
  const watch = createKubeClient(transport()).watch(configMaps, {}, stop.signal);
  const consume = async () => {
    for await (const _ of watch) stop.abort(new Error('enough'));
  };
  await expect(consume()).rejects.toThrow('enough');
  await closed.promise;
});

test('a server that is not there is ServiceUnavailable and says which', async () => {
  server.close();
  await once(server, 'close');
  const client = createKubeClient(transport());
  await expect(client.get(configMaps, { namespace: 'd', name: 'a' })).rejects.toMatchObject({
    reason: 'ServiceUnavailable',
    message: expect.stringContaining(`cannot connect to ${url}`),
  });
});

test('a server whose certificate lacks the address is refused with the reason', async () => {
  const client = createKubeClient(transport({ server: url.replace('127.0.0.1', 'localhost') }));
  await expect(client.get(configMaps, { namespace: 'd', name: 'a' })).rejects.toMatchObject({
    message: expect.stringMatching(/cannot connect to .*localhost.*altnames/s),
  });
});

/** A link in front of the server that can be cut without either end being told. */
async function link(): Promise<{ url: string; cut: () => void; close: () => void }> {
  const sockets: Socket[] = [];
  const proxy = createServer((near) => {
    const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.pipe(near);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    cut: () => {
      for (const socket of sockets.splice(0)) {
        socket.unpipe();
        socket.pause();
      }
    },
    close: () => proxy.close(),
  };
}

test('a link that goes silent is noticed by pings and replaced', async () => {
  const clock = fakeClock();
  const between = await link();
  const client = createKubeClient(
    transport({ server: between.url, clock, pingAfterMs: 1000, pingTimeoutMs: 500, requestTimeoutMs: 1_000_000 }),
  );
  handler = (stream) => {
    stream.respond({ ':status': 200 });
    stream.write(`${JSON.stringify({ type: 'ADDED', object: { metadata: { name: 'a' } } })}\n`);
  };
  const watch = client.watch(configMaps, {}, new AbortController().signal)[Symbol.asyncIterator]();
  expect((await watch.next()).done).toBe(false);
  between.cut();
  const next = watch.next();
  next.catch(() => undefined);
  for (let i = 0; i < 6; i++) await clock.advance(500);
  await expect(next).rejects.toMatchObject({ reason: 'ServiceUnavailable', message: expect.stringContaining('no answer to a ping') });
  handler = (stream) => json(stream, 200, { kind: 'ConfigMap', metadata: { name: 'a' } });
  expect((await client.get(configMaps, { namespace: 'd', name: 'a' })).metadata.name).toBe('a');
  between.close();
});

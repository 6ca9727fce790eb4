import { once } from 'node:events';
import {
  type ClientRequest,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { duplexPair } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { createAudit } from '../audit/audit.ts';
import { parseAuditPolicy } from '../audit/policy.ts';
import { createAuditFigures } from '../audit/sink.ts';
import type { AuthorizationAttributes } from '../contract.ts';
import { aggregatorUser, fetchDocument } from './documents.ts';
import { name, type Setup, type SetupOptions, setUp, slowTests, until } from './testing.ts';

slowTests();

const root = '/apis/example.test/v1';
const resources = { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'example.test/v1', resources: [] };

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let s: Setup | undefined;
afterEach(async () => {
  await s?.[Symbol.asyncDispose]();
  s = undefined;
});

const json = (response: ServerResponse, body: unknown): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/** Discovery is answered; the rest is the test's. */
const serving =
  (answer: Answer): Answer =>
  (request, response) => {
    if (request.url === root || request.url === '/apis') json(response, resources);
    else if (request.url?.startsWith('/openapi/') === true) response.writeHead(404).end();
    else answer(request, response);
  };

async function available(answer: Answer, options: SetupOptions = {}): Promise<Setup> {
  const made = await setUp(serving(answer), options);
  s = made;
  await made.addService();
  await made.addSlice();
  await made.addApiService();
  await until(async () => expect(await made.condition()).toMatchObject({ status: 'True', reason: 'Passed' }));
  return made;
}

describe('availability', () => {
  test('is told step by step, as the service, its port, its endpoints and its answers come to be', async () => {
    let status = 500;
    const made = await setUp((_request, response) => response.writeHead(status).end());
    s = made;
    const state = async () => {
      const found = await made.condition();
      return `${found?.status} ${found?.reason}: ${found?.message}`;
    };
    const becomes = (text: string | RegExp) => until(async () => expect(await state()).toMatch(text));
    await made.addApiService({ service: { namespace: 'default', name: 'ext', port: 444 } });
    await becomes('False ServiceNotFound: service/ext in "default" is not present');
    await made.addService();
    await becomes('False ServicePortError: service/ext in "default" is not listening on port 444');
    const patch = (path: string, body: unknown) =>
      made.t.transport.call({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
    await patch(`/apis/apiregistration.k8s.io/v1/apiservices/${name}`, { spec: { service: { port: 443 } } });
    await becomes('False EndpointsNotFound: cannot find endpointslices for service/ext in "default"');
    await made.addSlice(false);
    await becomes('False MissingEndpoints: endpointslices for service/ext in "default" have no addresses with port name "https"');
    const slice = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/ext';
    await patch(slice, { endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: true } }] });
    await becomes(
      /^False FailedDiscoveryCheck: failing or missing response from https:\/\/10\.43\.\d+\.\d+:443\/apis\/example\.test\/v1: bad status/,
    );
    status = 200;
    await becomes('True Passed: all checks passed');
  });

  test('ends when nobody answers any more, and requests are refused from then on', async () => {
    const made = await available((_request, response) => json(response, {}));
    made.way.dial = () => Promise.reject(new Error('connection refused'));
    await made.t.transport.call({
      method: 'PATCH',
      path: '/api/v1/namespaces/default/services/ext',
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { a: 'b' } } },
    });
    await until(async () => expect(await made.condition()).toMatchObject({ status: 'False', reason: 'FailedDiscoveryCheck' }));
    const reply = await made.send('GET', `${root}/gadgets`);
    expect(reply.status).toBe(503);
    expect(JSON.parse(reply.body)).toMatchObject({
      kind: 'Status',
      reason: 'ServiceUnavailable',
      message: 'service unavailable',
      code: 503,
    });
  });
});

test('a server whose answers to the check never end does not gather connections', async () => {
  const clock = fakeClock();
  const sent: ClientRequest[] = [];
  const server = createServer((_request, response) => response.writeHead(200).write('{'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const send = (options: RequestOptions): ClientRequest => {
    const made = httpRequest({ ...options, port, host: '127.0.0.1' });
    sent.push(made);
    return made;
  };
  const request = { path: '/', accept: '*/*', user: aggregatorUser, maxBytes: 0, timeoutMs: 5000 };
  const found = await fetchDocument(send, 'x', request, clock, new AbortController().signal);
  expect([found.status, sent[0]?.destroyed]).toEqual([200, false]);
  await clock.advance(5000);
  expect(sent[0]?.destroyed).toBe(true);
  server.closeAllConnections();
  server.close();
});

describe('a request', () => {
  test('names its user to the server behind, and nothing of what the client said of itself', async () => {
    let seen: IncomingMessage['headers'] = {};
    const user = { name: 'Zoë', uid: 'u1', groups: ['a, b', 'system:authenticated'], extra: { 'example.test/scope%': ['x', 'y'] } };
    const made = await available(
      (request, response) => {
        seen = request.headers;
        json(response, { url: request.url });
      },
      { user },
    );
    const reply = await made.send('GET', `${root}/namespaces/a%20b/gadgets?limit=5&watch=0`, undefined, {
      authorization: 'Bearer secret',
      'x-remote-user': 'root',
      'x-remote-extra-own': 'z',
      'impersonate-user': 'other',
      'x-custom': 'kept',
      connection: 'x-hop',
      'x-hop': 'gone',
    });
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.body)).toEqual({ url: `${root}/namespaces/a%20b/gadgets?limit=5&watch=0` });
    const names = ['authorization', 'x-remote-extra-own', 'impersonate-user', 'x-hop'];
    for (const header of names) expect(seen[header]).toBeUndefined();
    expect(seen).toMatchObject({
      'x-remote-user': Buffer.from('Zoë').toString('latin1'),
      'x-remote-uid': 'u1',
      'x-remote-group': 'a, b, system:authenticated',
      'x-remote-extra-example.test%2fscope%25': 'x, y',
      'x-custom': 'kept',
      'x-forwarded-for': '127.0.0.1',
    });
    expect(seen.host).toMatch(/^10\.43\.\d+\.\d+:443$/);
  });

  test('is authorized here before the server behind hears of it', async () => {
    let reached = 0;
    const asked: AuthorizationAttributes[] = [];
    const made = await available(
      (_request, response) => {
        reached++;
        json(response, {});
      },
      {
        server: {
          authorize: (attributes) => {
            asked.push(attributes);
            return { decision: attributes.group === 'example.test' ? 'noOpinion' : 'allow', reason: 'no' };
          },
        },
      },
    );
    const reply = await made.send('DELETE', `${root}/namespaces/x/gadgets/one`);
    expect(reply.status).toBe(403);
    expect(asked.at(-1)).toMatchObject({ verb: 'delete', group: 'example.test', resource: 'gadgets', namespace: 'x', name: 'one' });
    expect(reached).toBe(0);
  });

  test('is recorded by audit like any other', async () => {
    const events: { stage?: string; verb?: string; objectRef?: object; responseStatus?: { code?: number } }[] = [];
    const sink = { write: (event: object) => void events.push(event), close: () => Promise.resolve() };
    const rules = 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{group: example.test}]}]';
    const audit = createAudit(parseAuditPolicy(rules), { sink, clock: fakeClock(), figures: createAuditFigures() });
    const made = await available((_request, response) => response.writeHead(418).end('teapot'), { server: { around: [audit.handle] } });
    expect((await made.send('GET', `${root}/namespaces/n/gadgets/one`)).status).toBe(418);
    await until(() => expect(events.map((e) => e.stage)).toEqual(['RequestReceived', 'ResponseStarted', 'ResponseComplete']));
    expect(events.at(-1)).toMatchObject({
      verb: 'get',
      objectRef: { resource: 'gadgets', namespace: 'n', name: 'one', apiGroup: 'example.test', apiVersion: 'v1' },
      responseStatus: { code: 418 },
    });
  });

  test('may carry more than this server would read itself, at the pace of the server behind', async () => {
    const size = 24 * 1024 * 1024;
    const release = Promise.withResolvers<void>();
    const made = await available((request, response) => {
      void release.promise.then(async () => {
        let total = 0;
        for await (const chunk of request as AsyncIterable<Buffer>) total += chunk.length;
        json(response, { total, length: request.headers['content-length'] });
      });
    });
    const request = httpsRequest(made.to('POST', `${root}/gadgets`, { 'content-length': String(size) }));
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    const piece = Buffer.alloc(1024 * 1024, 1);
    let sent = 0;
    while (sent < size && request.write(piece)) sent += piece.length;
    // The buffers on the way are full, long before the end.
    expect(sent).toBeLessThan(size / 2);
    release.resolve();
    for (sent += piece.length; sent < size; sent += piece.length) if (!request.write(piece)) await once(request, 'drain');
    request.end();
    const [message] = await answered;
    const chunks: Buffer[] = [];
    for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
    expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual({ total: size, length: String(size) });
  });

  test('over HTTP/2 is passed on with its body', async () => {
    const made = await available((request, response) => {
      void (async () => {
        let total = 0;
        for await (const chunk of request as AsyncIterable<Buffer>) total += chunk.length;
        json(response, { total, method: request.method });
      })();
    });
    const { port, ca } = made.to('POST', '');
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: ca as string });
    const stream = session.request({ ':method': 'POST', ':path': `${root}/gadgets` });
    stream.end(Buffer.alloc(5 * 1024 * 1024));
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    session.close();
    expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual({ total: 5 * 1024 * 1024, method: 'POST' });
  });

  test.each(['/apis/example.test/v1/a/../../../api/v1/secrets', '/apis/example.test/v1/a%2fb', '/apis/example.test/v1/%2e%2e/x'])(
    'for %s, which the server behind might read otherwise, is refused',
    async (path) => {
      const made = await available((_request, response) => json(response, {}));
      expect((await made.send('GET', path)).status).toBe(400);
    },
  );

  test('reuses connections', async () => {
    const made = await available((_request, response) => json(response, {}));
    await made.send('GET', `${root}/gadgets`);
    const before = made.extension.connections();
    for (let i = 0; i < 5; i++) expect((await made.send('GET', `${root}/gadgets`)).status).toBe(200);
    expect(made.extension.connections()).toBe(before);
  });

  test('travels as well over what is no socket, such as a stream of a tunnel', async () => {
    const made = await available((request, response) => {
      request.pipe(response.writeHead(200));
    });
    const { dial } = made.way;
    made.way.dial = async (signal) => {
      const socket = await dial(signal);
      const [ours, theirs] = duplexPair();
      socket.pipe(theirs).pipe(socket);
      return ours;
    };
    // Over connections made from now on.
    await made.t.transport.call({ method: 'DELETE', path: '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/ext' });
    await until(async () => expect(await made.condition()).toMatchObject({ reason: 'EndpointsNotFound' }));
    await made.addSlice();
    await until(async () => expect(await made.condition()).toMatchObject({ reason: 'Passed' }));
    for (const body of ['one', 'two', 'x'.repeat(1_000_000)]) expect((await made.send('PUT', `${root}/gadgets/a`, body)).body).toBe(body);
    const before = made.extension.connections();
    for (let i = 0; i < 5; i++) expect((await made.send('GET', `${root}/gadgets`)).status).toBe(200);
    expect(made.extension.connections()).toBe(before);
  });

  test('is refused where the certificate is not of the authority that the APIService names', async () => {
    const made = await available((_request, response) => json(response, {}));
    await made.t.transport.call({
      method: 'PATCH',
      path: `/apis/apiregistration.k8s.io/v1/apiservices/${name}`,
      contentType: 'application/merge-patch+json',
      body: { spec: { caBundle: Buffer.from((await import('../testing.ts')).testTls().ca).toString('base64') } },
    });
    await until(async () => {
      const reply = await made.send('GET', `${root}/gadgets`);
      expect([reply.status, JSON.parse(reply.body)]).toMatchObject([
        503,
        {
          reason: 'ServiceUnavailable',
          message: 'error trying to reach service: tls: failed to verify certificate: x509: certificate signed by unknown authority',
        },
      ]);
    });
  });
});

describe('an answer', () => {
  test('that is a redirect goes to the client', async () => {
    const made = await available((_request, response) => response.writeHead(302, { location: 'https://169.254.169.254/' }).end());
    const reply = await made.send('GET', `${root}/gadgets`);
    expect([reply.status, reply.headers['location']]).toEqual([302, 'https://169.254.169.254/']);
  });

  test('that is a watch arrives event by event, and ends for the server behind when the client leaves', async () => {
    const left = Promise.withResolvers<void>();
    let watch: ServerResponse | undefined;
    const made = await available(
      (_request, response) => {
        watch = response;
        response.on('close', () => left.resolve());
        response.writeHead(200, { 'content-type': 'application/json' }).write('{"type":"ADDED","object":{}}\n');
      },
      { requestTimeoutMs: 50 },
    );
    const request = httpsRequest(made.to('GET', `${root}/gadgets?watch=true`));
    request.on('error', () => undefined);
    request.end();
    const [message] = (await once(request, 'response')) as [IncomingMessage];
    const [first] = (await once(message, 'data')) as [Buffer];
    expect(first.toString()).toContain('ADDED');
    watch?.write('{"type":"MODIFIED","object":{}}\n');
    const [second] = (await once(message, 'data')) as [Buffer];
    expect(second.toString()).toContain('MODIFIED');
    request.destroy();
    await left.promise;
  });

  test('of another protocol joins both connections', async () => {
    const made = await available(() => undefined, {
      upgrade: (request, socket) => {
        const user = String(request.headers['x-remote-user']);
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Seen: ${user}\r\n\r\n`);
        socket.pipe(socket);
      },
    });
    const request = httpsRequest(made.to('GET', `${root}/gadgets/one/exec`, { connection: 'Upgrade', upgrade: 'echo' }));
    request.end();
    const [message, socket] = (await once(request, 'upgrade')) as [IncomingMessage, import('node:net').Socket];
    expect(message.headers).toMatchObject({ upgrade: 'echo', 'x-seen': 'admin' });
    socket.write('hello');
    const [echoed] = (await once(socket, 'data')) as [Buffer];
    expect(echoed.toString()).toBe('hello');
    socket.destroy();
  });

  test('that refuses to upgrade goes to the client as it is', async () => {
    const made = await available(() => undefined, {
      upgrade: (_request, socket) => {
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\nbecause');
      },
    });
    const reply = await made.send('GET', `${root}/gadgets/one/exec`, undefined, { connection: 'Upgrade', upgrade: 'echo' });
    expect([reply.status, reply.body]).toEqual([403, 'because']);
  });

  test.each<[string, Answer]>([
    ['never comes', () => undefined],
    ['never ends', (_request, response) => void response.writeHead(200).write('{')],
    ['is cut off', (request) => void request.socket.destroy()],
    ['is no HTTP', (request) => void request.socket.end('what?\r\n\r\n')],
    ['has no possible status', (request) => void request.socket.end('HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n')],
    ['switches protocols unasked', (request) => void request.socket.write('HTTP/1.1 101 Hm\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')],
    ['has headers without end', (request) => void request.socket.write(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(20_000)}`)],
  ])('that %s is the end of that request only', async (_title, answer) => {
    const made = await available(answer, { requestTimeoutMs: 1000 });
    const outcome = await made.send('GET', `${root}/gadgets`).then(
      (reply) => reply.status,
      () => 'broken off',
    );
    expect([503, 504, 'broken off']).toContain(outcome);
    expect((await made.send('GET', '/api/v1/namespaces')).status).toBe(200);
    expect(made.t.log.lines.filter((l) => l.startsWith('error'))).toEqual([]);
  });

  test('with headers that concern one connection only is passed on without them, over HTTP/2 too', async () => {
    const made = await available((_request, response) => {
      response.writeHead(200, {
        upgrade: 'h2c',
        'proxy-connection': 'x',
        'keep-alive': 'timeout=5',
        'content-type': 'text/plain',
        etag: '"e"',
      });
      response.end('fine');
    });
    const { port, ca } = made.to('GET', '');
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: ca as string });
    const stream = session.request({ ':path': `${root}/gadgets` });
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    stream.resume();
    await once(stream, 'end');
    session.close();
    expect(headers).toMatchObject({ ':status': 200, etag: '"e"', 'content-type': 'text/plain' });
  });
});

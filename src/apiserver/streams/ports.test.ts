import { createServer, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { builtinKinds } from '#resources/index.ts';
import { podPortForward } from '../subresources/pod-portforward.ts';
import { nodeProxySubresource, podProxy, serviceProxy, splitSchemeNamePort } from '../subresources/proxy.ts';
import { type StreamFixture, startStreams } from './fixture.ts';
import { controlFrame, dataFrame, fin, frameType } from './spdy.ts';
import { createHeaderCodec } from './spdy-headers.ts';

const refused = 'error forwarding port 7 to pod 1f, uid : connect: connection refused – 100 %';

/** The node: echoes forwarded ports (port 9 is refused at once, port 7 after the answer has begun), dials CONNECT targets, answers its own API. */
function agent(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const path = String(headers[':path']);
  if (headers[':method'] === 'CONNECT') {
    const [host = '', port = ''] = String(headers[':authority']).split(':');
    const socket = connect(Number(port), host, () => {
      stream.respond({ ':status': 200 });
      stream.pipe(socket).pipe(stream);
    });
    socket.on('error', (error) => {
      if (!stream.headersSent) stream.respond({ ':status': 502 });
      stream.end(error.message);
    });
  } else if (path.startsWith('/portForward/')) {
    if (path.endsWith('port=9')) {
      stream.respond({ ':status': 500 });
      stream.end('connection refused');
      return;
    }
    if (path.endsWith('port=7')) {
      stream.once('wantTrailers', () => stream.sendTrailers({ 'x-k3ts-error': encodeURIComponent(refused) }));
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.end();
      return;
    }
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  } else {
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    stream.end(`${String(headers[':method'])} ${path}`);
  }
}

const backend = createServer((request, response) => {
  if (request.url === '/redirect') response.writeHead(302, { location: '/there' }).end();
  else
    response
      .writeHead(200, { 'content-type': 'text/html', 'x-got': request.headers.authorization ?? 'none' })
      .end(`${request.method} ${request.url}`);
});
backend.on('upgrade', (_request, socket: Duplex) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
  socket.pipe(socket);
});

let f: StreamFixture;
beforeEach(async () => {
  f = await startStreams(builtinKinds, (t) => [podPortForward(t), podProxy(t), serviceProxy(t), nodeProxySubresource(t)]);
  await new Promise<void>((resolve) => {
    backend.listen(0, '127.0.0.1', resolve);
  });
  const { port } = backend.address() as AddressInfo;
  const containers = [{ name: 'c', ports: [{ name: 'web', containerPort: port }] }];
  await f.objects.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns' },
    spec: { nodeName: 'n1', containers },
    status: { podIP: '127.0.0.1' },
  });
  await f.objects.put({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'ns' },
    spec: { ports: [{ name: 'web', port: 80 }] },
  });
  await f.objects.put({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'empty', namespace: 'ns' },
    spec: { ports: [{ name: 'web', port: 80 }] },
  });
  await f.objects.put({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's-1', namespace: 'ns', labels: { 'kubernetes.io/service-name': 's' } },
    ports: [{ name: 'web', port }],
    endpoints: [{ addresses: ['127.0.0.1'], nodeName: 'n1', conditions: { ready: true } }],
  });
  await f.objects.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  await f.agent('n1', agent);
});
afterEach(async () => {
  await f.close();
  backend.closeAllConnections();
  await new Promise((resolve) => {
    backend.close(resolve);
  });
});

/** What a SPDY client gets back per stream after sending `text` to the port and closing its side. */
async function forwardOnce(duplex: Duplex, port: string, text: string): Promise<Map<number, string>> {
  const codec = createHeaderCodec();
  const open = async (id: number, streamtype: string) => {
    const head = Buffer.alloc(10);
    head.writeUInt32BE(id, 0);
    duplex.write(controlFrame(frameType.synStream, 0, Buffer.concat([head, await codec.encode({ streamtype, port, requestid: '0' })])));
  };
  await open(1, 'error');
  await open(3, 'data');
  for (let at = 0; at < text.length; at += 60_000) duplex.write(dataFrame(3, 0, Buffer.from(text.slice(at, at + 60_000))));
  duplex.write(dataFrame(3, fin, Buffer.alloc(0)));
  const texts = new Map<number, string>();
  let rest = Buffer.alloc(0);
  const ended = new Set<number>();
  await new Promise<void>((resolve) => {
    duplex.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 8) {
        const length = rest.readUInt32BE(4) & 0xffffff;
        if (rest.length < 8 + length) return;
        const id = rest.readUInt32BE(0);
        if (id < 0x80000000) {
          texts.set(id, (texts.get(id) ?? '') + rest.subarray(8, 8 + length).toString());
          if (rest[4] === fin) ended.add(id);
        }
        rest = rest.subarray(8 + length);
      }
      if (ended.has(1)) resolve();
    });
  });
  codec.close();
  return texts;
}

const url = (protocol: string): string => `${protocol}://127.0.0.1:${f.port}/api/v1/namespaces/ns/pods/p/portforward`;

/** A websocket of binary messages over a raw socket: the ws client refuses kubectl's protocol name, which is no token. */
function rawWebSocket(socket: Duplex): Duplex {
  let rest = Buffer.alloc(0);
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      const head = Buffer.alloc(14);
      head[0] = 0x82;
      head[1] = 0xff;
      head.writeBigUInt64BE(BigInt(chunk.length), 2);
      socket.write(Buffer.concat([head, chunk]), () => done());
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2) {
      const short = (rest[1] ?? 0) & 0x7f;
      const start = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (rest.length < start) return;
      const length = short === 127 ? Number(rest.readBigUInt64BE(2)) : short === 126 ? rest.readUInt16BE(2) : short;
      if (rest.length < start + length) return;
      if (((rest[0] ?? 0) & 0xf) !== 8) duplex.push(rest.subarray(start, start + length));
      rest = rest.subarray(start + length);
    }
  });
  return duplex;
}

const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';

function tunnelled(): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
      'sec-websocket-protocol': tunnelProtocol,
    };
    const request = httpRequest(url('http'), { headers });
    request.on('upgrade', (response, socket) => {
      expect(response.headers['sec-websocket-protocol']).toBe(tunnelProtocol);
      resolve(rawWebSocket(socket));
    });
    request.on('error', reject);
    request.end();
  });
}

describe('port-forward', () => {
  test('SPDY inside a websocket carries a megabyte there and back', async () => {
    const duplex = await tunnelled();
    const text = 'x'.repeat(1_000_000);
    expect((await forwardOnce(duplex, '80', text)).get(3)).toBe(text);
    duplex.destroy();
  });
  test('bare SPDY', async () => {
    const socket = await new Promise<Duplex>((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'portforward.k8s.io' };
      const request = httpRequest(url('http'), { method: 'POST', headers });
      request.on('upgrade', (_response, upgraded) => resolve(upgraded));
      request.on('error', reject);
      request.end();
    });
    expect((await forwardOnce(socket, '80', 'hello')).get(3)).toBe('hello');
    socket.destroy();
  });
  test.each([
    ['9', 'error forwarding port 9 to pod: connection refused'],
    ['7', refused],
    ['x', 'unable to parse'],
  ])('trouble with port %s is told on the error stream', async (port, message) => {
    const duplex = await tunnelled();
    expect((await forwardOnce(duplex, port, 'hello')).get(1)).toContain(message);
    duplex.destroy();
  });
  test('a plain websocket with channels', async () => {
    const socket = new WebSocket(`${url('ws')}?ports=80`, ['v4.channel.k8s.io']);
    const messages: Buffer[] = [];
    const echoed = new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => {
        messages.push(data);
        if (data.subarray(1).toString() === 'hello') resolve();
      });
    });
    socket.on('open', () => socket.send(Buffer.from('\x00hello')));
    await echoed;
    expect(messages.slice(0, 2)).toEqual([Buffer.of(0, 80, 0), Buffer.of(1, 80, 0)]);
    socket.close();
  });
});

describe('proxy', () => {
  const get = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${f.port}/api/v1/${path}`, { redirect: 'manual', ...init });
  test.each([
    'namespaces/ns/pods/p/proxy',
    'namespaces/ns/pods/p:web/proxy',
    'namespaces/ns/services/s/proxy',
    'namespaces/ns/services/http:s:web/proxy',
    'namespaces/ns/services/s:80/proxy',
  ])("%s reaches the target without the caller's credentials", async (path) => {
    const answer = await get(`${path}/a/b?c=d`, { headers: { authorization: 'Bearer x' } });
    expect([answer.status, answer.headers.get('x-got'), await answer.text()]).toEqual([200, 'none', 'GET /a/b?c=d']);
  });
  test('bodies, redirects and the missing slash', async () => {
    expect(await (await get('namespaces/ns/pods/p/proxy/x', { method: 'POST', body: 'hi' })).text()).toBe('POST /x');
    expect((await get('namespaces/ns/pods/p/proxy/redirect')).headers.get('location')).toBe('/api/v1/namespaces/ns/pods/p/proxy/there');
    expect((await get('namespaces/ns/pods/p/proxy')).headers.get('location')).toBe('/api/v1/namespaces/ns/pods/p/proxy/');
  });
  test('the node answers for itself', async () => {
    expect(await (await get('nodes/n1/proxy/stats/summary?only=x')).text()).toBe('GET /stats/summary?only=x');
  });
  test('an upgrade passes through', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const request = httpRequest(`http://127.0.0.1:${f.port}/api/v1/namespaces/ns/pods/p/proxy/ws`, {
        headers: { connection: 'Upgrade', upgrade: 'echo' },
      });
      request.on('upgrade', (_response, socket) => {
        socket.on('data', (data: Buffer) => {
          resolve(data.toString());
          socket.destroy();
        });
        socket.write('hello');
      });
      request.on('error', reject);
      request.end();
    });
    expect(text).toBe('hello');
  });
  test.each([
    ['namespaces/ns/services/empty/proxy/', 503, 'no endpoints available for service'],
    ['namespaces/ns/services/s:nope/proxy/', 503, 'no service port'],
    ['namespaces/ns/services/none/proxy/', 404, 'not found'],
    ['namespaces/ns/pods/p:1/proxy/', 503, 'cannot reach'],
    ['namespaces/ns/pods/ftp:p:1/proxy/', 400, 'invalid pod request'],
  ])('%s answers %i', async (path, status, message) => {
    const answer = await get(path);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toContain(message);
  });
});

test.each([
  ['a', { scheme: 'http', name: 'a', port: '' }],
  ['a:80', { scheme: 'http', name: 'a', port: '80' }],
  ['https:a:', { scheme: 'https', name: 'a', port: '' }],
  ['ftp:a:1', undefined],
  [':1', undefined],
])('%s is split into scheme, name and port', (text, expected) => {
  expect(splitSchemeNamePort(text)).toEqual(expected);
});

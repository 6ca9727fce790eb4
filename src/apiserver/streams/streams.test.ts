import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { builtinKinds } from '#resources/index.ts';
import { podAttach, podExec } from '../subresources/pod-exec.ts';
import { podLog } from '../subresources/pod-log.ts';
import { type StreamFixture, startStreams } from './fixture.ts';
import { channels, encodeFrame, FrameReader } from './frames.ts';
import { controlFrame, dataFrame, fin, frameType } from './spdy.ts';
import { createHeaderCodec } from './spdy-headers.ts';

const success = { metadata: {}, status: 'Success' };

/** Echoes stdin to stdout in capitals until stdin is closed, then succeeds; "fail" as the command fails with code 3. */
function echo(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const path = String(headers[':path']);
  if (path.startsWith('/containerLogs/')) {
    if (path.includes('/waiting?')) {
      stream.respond({ ':status': 400 });
      stream.end('container "waiting" in pod "p" is waiting to start: ContainerCreating');
    } else {
      stream.respond({ ':status': 200 });
      stream.end(`log of ${path}`);
    }
    return;
  }
  if (path.includes('gone')) {
    stream.respond({ ':status': 404 });
    stream.end('container not found ("c")');
    return;
  }
  stream.respond({ ':status': 200 });
  const finish = (status: object): void => {
    stream.end(encodeFrame(channels.error, Buffer.from(JSON.stringify(status))));
  };
  if (path.includes('command=fail')) {
    stream.write(encodeFrame(channels.stderr, Buffer.from('no good')));
    finish({ metadata: {}, status: 'Failure', reason: 'NonZeroExitCode', message: 'command terminated with non-zero exit code: 3' });
    return;
  }
  const reader = new FrameReader();
  stream.on('data', (chunk: Buffer) => {
    for (const { channel, payload } of reader.push(chunk)) {
      if (channel === channels.stdin) stream.write(encodeFrame(channels.stdout, Buffer.from(payload.toString().toUpperCase())));
      if (channel === channels.resize) stream.write(encodeFrame(channels.stdout, Buffer.from(`resized ${payload.toString()}`)));
      if (channel === channels.close) finish(success);
    }
  });
}

let f: StreamFixture;
beforeEach(async () => {
  f = await startStreams(builtinKinds, (tunnel) => [podLog(tunnel), podExec(tunnel), podAttach(tunnel)]);
  const pod = (name: string, nodeName: string | undefined, containers: string[]) =>
    f.objects.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'ns' },
      spec: { ...(nodeName === undefined ? {} : { nodeName }), containers: containers.map((n) => ({ name: n })) },
    });
  await pod('p', 'n1', ['c']);
  await pod('two', 'n1', ['a', 'b']);
  await pod('waits', 'n1', ['waiting']);
  await pod('unscheduled', undefined, ['c']);
  await f.agent('n1', echo);
});
afterEach(() => f.close());

async function get(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${f.port}/api/v1/namespaces/ns/pods/${path}`);
  return { status: response.status, text: await response.text() };
}

describe('logs', () => {
  test('come from the node with the options asked for', async () => {
    expect(await get('p/log?tailLines=5&follow=true&sinceSeconds=3&limitBytes=10&timestamps=true&previous=true')).toEqual({
      status: 200,
      text: 'log of /containerLogs/ns/p/c?tailLines=5&limitBytes=10&sinceSeconds=3&follow=true&previous=true&timestamps=true',
    });
  });
  test.each([
    ['two/log', 400, 'a container name must be specified for pod two, choose one of: [a b]'],
    ['two/log?container=x', 400, 'container x is not valid for pod two'],
    ['waits/log', 400, 'container \\"waiting\\" in pod \\"p\\" is waiting to start: ContainerCreating'],
    ['unscheduled/log', 400, 'pod unscheduled does not have a host assigned'],
    ['none/log', 404, 'pods \\"none\\" not found'],
    ['p/log?tailLines=-1', 422, 'tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['p/log?limitBytes=0', 422, 'must be greater than 0'],
    ['p/log?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z', 422, 'at most one of `sinceTime` or `sinceSeconds` may be specified'],
  ])("%s answers %i with upstream's words", async (path, status, message) => {
    const answer = await get(path);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(message);
  });
});

function collect(socket: WebSocket): Promise<{ messages: string[]; code: number }> {
  const messages: string[] = [];
  socket.on('message', (data: Buffer) => messages.push(`${data[0]}:${data.subarray(1).toString()}`));
  return new Promise((resolve, reject) => {
    socket.on('close', (code) => resolve({ messages, code }));
    socket.on('error', reject);
  });
}

const opened = (socket: WebSocket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });

const execUrl = (query: string, pod = 'p', action = 'exec'): string =>
  `ws://127.0.0.1:${f.port}/api/v1/namespaces/ns/pods/${pod}/${action}?${query}`;

describe('exec over a websocket', () => {
  test('v5: both directions, resize, closed stdin, Status at the end', async () => {
    const socket = new WebSocket(execUrl('command=cat&stdin=true&stdout=true&tty=true'), ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
    const done = collect(socket);
    await opened(socket);
    expect(socket.protocol).toBe('v5.channel.k8s.io');
    socket.send(Buffer.from('\x00hello'));
    socket.send(Buffer.from('\x04{"Width":80}'));
    socket.send(Buffer.from([255, 0]));
    expect(await done).toEqual({ messages: ['1:', '1:HELLO', '1:resized {"Width":80}', `3:${JSON.stringify(success)}`], code: 1000 });
  });
  test('attach takes the same way', async () => {
    const socket = new WebSocket(execUrl('stdin=true&stdout=true', 'p', 'attach'), ['v5.channel.k8s.io']);
    const done = collect(socket);
    await opened(socket);
    socket.send(Buffer.from([255, 0]));
    expect((await done).messages.at(-1)).toBe(`3:${JSON.stringify(success)}`);
  });
  test('base64 form, and a failure with its exit code', async () => {
    const socket = new WebSocket(execUrl('command=fail&stdout=true&stderr=true'), ['v4.base64.channel.k8s.io']);
    const texts: string[] = [];
    socket.on('message', (data: Buffer) =>
      texts.push(`${data.toString().slice(0, 1)}:${Buffer.from(data.toString().slice(1), 'base64').toString()}`),
    );
    await new Promise((resolve) => {
      socket.on('close', resolve);
    });
    expect(texts[1]).toBe('2:no good');
    expect(texts[2]).toContain('command terminated with non-zero exit code: 3');
  });
  test('much output reaches a slow client whole', async () => {
    const socket = new WebSocket(execUrl('command=cat&stdin=true&stdout=true'), ['v5.channel.k8s.io']);
    await opened(socket);
    let size = 0;
    const done = new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => {
        if (data[0] === 1) size += data.length - 1;
      });
      socket.on('close', () => resolve());
    });
    const block = Buffer.concat([Buffer.of(0), Buffer.alloc(64 * 1024, 'a')]);
    for (let i = 0; i < 100; i++) socket.send(block);
    socket.send(Buffer.from([255, 0]));
    await done;
    expect(size).toBe(100 * 64 * 1024);
  });
  test.each([
    ['command=x&stdout=true', ['unknown.k8s.io'], 'p', 400],
    ['command=x', ['v5.channel.k8s.io'], 'p', 400],
    ['stdout=true', ['v5.channel.k8s.io'], 'p', 400],
    ['command=gone&stdout=true', ['v5.channel.k8s.io'], 'p', 404],
    ['command=x&stdout=true', ['v5.channel.k8s.io'], 'two', 400],
  ])('%s with %j on %s is refused with %i', async (query, protocols, pod, status) => {
    const socket = new WebSocket(execUrl(query, pod), protocols);
    const code = await new Promise((resolve) => {
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.on('error', () => undefined);
    });
    expect(code).toBe(status);
  });
});

describe('exec over SPDY/3.1', () => {
  test('a client that opens its streams as kubectl does gets output and Status', async () => {
    const { socket, protocol } = await new Promise<{ socket: Socket; protocol: string }>((resolve, reject) => {
      const request = httpRequest({
        port: f.port,
        host: '127.0.0.1',
        method: 'POST',
        path: '/api/v1/namespaces/ns/pods/p/exec?command=cat&stdin=true&stdout=true',
        headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io, v3.channel.k8s.io' },
      });
      request.on('upgrade', (response, upgraded) =>
        resolve({ socket: upgraded as Socket, protocol: String(response.headers['x-stream-protocol-version']) }),
      );
      request.on('error', reject);
      request.end();
    });
    expect(protocol).toBe('v4.channel.k8s.io');
    const codec = createHeaderCodec();
    const streams = ['error', 'stdin', 'stdout'];
    for (const [i, name] of streams.entries()) {
      const head = Buffer.alloc(10);
      head.writeUInt32BE(2 * i + 1, 0);
      socket.write(controlFrame(frameType.synStream, 0, Buffer.concat([head, await codec.encode({ streamtype: name })])));
    }
    socket.write(dataFrame(3, 0, Buffer.from('hello')));
    socket.write(dataFrame(3, fin, Buffer.alloc(0)));
    const chunks: Buffer[] = [];
    socket.on('data', (c: Buffer) => chunks.push(c));
    await new Promise((resolve) => {
      socket.on('end', resolve);
    });
    codec.close();
    const texts = new Map<number, string>();
    for (let data = Buffer.concat(chunks); data.length >= 8; ) {
      const length = data.readUInt32BE(4) & 0xffffff;
      const id = data.readUInt32BE(0);
      if (id < 0x80000000) texts.set(id, (texts.get(id) ?? '') + data.subarray(8, 8 + length).toString());
      data = data.subarray(8 + length);
    }
    expect(texts.get(5)).toBe('HELLO');
    expect(texts.get(1)).toBe(JSON.stringify(success));
    socket.destroy();
  });
});

describe('the tunnel', () => {
  test('only nodes may open one', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${f.port}/v1-k3ts/connect`);
    const code = await new Promise((resolve) => {
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.on('error', () => undefined);
    });
    expect(code).toBe(403);
  });
  test('a node that connects again replaces its old connection', async () => {
    expect(f.tunnel.connected()).toEqual(['n1']);
    await f.agent('n1', (stream) => {
      stream.respond({ ':status': 200 });
      stream.end('second');
    });
    expect(await get('p/log')).toEqual({ status: 200, text: 'second' });
  });
  test('a request waits for a node that is reconnecting', async () => {
    await f.objects.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'late', namespace: 'ns' },
      spec: { nodeName: 'n2', containers: [{ name: 'c' }] },
    });
    const answer = get('late/log');
    await f.agent('n2', echo);
    expect((await answer).status).toBe(200);
  });
  test('a broken link ends what is under way', async () => {
    const { socket: link } = await f.agent('n1', (stream) => {
      stream.respond({ ':status': 200 });
      stream.write(encodeFrame(channels.stdout, Buffer.from('x')));
    });
    const socket = new WebSocket(execUrl('command=x&stdout=true'), ['v5.channel.k8s.io']);
    const done = collect(socket);
    await opened(socket);
    link.terminate();
    expect((await done).messages.at(-1)).toContain('connection to the node broke');
  });
});

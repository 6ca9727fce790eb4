import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { decodeProtobuf, encodeProtobuf } from '#kube/protobuf.ts';
import { realClock } from '#platform/clock.ts';
import { builtinKinds } from '#resources/index.ts';
import { admin, startTestServer, type TestServer, testTls } from '../testing.ts';
import type { HttpServer } from './server.ts';

const tls = testTls();
let t: TestServer;
let http: HttpServer;
let port = 0;

beforeAll(async () => {
  t = await startTestServer(builtinKinds, { clock: realClock });
  http = t.server.createHttp({
    tls: tls.server,
    authenticate: async (request) => (request.peer?.authorized === true ? admin : { name: 'system:anonymous', groups: [] }),
  });
  port = await http.listen('127.0.0.1', 0);
});
afterAll(() => http.close());

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
}

function ask(method: string, path: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, method, path, headers, ca: tls.ca, cert: tls.client.cert, key: tls.client.key, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (c: Buffer) => chunks.push(c));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const json = (answer: Answer): Record<string, unknown> => JSON.parse(answer.body.toString('utf8')) as Record<string, unknown>;
const maps = '/api/v1/namespaces/default/configmaps';
const post = (name: string, data: Record<string, string> = {}) =>
  ask('POST', maps, JSON.stringify({ metadata: { name }, data }), { 'content-type': 'application/json' });

test('objects travel over HTTP/1.1 as JSON, YAML, tables and metadata', async () => {
  expect((await post('one', { a: 'b' })).status).toBe(201);
  expect(json(await ask('GET', `${maps}/one`))).toMatchObject({ kind: 'ConfigMap', data: { a: 'b' } });
  expect((await ask('GET', `${maps}/one`, undefined, { accept: 'application/yaml' })).body.toString()).toContain('kind: ConfigMap');
  const table = json(await ask('GET', maps, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }));
  expect(table).toMatchObject({ kind: 'Table', rows: [{ object: { kind: 'PartialObjectMetadata', metadata: { name: 'one' } } }] });
  const partial = json(await ask('GET', maps, undefined, { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' }));
  expect(partial).toMatchObject({ kind: 'PartialObjectMetadataList', items: [{ metadata: { name: 'one' } }] });
  expect((await ask('GET', maps, undefined, { accept: 'text/html' })).status).toBe(406);
  const printed = async (query: string, agent: string): Promise<string> =>
    (await ask('GET', `${maps}/one${query}`, undefined, { 'user-agent': agent })).body.toString();
  for (const [query, agent] of [
    ['?pretty=true', 'x'],
    ['', 'curl/8.0'],
    ['', 'Mozilla/5.0 (X11)'],
  ] as const)
    expect(await printed(query, agent)).toContain('\n  "kind"');
  expect(await printed('?pretty=false', 'curl/8.0')).not.toContain('\n  "kind"');
});

test('a Scale has a table of its own', async () => {
  const path = '/apis/apps/v1/namespaces/default/deployments';
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const body = JSON.stringify({ metadata: { name: 'd' }, spec: { replicas: 3, selector: { matchLabels: { a: 'b' } }, template } });
  expect((await ask('POST', path, body, { 'content-type': 'application/json' })).status).toBe(201);
  const table = json(await ask('GET', `${path}/d/scale`, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }));
  expect(table).toMatchObject({
    kind: 'Table',
    columnDefinitions: [{ name: 'Name' }, { name: 'Desired' }, { name: 'Available' }, { name: 'Age' }],
    rows: [{ cells: ['d', 3, 0, expect.any(String) as unknown] }],
  });
});

test('objects travel as protobuf, in requests, answers and watches', async () => {
  const media = 'application/vnd.kubernetes.protobuf';
  const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'pb' }, data: { a: 'b' } };
  const made = await ask('POST', maps, encodeProtobuf(object), { 'content-type': media, accept: `${media},application/json` });
  expect(made.headers['content-type']).toBe(media);
  expect(decodeProtobuf(made.body)).toMatchObject(object);
  const list = await ask('GET', maps, undefined, { accept: media });
  expect(decodeProtobuf(list.body)).toMatchObject({ kind: 'ConfigMapList' });
  const watch = await ask('GET', `${maps}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dpb`, undefined, { accept: media });
  expect(watch.headers['content-type']).toBe(`${media};stream=watch`);
  const missing = await ask('GET', `${maps}/none`, undefined, { accept: media });
  expect(decodeProtobuf(missing.body)).toMatchObject({ kind: 'Status', reason: 'NotFound' });
});

test('metadata travels as protobuf too, alone, in lists and in watches; tables do not', async () => {
  const media = 'application/vnd.kubernetes.protobuf';
  const as = (kind: string) => ({ accept: `${media};as=${kind};v=v1;g=meta.k8s.io` });
  expect((await post('meta', { a: 'b' })).status).toBe(201);
  const one = await ask('GET', `${maps}/meta`, undefined, as('PartialObjectMetadata'));
  expect(one.headers['content-type']).toBe(media);
  const partial = decodeProtobuf(one.body);
  expect(partial).toMatchObject({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'meta' } });
  expect(partial).not.toHaveProperty('data');
  const list = decodeProtobuf((await ask('GET', maps, undefined, as('PartialObjectMetadataList'))).body);
  expect((list['items'] as { metadata: { name: string } }[]).map((item) => item.metadata.name)).toContain('meta');
  const selected = `${maps}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dmeta`;
  const watch = await ask('GET', selected, undefined, as('PartialObjectMetadata'));
  expect(watch.headers['content-type']).toBe(`${media};stream=watch`);
  expect(watch.body.toString('latin1')).toContain('PartialObjectMetadata');
  expect((await ask('GET', maps, undefined, as('Table'))).status).toBe(406);
});

test('large lists are compressed for clients that want it', async () => {
  await post('large', { x: 'y'.repeat(200_000) });
  const answer = await ask('GET', maps, undefined, { 'accept-encoding': 'gzip' });
  expect(answer.headers['content-encoding']).toBe('gzip');
  expect(JSON.parse(gunzipSync(answer.body).toString())).toMatchObject({ kind: 'ConfigMapList' });
});

test('bodies beyond the limit are refused with 413', async () => {
  const answer = await ask('POST', maps, Buffer.alloc(4 * 1024 * 1024, 32), { 'content-type': 'application/json' });
  expect(json(answer)).toMatchObject({ code: 413, reason: 'RequestEntityTooLarge' });
});

test('plain HTTP on the TLS port is told so', async () => {
  const text = await new Promise<string>((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    let got = '';
    socket.on('data', (c) => {
      got += c.toString();
    });
    socket.on('close', () => resolve(got));
  });
  expect(text).toBe('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n');
});

test('a watch streams frames over HTTP/2 and ends with the request timeout it asked for', async () => {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: tls.ca, cert: tls.client.cert, key: tls.client.key });
  const stream = session.request({ ':path': `${maps}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dtwo` });
  let text = '';
  const ended = new Promise<void>((resolve) => {
    stream.on('data', (c: Buffer) => {
      text += c.toString();
    });
    stream.on('end', resolve);
  });
  await new Promise((resolve) => {
    stream.on('response', resolve);
  });
  await post('two');
  await ended;
  session.close();
  const frames = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string });
  expect(frames.map((f) => f.type)).toEqual(['ADDED']);
});

test('a watch travels over a websocket', async () => {
  await post('three');
  const socket = new WebSocket(`wss://127.0.0.1:${port}${maps}?watch=1&fieldSelector=metadata.name%3Dthree`, {
    ca: tls.ca,
    cert: tls.client.cert,
    key: tls.client.key,
  });
  const frame = await new Promise<string>((resolve, reject) => {
    socket.on('message', (data: Buffer) => resolve(data.toString()));
    socket.on('error', reject);
  });
  socket.close();
  expect(JSON.parse(frame)).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'three' } } });
});

test('close ends watches and connections', async () => {
  const other = t.server.createHttp({ tls: tls.server, authenticate: async () => admin });
  const at = await other.listen('127.0.0.1', 0);
  const session = connectHttp2(`https://127.0.0.1:${at}`, { ca: tls.ca });
  const stream = session.request({ ':path': `${maps}?watch=1` });
  const ended = new Promise((resolve) => {
    stream.on('end', resolve);
  });
  stream.resume();
  await new Promise((resolve) => {
    stream.on('response', resolve);
  });
  await other.close();
  await expect(ended).resolves.toBeUndefined();
  session.destroy();
});

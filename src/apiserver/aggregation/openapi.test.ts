import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { v3HashOf } from './remote-openapi.ts';
import { type Setup, setUp, slowTests, until } from './testing.ts';

slowTests();

const root = '/apis/example.test/v1';
const schema = {
  type: 'object',
  description: 'What it is.',
  'x-kubernetes-group-version-kind': [{ group: 'example.test', version: 'v1', kind: 'Gadget' }],
};
const v2 = {
  swagger: '2.0',
  paths: {
    [`${root}/gadgets`]: { get: { responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/test.example.Gadget' } } } } },
  },
  definitions: { 'test.example.Gadget': schema },
};
const index = {
  paths: {
    'apis/example.test/v1': { serverRelativeURL: `/openapi/v3${root}?hash=AB12` },
    'apis/apps/v1': { serverRelativeURL: '/openapi/v3/evil' },
  },
};

let s: Setup | undefined;
afterEach(async () => {
  await s?.[Symbol.asyncDispose]();
  s = undefined;
});

const json = (response: ServerResponse, body: unknown, headers: Readonly<Record<string, string>> = {}): void => {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

/** A server with documents; `modern` false: of the time before v3. */
async function start(modern: boolean, asked: string[] = []): Promise<Setup> {
  const made = await setUp((request: IncomingMessage, response: ServerResponse) => {
    const { url = '', headers } = request;
    asked.push(`${url} for ${String(headers['x-remote-user'])}`);
    if (url === root || url === '/apis') json(response, { kind: 'APIResourceList', resources: [] });
    else if (url === '/openapi/v2') json(response, v2, { etag: '"v2"' });
    else if (modern && url === '/openapi/v3') json(response, index);
    else if (modern && url.startsWith(`/openapi/v3${root}`)) json(response, { openapi: '3.0.0', own: true }, { etag: '"v3"' });
    else response.writeHead(404).end();
  });
  s = made;
  await made.addService();
  await made.addSlice();
  await made.addApiService();
  return made;
}

const paths = async (made: Setup) =>
  (JSON.parse((await made.send('GET', '/openapi/v3')).body) as { paths: Record<string, { serverRelativeURL: string }> }).paths;

describe('OpenAPI', () => {
  test('v3 of another server is in the index under its own hash, and answered by it for the user', async () => {
    const asked: string[] = [];
    const made = await start(true, asked);
    const url = `/openapi/v3${root}?hash=AB12`;
    const before = (await made.send('GET', '/openapi/v3')).headers['etag'];
    await until(async () => expect((await paths(made))['apis/example.test/v1']).toEqual({ serverRelativeURL: url }));
    expect((await paths(made))['apis/apps/v1']?.serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=/);
    const etag = (await made.send('GET', '/openapi/v3')).headers['etag'] as string;
    expect(etag).not.toBe(before);
    expect((await made.send('GET', '/openapi/v3', undefined, { 'if-none-match': etag })).status).toBe(304);
    const reply = await made.send('GET', url);
    expect([JSON.parse(reply.body), reply.headers['etag']]).toEqual([{ openapi: '3.0.0', own: true }, '"v3"']);
    expect(asked.at(-1)).toBe(`${url} for admin`);
  });

  test('v3 is made of v2 for a server that has nothing newer', async () => {
    const made = await start(false);
    const url = await until(async () => {
      const found = (await paths(made))['apis/example.test/v1']?.serverRelativeURL;
      expect(found).toMatch(/\?hash=[0-9A-F]{128}$/);
      return found ?? '';
    });
    const reply = await made.send('GET', url);
    expect(JSON.parse(reply.body)).toMatchObject({ openapi: '3.0.0', components: { schemas: { 'test.example.Gadget': schema } } });
    expect((await made.send('GET', url, undefined, { 'if-none-match': reply.headers['etag'] as string })).status).toBe(304);
  });

  test('v2 is joined, and all goes when the server is no longer available', async () => {
    const made = await start(true);
    const joined = async () => JSON.parse((await made.send('GET', '/openapi/v2')).body) as typeof v2;
    await until(async () => expect((await joined()).paths).toHaveProperty([`${root}/gadgets`]));
    expect((await joined()).definitions).toMatchObject(v2.definitions);
    await made.t.transport.call({ method: 'DELETE', path: '/api/v1/namespaces/default/services/ext' });
    await until(async () => expect(await made.condition()).toMatchObject({ status: 'False' }));
    await until(async () => expect(await paths(made)).not.toHaveProperty(['apis/example.test/v1']));
    expect((await joined()).paths).not.toHaveProperty([`${root}/gadgets`]);
    expect((await made.send('GET', `/openapi/v3${root}`)).status).toBe(404);
  });
});

test.each([
  [{ paths: { 'apis/example.test/v1': { serverRelativeURL: '/x?hash=A-1_b' } } }, 'A-1_b'],
  [{ paths: { 'apis/example.test/v1': { serverRelativeURL: '/x?hash=<script>' } } }, ''],
  [{ paths: { 'apis/example.test/v1': {} } }, ''],
  [{ paths: { 'apis/example.test/v1': 'x' } }, undefined],
  [{ paths: [] }, undefined],
  [{}, undefined],
])('the hash in %j is %s', (document, hash) => {
  expect(v3HashOf(document, { group: 'example.test', version: 'v1' })).toBe(hash);
});

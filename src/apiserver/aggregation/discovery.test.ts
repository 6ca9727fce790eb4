import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeAggregated, decodeResourceList } from './remote-discovery.ts';
import { name, type Setup, setUp, slowTests, until } from './testing.ts';

slowTests();

const root = '/apis/example.test/v1';
const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const gadgets = {
  resource: 'gadgets',
  responseKind: { group: 'example.test', version: 'v1', kind: 'Gadget' },
  scope: 'Namespaced',
  singularResource: 'gadget',
  verbs: ['get', 'list'],
  shortNames: ['gd'],
  subresources: [{ subresource: 'status', responseKind: { group: 'example.test', version: 'v1', kind: 'Gadget' }, verbs: ['get'] }],
};
const aggregated = {
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  metadata: {},
  items: [{ metadata: { name: 'example.test' }, versions: [{ version: 'v1', resources: [gadgets], freshness: 'Current' }] }],
};
const legacy = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion: 'example.test/v1',
  resources: [
    { name: 'gadgets', singularName: 'gadget', namespaced: true, kind: 'Gadget', verbs: ['get', 'list'], shortNames: ['gd'] },
    { name: 'gadgets/status', singularName: '', namespaced: true, kind: 'Gadget', verbs: ['get'] },
  ],
};

let s: Setup | undefined;
afterEach(async () => {
  await s?.[Symbol.asyncDispose]();
  s = undefined;
});

async function start(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Setup> {
  const made = await setUp(answer);
  s = made;
  await made.addService();
  await made.addSlice();
  await made.addApiService();
  await until(async () => expect(await made.condition()).toMatchObject({ status: 'True' }));
  return made;
}

interface Versions {
  readonly items: readonly { readonly metadata: { readonly name: string }; readonly versions: readonly { readonly freshness: string }[] }[];
}
const shown = async (made: Setup) => {
  const reply = await made.send('GET', '/apis', undefined, { accept: v2 });
  return (JSON.parse(reply.body) as Versions).items.find((g) => g.metadata.name === 'example.test')?.versions[0];
};
const json = (response: ServerResponse, body: unknown, headers: Readonly<Record<string, string>> = {}): void => {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

/** Answers as servers of k8s.io/apiserver do; `aggregates` false: as those of long ago. */
const server =
  (aggregates: boolean) =>
  (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === root) json(response, legacy);
    else if (request.url !== '/apis') response.writeHead(404).end();
    else if (!aggregates) json(response, { kind: 'APIGroupList', groups: [] });
    else if (request.headers['if-none-match'] === '"one"') response.writeHead(304).end();
    else json(response, aggregated, { 'content-type': v2, etag: '"one"' });
  };

describe('discovery', () => {
  test.each([
    ['aggregated', true],
    ['legacy', false],
  ])('of a server with %s documents is shown among all others, before custom groups', async (_title, aggregates) => {
    const made = await start(server(aggregates));
    await until(async () => expect(await shown(made)).toEqual({ version: 'v1', resources: [gadgets], freshness: 'Current' }));
    const groups = JSON.parse((await made.send('GET', '/apis')).body) as { groups: { name: string; preferredVersion: object }[] };
    expect(groups.groups.at(-1)).toMatchObject({ name: 'example.test', preferredVersion: { groupVersion: 'example.test/v1' } });
    expect(JSON.parse((await made.send('GET', '/apis/example.test')).body)).toMatchObject({
      kind: 'APIGroup',
      versions: [{ version: 'v1' }],
    });
    expect(JSON.parse((await made.send('GET', root)).body)).toEqual(legacy);
    expect((await made.send('GET', '/')).body).toContain('"/apis/example.test/v1"');
  });

  test('of a server that is gone stays as it was, marked as stale, under another ETag', async () => {
    const made = await start(server(true));
    await until(async () => expect(await shown(made)).toMatchObject({ freshness: 'Current' }));
    const etag = (await made.send('GET', '/apis', undefined, { accept: v2 })).headers['etag'];
    made.way.dial = () => Promise.reject(new Error('connection refused'));
    await made.t.transport.call({ method: 'DELETE', path: '/api/v1/namespaces/default/services/ext' });
    await until(async () => expect(await shown(made)).toEqual({ version: 'v1', resources: [gadgets], freshness: 'Stale' }));
    expect((await made.send('GET', '/apis', undefined, { accept: v2 })).headers['etag']).not.toBe(etag);
    expect((await made.send('GET', '/apis/example.test')).status).toBe(200);
    await made.t.transport.call({ method: 'DELETE', path: `/apis/apiregistration.k8s.io/v1/apiservices/${name}` });
    await until(async () => expect(await shown(made)).toBeUndefined());
    expect((await made.send('GET', '/apis/example.test')).status).toBe(404);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ['without end', endless],
    ['that is no JSON', (response) => void response.writeHead(200, { 'content-type': v2 }).end('{"items":')],
    ['of another shape', (response) => json(response, [1, 2], { 'content-type': v2 })],
    ['that is refused', (response) => void response.writeHead(500).end('no')],
  ])('%s leaves the group stale and everything else as it is', async (_title, bad) => {
    const made = await start((request, response) => {
      if (request.url === root && request.headers.accept === 'application/json' && request.headers['x-remote-user'] === 'admin')
        json(response, legacy);
      else if (request.url === root) response.writeHead(200).end();
      else bad(response);
    });
    await until(() => expect(made.t.log.lines.some((l) => l.includes('discovery of an API service failed'))).toBe(true));
    expect(await shown(made)).toEqual({ version: 'v1', resources: [], freshness: 'Stale' });
    expect((await made.send('GET', '/apis/apps/v1')).status).toBe(200);
  });
});

function endless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': v2 });
  const piece = Buffer.alloc(256 * 1024, 32);
  const more = (): void => {
    while (!response.destroyed && response.write(piece));
  };
  response.on('drain', more);
  more();
}

describe('an in-process call', () => {
  const call = (made: Setup, path: string) => made.t.transport.call({ method: 'GET', path });

  test('gets the objects and the errors of the server behind', async () => {
    const made = await start((request, response) => {
      if (request.url === root) json(response, legacy);
      else if (request.url === `${root}/gadgets`) json(response, { kind: 'GadgetList', items: [] });
      else if (request.url === `${root}/gadgets/gone`)
        response
          .writeHead(404, { 'content-type': 'application/json' })
          .end(JSON.stringify({ kind: 'Status', reason: 'NotFound', message: 'no such gadget', code: 404 }));
      else if (request.url === `${root}/gadgets/text`) response.writeHead(409).end('plain words');
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{"kind":');
    });
    expect(await call(made, `${root}/gadgets`)).toEqual({ kind: 'GadgetList', items: [] });
    await expect(call(made, `${root}/gadgets/gone`)).rejects.toMatchObject({ reason: 'NotFound', message: 'no such gadget' });
    await expect(call(made, `${root}/gadgets/text`)).rejects.toMatchObject({ reason: 'Conflict', message: 'plain words' });
    await expect(call(made, `${root}/gadgets/bad`)).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
  });

  test('gets the events of a watch, and an error for what is none', async () => {
    const made = await start((request, response) => {
      if (request.url === root) json(response, legacy);
      else response.writeHead(200).end('{"type":"ADDED","object":{"a":1}}\n\n{"type":"DELETED","object":{"a":2}}\n{"no":"event"}\n');
    });
    const seen: unknown[] = [];
    const watch = async (): Promise<void> => {
      for await (const event of made.t.transport.watch(`${root}/gadgets?watch=true`, new AbortController().signal)) seen.push(event);
    };
    await expect(watch()).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
    expect(seen).toEqual([
      { type: 'ADDED', object: { a: 1 } },
      { type: 'DELETED', object: { a: 2 } },
    ]);
  });
});

describe('documents', () => {
  test('of a hostile server are read for what can be used of them', () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({ ...gadgets, resource: `r${i}`, verbs: ['get', 7], scope: 'Everywhere' }));
    const odd = {
      items: [null, 5, { metadata: 'x', versions: 'y' }, { metadata: { name: 'g' }, versions: [{ version: 'v', resources: many }, []] }],
    };
    const read = decodeAggregated(Buffer.from(JSON.stringify(odd)));
    expect(read.get('g/v')?.resources).toHaveLength(2000);
    expect(read.get('g/v')?.resources[0]).toMatchObject({ resource: 'r0', verbs: ['get'], scope: 'Cluster' });
    expect(() => decodeResourceList(Buffer.from('nonsense'), { group: 'g', version: 'v' })).toThrow('no JSON');
    expect(decodeResourceList(Buffer.from('{"resources":{"__proto__":1}}'), { group: 'g', version: 'v' })).toEqual({ resources: [] });
  });
});

import { describe, expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { Job } from '#kube/generated/batch-v1.ts';
import type { Stored } from '#kube/object.ts';
import { configMaps, deployments } from '#kube/refs.ts';
import { seededRandom } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { ApiResponse } from './contract.ts';
import { startTestServer, type TestServer } from './testing.ts';
import { viewOf } from './view.ts';

const objectOf = (response: ApiResponse): Record<string, unknown> => {
  if (response.type === 'entry') return viewOf(response.def).object(response.entry) as unknown as Record<string, unknown>;
  if (response.type === 'object') return response.object as Record<string, unknown>;
  throw new Error(`no object in ${response.type}`);
};
const statusOf = (response: ApiResponse): number => ('status' in response ? response.status : 0);
const maps = '/api/v1/namespaces/default/configmaps';
const map = (name: string, data: Record<string, string> = {}) => ({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name }, data });

async function withMaps(...names: string[]): Promise<TestServer> {
  const t = await startTestServer(builtinKinds);
  for (const name of names) expect(statusOf(await t.call('POST', maps, map(name)))).toBe(201);
  return t;
}

test('a created object comes back from get, list and watch with the same resourceVersion', async () => {
  const t = await withMaps('a');
  const got = objectOf(await t.call('GET', `${maps}/a`)) as unknown as Stored;
  expect(got.metadata).toMatchObject({ name: 'a', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' });
  const list = await t.call('GET', maps);
  expect(list).toMatchObject({ type: 'list', revision: Number(got.metadata.resourceVersion) });
  const client = createKubeClient(t.transport);
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const event of client.watch(configMaps, { namespace: 'default' }, stop.signal)) {
    if (event.type === 'BOOKMARK') continue;
    seen.push(`${event.type} ${event.object.metadata.name} ${event.object.metadata.resourceVersion}`);
    if (seen.length === 1) await t.call('PUT', `${maps}/a`, map('a', { k: 'v' }));
    if (seen.length === 2) await t.call('DELETE', `${maps}/a`);
    if (seen.length === 3) stop.abort();
  }
  expect(seen).toEqual([`ADDED a ${got.metadata.resourceVersion}`, 'MODIFIED a 3', 'DELETED a 4']);
});

test('a stale update returns Conflict, one without resourceVersion overwrites', async () => {
  const t = await withMaps('a');
  const stale = { ...map('a'), metadata: { name: 'a', resourceVersion: '2' } };
  expect(statusOf(await t.call('PUT', `${maps}/a`, { ...stale, data: { x: '1' } }))).toBe(200);
  const refused = await t.call('PUT', `${maps}/a`, { ...stale, data: { x: '2' } });
  expect(objectOf(refused)).toMatchObject({
    code: 409,
    reason: 'Conflict',
    message:
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  });
  expect(statusOf(await t.call('PUT', `${maps}/a`, map('a', { x: '3' })))).toBe(200);
});

test('what a strategy makes of the name holds for a generated name too', async () => {
  const t = await startTestServer(builtinKinds);
  const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } };
  const job = { kind: 'Job', apiVersion: 'batch/v1', metadata: { generateName: 'j-' }, spec: { template } };
  const made = objectOf(await t.call('POST', '/apis/batch/v1/namespaces/default/jobs', job)) as unknown as Job & Stored;
  const { name, uid } = made.metadata;
  expect(name).toMatch(/^j-\w{5}$/);
  expect(made.spec?.template.metadata?.labels).toMatchObject({ 'job-name': name, 'batch.kubernetes.io/controller-uid': uid });
});

test('a generated name that is taken is generated anew, eight times at most', async () => {
  let calls = 0;
  const random = { ...seededRandom(1), suffix: () => `${calls++}`.padStart(5, 'b') };
  const t = await startTestServer(builtinKinds, { random });
  const generated = { ...map(''), metadata: { generateName: 'a-' } };
  for (const taken of ['a-bbbb0', 'a-bbbb1', 'a-bbbb2']) await t.call('POST', maps, map(taken));
  expect(objectOf(await t.call('POST', maps, generated))).toMatchObject({ metadata: { name: 'a-bbbb3', generateName: 'a-' } });
  expect(calls).toBe(4);
  calls = 0;
  for (let i = 4; i < 8; i++) await t.call('POST', maps, map(`a-bbbb${i}`));
  expect(objectOf(await t.call('POST', maps, generated))).toMatchObject({
    code: 409,
    reason: 'AlreadyExists',
    message: 'configmaps "a-bbbb7" already exists, the server was not able to generate a unique name for the object',
    details: { name: 'a-bbbb7', kind: 'configmaps', retryAfterSeconds: 1 },
  });
  expect(calls).toBe(8);
  const named = { ...map(''), metadata: { name: 'a-bbbb0', generateName: 'a-' } };
  expect(objectOf(await t.call('POST', maps, named))).toMatchObject({ code: 409, details: { retryAfterSeconds: 1 } });
});

test('an update that changes nothing writes nothing', async () => {
  const t = await withMaps('a');
  await t.call('PUT', `${maps}/a`, map('a'));
  expect(t.cache.revision()).toBe(2);
});

test('patches of each type are applied', async () => {
  const t = await withMaps('a');
  const patch = (type: string, body: unknown) => t.call('PATCH', `${maps}/a`, body, { 'content-type': `application/${type}` });
  await patch('merge-patch+json', { data: { a: '1' } });
  await patch('json-patch+json', [{ op: 'add', path: '/data/b', value: '2' }]);
  await patch('strategic-merge-patch+json', { data: { c: '3' } });
  expect(objectOf(await t.call('GET', `${maps}/a`))['data']).toEqual({ a: '1', b: '2', c: '3' });
  expect(statusOf(await patch('foo', {}))).toBe(415);
});

test('pages of a list are consistent while objects change', async () => {
  const t = await withMaps('a', 'b', 'c', 'd', 'e');
  const first = await t.call('GET', `${maps}?limit=2`);
  if (first.type !== 'list') throw new Error('no list');
  expect(first.remaining).toBe(3);
  await t.call('DELETE', `${maps}/c`);
  await t.call('POST', maps, map('bb'));
  const second = await t.call('GET', `${maps}?limit=10&continue=${first.continue}`);
  if (second.type !== 'list') throw new Error('no list');
  const names = [...first.entries, ...second.entries].map((e) => viewOf(second.def).object(e).metadata.name);
  expect(names).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(second.revision).toBe(first.revision);
});

test('finalizers hold a deletion until the last one is removed', async () => {
  const t = await withMaps();
  await t.call('POST', maps, { ...map('a'), metadata: { name: 'a', finalizers: ['example.com/f'] } });
  const marked = objectOf(await t.call('DELETE', `${maps}/a`)) as unknown as Stored;
  expect(marked.metadata).toMatchObject({ deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 });
  await t.call('PATCH', `${maps}/a`, { metadata: { finalizers: null } }, { 'content-type': 'application/merge-patch+json' });
  expect(statusOf(await t.call('GET', `${maps}/a`))).toBe(404);
});

test('status updates leave spec alone and spec updates leave status alone', async () => {
  const t = await withMaps();
  const client = createKubeClient(t.transport);
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const created = await client.create(deployments, {
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    metadata: { name: 'd', namespace: 'default' },
    spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template },
  } as never);
  expect(created.metadata.generation).toBe(1);
  const withStatus = await client.patch(
    deployments,
    { namespace: 'default', name: 'd' },
    'merge',
    {
      spec: { replicas: 5 },
      status: { replicas: 3 },
    },
    { subresource: 'status' },
  );
  expect(withStatus).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 3 }, metadata: { generation: 1 } });
  const scaled = await client.patch(deployments, { namespace: 'default', name: 'd' }, 'merge', {
    spec: { replicas: 5 },
    status: { replicas: 9 },
  });
  expect(scaled).toMatchObject({ spec: { replicas: 5 }, status: { replicas: 3 }, metadata: { generation: 2 } });
});

test('a patch whose result cannot be decoded is Invalid, and is shown', async () => {
  const { transport } = await startTestServer(builtinKinds);
  const client = createKubeClient(transport);
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  await client.create(deployments, {
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    metadata: { name: 'd', namespace: 'default' },
    spec: { selector: { matchLabels: { a: 'b' } }, template },
  } as never);
  const patch = (type: string, body: unknown) =>
    transport.call({
      method: 'PATCH',
      path: '/apis/apps/v1/namespaces/default/deployments/d?fieldValidation=Strict',
      contentType: `application/${type}-patch+json`,
      body,
    });
  await expect(patch('strategic-merge', { spec: { replicaz: 2 } })).rejects.toMatchObject({
    code: 422,
    reason: 'Invalid',
    message: ' "" is invalid: patch: Invalid value: "map[spec:map[replicaz:2]]": strict decoding error: unknown field "spec.replicaz"',
    details: { causes: [{ reason: 'FieldValueInvalid', field: 'patch' }] },
  });
  await expect(patch('merge', { spec: { replicas: 'x' } })).rejects.toMatchObject({
    reason: 'Invalid',
    message: expect.stringMatching(/^ "" is invalid: patch: Invalid value: "\{.*\}": json: cannot unmarshal string/) as unknown,
  });
  await expect(patch('json', [{ op: 'add', path: '/spec/odd', value: 1 }])).rejects.toMatchObject({
    reason: 'Invalid',
    message: expect.stringMatching(/: strict decoding error: unknown field "spec\.odd"$/) as unknown,
  });
});

test('unknown kinds, methods and bodies get their Status', async () => {
  const t = await withMaps('a');
  const cases: [string, string, unknown, number][] = [
    ['GET', '/api/v1/nonsense', undefined, 404],
    ['GET', '/apis/apps/v1/namespaces/default/deployments/x', undefined, 404],
    ['POST', `${maps}/a`, map('a'), 405],
    ['PUT', maps, map('a'), 405],
    ['POST', maps, '{"kind":', 400],
    ['POST', maps, { kind: 'Secret', apiVersion: 'v1', metadata: { name: 's' } }, 400],
    ['POST', maps, map('Bad_Name'), 422],
    ['POST', maps, map('a'), 409],
    ['PUT', `${maps}/a`, map('b'), 400],
    ['GET', `${maps}?fieldSelector=spec.x=y`, undefined, 400],
    ['GET', `${maps}?labelSelector=((`, undefined, 400],
    ['GET', `${maps}?limit=x`, undefined, 400],
    ['GET', `${maps}?continue=zzz`, undefined, 400],
    ['GET', '/api/v1/namespaces/default/nodes', undefined, 404],
    ['GET', '/api/v1/pods/x', undefined, 404],
    ['GET', '/api/v1/%zz', undefined, 400],
  ];
  for (const [method, path, body, code] of cases)
    expect([method, path, statusOf(await t.call(method, path, body))]).toEqual([method, path, code]);
});

test('watches with a selector see objects come and go', async () => {
  const t = await withMaps();
  const client = createKubeClient(t.transport);
  const stop = new AbortController();
  const seen: string[] = [];
  const label = (value: string) =>
    t.call('PATCH', `${maps}/a`, { metadata: { labels: { x: value } } }, { 'content-type': 'application/merge-patch+json' });
  await t.call('POST', maps, map('a'));
  for await (const event of client.watch(
    configMaps,
    { labelSelector: 'x=1', resourceVersion: '1', allowWatchBookmarks: true, sendInitialEvents: true },
    stop.signal,
  )) {
    seen.push(event.type === 'BOOKMARK' ? `BOOKMARK ${event.initialEventsEnd}` : `${event.type} ${event.object.metadata.resourceVersion}`);
    if (seen.length === 1) await label('1');
    if (seen.length === 2) await label('2');
    if (seen.length === 3) stop.abort();
  }
  expect(seen).toEqual(['BOOKMARK true', 'ADDED 3', 'DELETED 4']);
});

describe('what a strict decoder has against a patch', () => {
  const path = '/api/v1/namespaces/default/configmaps/a';
  const start = async () => {
    const t = await startTestServer(builtinKinds);
    await t.call('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'a' }, data: { a: 'b' } });
    return t;
  };

  test.each([
    ['application/merge-patch+json', '{"data":{"x":"1","x":"2"},"odd":1}', ['duplicate field "data.x"', 'unknown field "odd"']],
    ['application/strategic-merge-patch+json', '{"data":{"x":"1","x":"2"},"odd":1}', ['duplicate field "data.x"', 'unknown field "odd"']],
    [
      'application/json-patch+json',
      '[{"op":"add","path":"/data/x","path":"/data/x","value":"2","extra":1}]',
      ['json patch duplicate field "[0].path"', 'json patch unknown field "[0].extra"'],
    ],
    [
      'application/apply-patch+yaml',
      'apiVersion: v1\nkind: ConfigMap\ndata:\n  x: "1"\n  x: "2"\n',
      ['line 5: key "x" already set in map'],
    ],
  ])('%s: warned of by default, refused when Strict, let through when Ignore', async (type, body, problems) => {
    const t = await start();
    const patch = (validation: string) =>
      t.call('PATCH', `${path}?fieldManager=m${validation === '' ? '' : `&fieldValidation=${validation}`}`, body, { 'content-type': type });
    const strict = await patch('Strict');
    expect(statusOf(strict)).toBe(type.includes('apply') ? 400 : 422);
    for (const problem of problems) expect(objectOf(strict)['message']).toContain(problem);
    const warned = await patch('');
    expect(warned).toMatchObject({ status: 200, warnings: problems });
    expect(await patch('Ignore')).toMatchObject({ status: 200 });
    expect((await patch('Ignore')).warnings).toBeUndefined();
    const client = createKubeClient(t.transport);
    expect((await client.get(configMaps, { namespace: 'default', name: 'a' })).data).toEqual({ a: 'b', x: '2' });
  });
});

/** Requests that are meant to do harm: refused, or kept verbatim where they are legal. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Ask } from '../client.ts';
import type { Cluster } from '../cluster.ts';

/** Keys that reach into prototypes where objects are copied without care: data like any other. */
const legal = '{"constructor":"b","toString":"c","hasOwnProperty":"d","valueOf":"e","prototype":"f"}';
const keys = Object.keys(JSON.parse(legal) as object);
/** The one that is refused in every map. As text: a literal would set the prototype. */
const refused = '{"__proto__":"a"}';
const refusal = {
  code: 400,
  body: { reason: 'BadRequest', message: expect.stringContaining('the key "__proto__" is not allowed') as string },
};
const merge = 'application/merge-patch+json';

export function hostile({ api, namespace, define, node }: Cluster): void {
  describe('bodies that grow', () => {
    const json = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'packed' } });
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024, 0x20));
    test.each<[string, Buffer, string]>([
      ['gzip', gzipSync(json), 'gzip'],
      ['deflate', deflateSync(json), 'deflate'],
      ['br', brotliCompressSync(json), 'br'],
      ['a decompression bomb', bomb, 'gzip'],
    ])('%s: what is packed is not unpacked, as upstream', async (_name, body, encoding) => {
      const ns = await namespace();
      const ask: Ask = { body, headers: { 'content-encoding': encoding } };
      expect(await api.call('POST', ns.in('configmaps'), ask)).toMatchObject({ code: 400, body: { kind: 'Status', reason: 'BadRequest' } });
      expect((await api.call('PATCH', ns.in('configmaps', 'packed'), { ...ask, type: merge })).code).toBe(400);
    });

    const nested = (open: string, close: string, depth: number): string => `${open.repeat(depth)}1${close.repeat(depth)}`;
    const yamlBomb = `a: &a [${'x,'.repeat(9)}x]\n${Array.from('bcdefghij', (c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghij'[i]}`).join(',')}]`).join('\n')}\n`;
    const head = '"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"}';
    test.each<[string, string, string]>([
      ['arrays', `{${head},"data":${nested('[', ']', 100_000)}}`, 'application/json'],
      ['objects', `{${head},"data":${nested('{"a":', '}', 100_000)}}`, 'application/json'],
      ['what is not closed', `{${head},"data":${'{"a":'.repeat(300_000)}`, 'application/json'],
      [
        'YAML in flow style',
        `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: deep}\ndata: ${nested('[', ']', 20_000)}`,
        'application/yaml',
      ],
      ['YAML in block style', `data:\n${Array.from({ length: 1500 }, (_, i) => `${' '.repeat(i + 1)}a:`).join('\n')}`, 'application/yaml'],
      ['aliases of aliases in YAML', `${yamlBomb}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: deep}\n`, 'application/yaml'],
      ['an alias of itself', 'a: &a [*a]\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: deep}\n', 'application/yaml'],
    ])('depth: %s', async (_name, body, type) => {
      const ns = await namespace();
      expect(await api.call('POST', ns.in('configmaps'), { body, type })).toMatchObject({ code: 400, body: { reason: 'BadRequest' } });
    });

    test.each(['application/json-patch+json', merge, 'application/strategic-merge-patch+json', 'application/apply-patch+yaml'])(
      'depth in a patch: %s',
      async (type) => {
        const ns = await namespace();
        await api.post(ns.in('configmaps'), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'deep' } });
        const deep = nested('{"a":', '}', 100_000);
        const body = type.includes('json-patch') ? `[{"op":"add","path":"/data","value":${deep}}]` : `{${head},"data":${deep}}`;
        const answer = await api.call('PATCH', `${ns.in('configmaps', 'deep')}?fieldManager=m`, { body, type });
        expect(answer.code).toBeGreaterThanOrEqual(400);
        expect(answer.code).toBeLessThan(500);
      },
    );

    test('a patch that copies what it has copied grows to the limit of an object and no further', async () => {
      const ns = await namespace();
      await api.post(ns.in('configmaps'), {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'twice' },
        data: { a: 'x'.repeat(10_000) },
      });
      const body = Array.from({ length: 10_000 }, (_, i) => ({ op: 'copy', from: '/data/a', path: `/data/b${i}` }));
      const answer = await api.call('PATCH', ns.in('configmaps', 'twice'), { body, type: 'application/json-patch+json' });
      expect(answer.code).toBeGreaterThanOrEqual(400);
      expect(answer.code).toBeLessThan(500);
    });

    test('beyond 3 MiB', async () => {
      const ns = await namespace();
      const body = JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'big' },
        data: { a: 'x'.repeat(3 * 1024 * 1024) },
      });
      for (const [method, path] of [
        ['POST', ns.in('configmaps')],
        ['PUT', ns.in('configmaps', 'big')],
        ['PATCH', ns.in('configmaps', 'big')],
        ['DELETE', ns.in('configmaps', 'big')],
      ] as const)
        expect(await api.call(method, path, { body, type: method === 'PATCH' ? merge : 'application/json' })).toMatchObject({
          code: 413,
          body: { reason: 'RequestEntityTooLarge', message: 'Request entity too large: limit is 3145728' },
        });
    });
  });

  describe('selectors', () => {
    const long = (term: (i: number) => string, count: number): string =>
      encodeURIComponent(Array.from({ length: count }, (_, i) => term(i)).join(','));
    test.each<[string, (path: string) => string, number]>([
      ['500 requirements of labels', (path) => `${path}?labelSelector=${long((i) => `k${i}!=v`, 500)}`, 200],
      [
        'a set of a thousand values',
        (path) => `${path}?labelSelector=${encodeURIComponent(`k in (${Array.from({ length: 1000 }, (_, i) => `v${i}`).join(',')})`)}`,
        200,
      ],
      ['a thousand open brackets', (path) => `${path}?labelSelector=${encodeURIComponent('('.repeat(1000))}`, 400],
      ['500 requirements of fields', (path) => `${path}?fieldSelector=${long((i) => `metadata.name!=n${i}`, 500)}`, 200],
      ['a key of 5,000 characters', (path) => `${path}?labelSelector=${'k'.repeat(5000)}`, 400],
      ['a prototype key as a label', (path) => `${path}?labelSelector=__proto__%3Da`, 400],
      ['constructor as a label', (path) => `${path}?labelSelector=constructor%3Da,toString%20notin%20(b),!valueOf`, 200],
      ['a prototype key as a field', (path) => `${path}?fieldSelector=__proto__%3Da`, 400],
      ['constructor as a field', (path) => `${path}?fieldSelector=constructor%3Da`, 400],
    ])('%s', async (_name, query, code) => {
      const ns = await namespace();
      expect((await api.call('GET', query(ns.in('configmaps')))).code).toBe(code);
    });

    test('longer than the head of a request may be: the connection is told, and the server lives', async () => {
      const ns = await namespace();
      const answer = await api.call('GET', `${ns.in('configmaps')}?labelSelector=${'k'.repeat(200_000)}`).then(
        ({ code }) => String(code),
        (error: unknown) => String(error),
      );
      expect(answer).toMatch(/^4\d\d$|ECONNRESET|EPIPE|hang up/);
    });
  });

  describe('keys of prototypes', () => {
    test.each(['annotations', 'labels'] as const)('in %s are kept verbatim', async (field) => {
      const ns = await namespace();
      const body = (map: string): string => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","${field}":${map}}}`;
      expect(await api.call('POST', ns.in('configmaps'), { body: body(refused) })).toMatchObject(refusal);
      const created = await api.call('POST', ns.in('configmaps'), { body: body(legal) });
      expect(created.body.metadata[field]).toEqual(JSON.parse(legal));
      expect((await api.get(ns.in('configmaps', 'a'))).metadata[field]).toEqual(JSON.parse(legal));
      expect((await api.call('GET', `${ns.in('configmaps')}?labelSelector=constructor`)).text.includes('"name":"a"')).toBe(
        field === 'labels',
      );
    });

    test('in data are kept verbatim through every way of writing', async () => {
      const ns = await namespace();
      const path = ns.in('configmaps', 'a');
      const body = (map: string): string => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":${map}}`;
      expect((await api.call('POST', ns.in('configmaps'), { body: body(legal) })).code).toBe(201);
      const read = await api.get(path);
      expect(read['data']).toEqual(JSON.parse(legal));
      for (const key of keys) expect(JSON.stringify(read.metadata.managedFields)).toContain(`"f:${key}"`);
      const each = (value: string): object => Object.fromEntries(keys.map((key) => [key, value]));
      const operations = keys.map((key) => ({ op: 'replace', path: `/data/${key}`, value: 'j' }));
      expect((await api.patch(path, { data: each('m') }, 'merge'))['data']).toEqual(each('m'));
      expect((await api.patch(path, { data: each('s') }, 'strategic'))['data']).toEqual(each('s'));
      expect((await api.patch(path, operations, 'json'))['data']).toEqual(each('j'));
      expect((await api.apply(`${path}?force=true`, body(legal), 'm'))['data']).toEqual(JSON.parse(legal));
      expect((await api.apply(path, body('{"constructor":"b"}'), 'm'))['data']).toEqual({ constructor: 'b' });
      for (const [method, at, type] of [
        ['POST', ns.in('configmaps'), 'application/json'],
        ['PUT', path, 'application/json'],
        ['PATCH', path, merge],
        ['PATCH', path, 'application/strategic-merge-patch+json'],
        ['PATCH', `${path}?fieldManager=m`, 'application/apply-patch+yaml'],
      ] as const) {
        const answer = await api.call(method, at, { body: body(refused), type });
        expect([400, 422]).toContain(answer.code);
      }
      expect((await api.get(path))['data']).toEqual({ constructor: 'b' });
    });

    test('in a custom resource are kept where anything is, and pruned where nothing is said of them', async () => {
      const ns = await namespace();
      const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
      const text = { type: 'object', additionalProperties: { type: 'string' } };
      const custom = await define({
        versions: [{ name: 'v1', schema: { type: 'object', properties: { free, text, closed: { type: 'object' } } } }],
      });
      const body = (more: string): string => `{"apiVersion":"${custom.group}/v1","kind":"${custom.kind}","metadata":{"name":"a"},${more}}`;
      const at = custom.path('v1', '', ns.name);
      const created = await api.call('POST', at, {
        body: body(`"free":${legal},"text":${legal},"closed":${legal},"constructor":1,"toString":{}`),
      });
      expect(created.code).toBe(201);
      for (const object of [created.body, await api.get(custom.path('v1', 'a', ns.name))]) {
        expect(object).toMatchObject({ free: JSON.parse(legal) as object, text: JSON.parse(legal) as object, closed: {} });
        expect(Object.keys(object).toSorted()).toEqual(['apiVersion', 'closed', 'free', 'kind', 'metadata', 'text']);
        expect(object['closed']).toEqual({});
      }
      for (const field of ['free', 'text'])
        expect(await api.call('POST', at, { body: body(`"${field}":${refused}`) })).toMatchObject(refusal);
    });

    test('in selectors of workloads select', async () => {
      const ns = await namespace();
      const body = (map: string): string =>
        `{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":${map}},"template":{"metadata":{"labels":${map}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`;
      const path = ns.in('apps/v1 replicasets');
      expect((await api.call('POST', path, { body: body(legal) })).code).toBe(201);
      await expect
        .poll(async () => (await api.call('GET', `${ns.in('pods')}?labelSelector=constructor%3Db,toString%3Dc`)).text)
        .toContain('"name":"a-');
      expect(await api.call('POST', path, { body: body(refused) })).toMatchObject(refusal);
    });

    test('in managedFields that a client sends', async () => {
      const ns = await namespace();
      const entry =
        '{"manager":"toString","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:toString":{},"f:constructor":{}}}}';
      const body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","managedFields":[${entry}]},"data":${legal}}`;
      expect((await api.call('POST', ns.in('configmaps'), { body })).code).toBe(201);
      const changed = body.replace('"b"', '"changed"');
      const updated = await api.call('PUT', `${ns.in('configmaps', 'a')}?fieldManager=constructor`, { body: changed });
      expect(updated.body.metadata.managedFields?.find((e) => e.manager === 'constructor')?.fieldsV1).toMatchObject({
        'f:data': { 'f:constructor': {} },
      });
    });

    test('as paths of a JSON patch', async () => {
      const ns = await namespace();
      await api.post(ns.in('configmaps'), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } });
      for (const path of ['/__proto__/polluted', '/constructor/prototype/polluted', '/metadata/__proto__/polluted'])
        expect(
          (
            await api.call('PATCH', ns.in('configmaps', 'a'), {
              body: [{ op: 'add', path, value: 'x' }],
              type: 'application/json-patch+json',
            })
          ).code,
        ).toBe(422);
      expect((await api.call('GET', ns.in('configmaps', 'a'))).text).not.toContain('polluted');
    });

    test('as names, parameters and query keys', async () => {
      const ns = await namespace();
      expect((await api.call('GET', ns.in('configmaps', '__proto__'))).code).toBe(404);
      expect((await api.call('GET', '/api/v1/namespaces/constructor/configmaps/toString')).code).toBe(404);
      expect((await api.call('GET', '/apis/__proto__/v1/constructor')).code).toBe(404);
      expect((await api.call('GET', `${ns.in('configmaps')}?__proto__=1&constructor=2&limit=1`)).code).toBe(200);
      expect((await api.call('GET', ns.in('configmaps', 'a', '__proto__'))).code).toBe(404);
    });
  });

  test('after all that nothing was answered with 500, and the process is the one that was started', async () => {
    const { text } = await api.call('GET', '/metrics');
    expect(text).toMatch(/apiserver_request_total\{[^}]*code="400"/);
    expect(text).not.toMatch(/apiserver_request_total\{[^}]*code="500"/);
    expect(node().log()).not.toContain('"level":"error"');
  });
}

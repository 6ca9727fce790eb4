/** What pkg/endpoints' tests and test/integration/apiserver (cbor_test.go, max_request_body_bytes_test.go) check of media types. */
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../cluster.ts';

const cbor = 'application/cbor';
const protobuf = 'application/vnd.kubernetes.protobuf';
const three = `application/json, application/yaml, ${protobuf}`;
// By its text: who asks for protobuf gets the Status as protobuf.
const notAcceptable = (types: string) => ({
  code: 406,
  text: expect.stringMatching(`only the following media types are accepted: ${types}["\u0012\u001a]`) as string,
});

export function representations({ api, namespace, define }: Cluster): void {
  const map = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });

  describe('an answer that the client would not take', () => {
    test.each<[string, string]>([
      ['CBOR, which is off by default', cbor],
      ['plain text', 'text/plain'],
      ['a table as protobuf', `${protobuf};as=Table;v=v1;g=meta.k8s.io`],
      ['a table of another version', 'application/json;as=Table;v=v9;g=meta.k8s.io'],
      ['nothing that weighs anything', 'application/json;q=0'],
    ])('%s is told before anything is done', async (_name, accept) => {
      const ns = await namespace();
      const headers = { accept };
      const path = ns.in('configmaps', 'a');
      expect(await api.call('POST', ns.in('configmaps'), { body: map('a'), headers })).toMatchObject(notAcceptable(three));
      expect((await api.call('GET', path)).code).toBe(404);
      const { metadata } = await api.post(ns.in('configmaps'), map('a'));
      for (const [method, at, body] of [
        ['GET', path, undefined],
        ['GET', ns.in('configmaps'), undefined],
        ['PUT', path, { ...map('a'), data: { a: 'b' } }],
        ['PATCH', path, { data: { a: 'b' } }],
        ['DELETE', path, undefined],
        ['DELETE', ns.in('configmaps'), undefined],
      ] as const) {
        const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
        expect(await api.call(method, at, { ...(body === undefined ? {} : { body, type }), headers })).toMatchObject(notAcceptable(three));
      }
      expect((await api.get(path)).metadata.resourceVersion).toBe(metadata.resourceVersion);
    });

    test('of a custom resource, which has no protobuf', async () => {
      const custom = await define({});
      expect(await api.call('GET', custom.path('v1'), { headers: { accept: protobuf } })).toMatchObject(
        notAcceptable('application/json, application/yaml'),
      );
      expect((await api.call('GET', custom.path('v1'), { headers: { accept: `${protobuf},application/json` } })).code).toBe(200);
    });

    test('CBOR first and JSON second is JSON, for lists, objects and watches, as client-go asks', async () => {
      const ns = await namespace();
      for (const path of [ns.in('configmaps'), ns.in('serviceaccounts'), '/apis', '/openapi/v3']) {
        const answer = await api.call('GET', path, { headers: { accept: `${cbor}, application/json` } });
        expect(answer.code).toBe(200);
        expect(answer.headers['content-type']).toBe('application/json');
      }
      await api.post(ns.in('configmaps'), map('a'));
      const watch = await api.call('GET', `${ns.in('configmaps')}?watch=1&timeoutSeconds=1`, {
        headers: { accept: `application/cbor-seq, application/json;stream=watch` },
      });
      expect(watch.code).toBe(200);
      expect(watch.text).toContain('"type":"ADDED"');
      expect((await api.call('GET', `${ns.in('configmaps')}?watch=1`, { headers: { accept: 'application/cbor-seq' } })).code).toBe(406);
    });
  });

  describe('a body of a type that nobody reads', () => {
    const unsupported = (message: string) => ({ code: 415, body: { kind: 'Status', reason: 'UnsupportedMediaType', code: 415, message } });
    test.each([cbor, 'text/plain', 'application/xml', 'multipart/form-data', 'application/x-www-form-urlencoded'])('%s', async (type) => {
      const ns = await namespace();
      const message = `the body of the request was in an unknown format - accepted media types include: ${three}`;
      expect(await api.call('POST', ns.in('configmaps'), { body: 'x', type })).toMatchObject(unsupported(message));
      expect(await api.call('PUT', ns.in('configmaps', 'a'), { body: 'x', type })).toMatchObject(unsupported(message));
    });

    test('as a patch, which says what patches there are', async () => {
      const ns = await namespace();
      const types = [
        'application/json-patch+json',
        'application/merge-patch+json',
        'application/strategic-merge-patch+json',
        'application/apply-patch+yaml',
      ];
      const message = (list: readonly string[]): string =>
        `the body of the request was in an unknown format - accepted media types include: ${list.join(', ')}`;
      for (const type of ['application/json', 'application/apply-patch+cbor', 'text/plain'])
        expect(await api.call('PATCH', ns.in('configmaps', 'a'), { body: '{}', type })).toMatchObject(unsupported(message(types)));
      const custom = await define({});
      await api.post(custom.path('v1'), custom.object('v1', 'a'));
      // Custom resources have no strategic merge patch.
      expect(await api.call('PATCH', custom.path('v1', 'a'), { body: '{}', type: types[2] ?? '' })).toMatchObject(
        unsupported(message(types.filter((t) => !t.includes('strategic')))),
      );
    });
  });
}

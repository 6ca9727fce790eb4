import { expect, test } from 'vitest';
import { builtinKinds } from '#resources/index.ts';
import type { ApiResponse } from '../contract.ts';
import { startTestServer } from '../testing.ts';

const bodyOf = (r: ApiResponse): string => (r.type === 'bytes' ? String(r.body) : '');
const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

test('legacy discovery lists groups, versions and resources with their subresources', async () => {
  const t = await startTestServer(builtinKinds);
  expect(JSON.parse(bodyOf(await t.call('GET', '/api')))).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
  const groups = JSON.parse(bodyOf(await t.call('GET', '/apis'))) as { groups: { name: string; preferredVersion: object }[] };
  expect(groups.groups.find((g) => g.name === 'autoscaling')?.preferredVersion).toEqual({ groupVersion: 'autoscaling/v2', version: 'v2' });
  const apps = JSON.parse(bodyOf(await t.call('GET', '/apis/apps/v1'))) as { resources: { name: string }[] };
  expect(apps.resources.map((r) => r.name)).toContain('deployments/status');
  const core = JSON.parse(bodyOf(await t.call('GET', '/api/v1'))) as { resources: { name: string; storageVersionHash?: string }[] };
  expect(core.resources.find((r) => r.name === 'pods')?.storageVersionHash).toBe('xPOwRZ+Yhw8=');
  expect((await t.call('GET', '/apis/nonsense')).type).toBe('object');
});

test('aggregated discovery answers 304 to a known ETag', async () => {
  const t = await startTestServer(builtinKinds);
  const first = await t.call('GET', '/apis', undefined, { accept: v2 });
  expect(JSON.parse(bodyOf(first))).toMatchObject({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2' });
  const etag = first.headers?.['etag'] ?? '';
  expect(await t.call('GET', '/apis', undefined, { accept: v2, 'if-none-match': etag })).toMatchObject({ status: 304 });
});

test('version, metrics and the listing of paths, health checks among them, are answered', async () => {
  const t = await startTestServer(builtinKinds, { checks: () => [{ name: 'store', live: true, problem: () => 'no' }] });
  expect(JSON.parse(bodyOf(await t.call('GET', '/version')))).toMatchObject({ major: '1', minor: '36' });
  expect(bodyOf(await t.call('GET', '/metrics'))).toContain('apiserver_request_total{');
  const { paths } = JSON.parse(bodyOf(await t.call('GET', '/'))) as { paths: string[] };
  expect(paths).toEqual(expect.arrayContaining(['/apis/apps/v1', '/livez/store', '/readyz/ping']));
});

test('OpenAPI v3 is indexed by group and version, and unchanged documents are not sent again', async () => {
  const t = await startTestServer(builtinKinds);
  const first = await t.call('GET', '/openapi/v3');
  expect(await t.call('GET', '/openapi/v3', undefined, { 'if-none-match': first.headers?.['etag'] ?? '' })).toMatchObject({ status: 304 });
  const index = JSON.parse(bodyOf(first)) as { paths: Record<string, { serverRelativeURL: string }> };
  const url = index.paths['apis/apps/v1']?.serverRelativeURL ?? '';
  expect(url).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/);
  const document = await t.call('GET', url);
  expect(document.headers).toMatchObject({ 'cache-control': 'public, immutable' });
  expect(JSON.parse(bodyOf(document))).toMatchObject({ openapi: '3.0.0' });
  expect(await t.call('GET', url, undefined, { 'if-none-match': document.headers?.['etag'] ?? '' })).toMatchObject({ status: 304 });
  expect(JSON.parse(bodyOf(await t.call('GET', '/openapi/v2')))).toMatchObject({ swagger: '2.0' });
  expect(await t.call('GET', '/openapi/v3/apis/none/v1')).toMatchObject({ status: 404 });
});

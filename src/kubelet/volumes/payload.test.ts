import { expect, test } from 'vitest';
import type { ConfigMap, Secret } from '#kube/generated/core-v1.ts';
import { container, testPod } from '../pods/fixtures.ts';
import { configMapFiles, downwardFiles, type PayloadContext, projectedFiles, secretFiles } from './payload.ts';

const map: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cm' }, data: { a: '1' }, binaryData: { b: 'AAE=' } };
const secret: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's' },
  data: { pw: Buffer.from('geheim').toString('base64') },
};

const context = (pod = testPod({}, { labels: { app: 'x', tier: 'y' } })): PayloadContext => ({
  pod,
  node: { name: 'n1', ips: [], allocatable: {} },
  podIps: [],
  sources: {
    configMap: (_, name) => Promise.resolve(name === 'cm' ? map : undefined),
    secret: (_, name) => Promise.resolve(name === 's' ? secret : undefined),
    token: (_, projection) => Promise.resolve(`token for ${projection.audience ?? 'the API'}`),
  },
});
const shown = (files: ReadonlyMap<string, { content: Buffer; mode: number; uid?: number }>) =>
  Object.fromEntries(
    [...files].map(([path, f]) => [path, [f.content.toString('latin1'), f.mode, ...(f.uid === undefined ? [] : [f.uid])]]),
  );

test('a ConfigMap shows data and binary data; items choose and rename', async () => {
  expect(shown(await configMapFiles({ name: 'cm' }, 0o644, context()))).toEqual({ a: ['1', 0o644], b: ['\0\u0001', 0o644] });
  const items = [{ key: 'a', path: 'sub/x', mode: 0o400 }];
  expect(shown(await configMapFiles({ name: 'cm', items }, 0o644, context()))).toEqual({ 'sub/x': ['1', 0o400] });
});

test('what is missing is an error, unless it is optional', async () => {
  await expect(configMapFiles({ name: 'gone' }, 0o644, context())).rejects.toThrow('configmap "gone" not found');
  await expect(secretFiles({ name: 'gone' }, 0o644, context())).rejects.toThrow('secret "gone" not found');
  await expect(configMapFiles({ name: 'cm', items: [{ key: 'z', path: 'z' }] }, 0o644, context())).rejects.toThrow(
    'references non-existent config key: z',
  );
  expect((await configMapFiles({ name: 'gone', optional: true }, 0o644, context())).size).toBe(0);
});

test('the downward API shows labels as upstream writes them', () => {
  const files = downwardFiles([{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }], 0o644, context());
  expect(shown(files)).toEqual({ labels: ['app="x"\ntier="y"', 0o644] });
});

test('a projected volume joins its sources, later ones winning', async () => {
  const sources = [
    { configMap: { name: 'cm', items: [{ key: 'a', path: 'f' }] } },
    { secret: { name: 's', items: [{ key: 'pw', path: 'f' }] } },
    { serviceAccountToken: { path: 'token', audience: 'vault' } },
  ];
  expect(shown(await projectedFiles({ sources, defaultMode: 0o440 }, context()))).toEqual({
    f: ['geheim', 0o440],
    token: ['token for vault', 0o440],
  });
});

test('a token belongs to the user that all containers run as, and to nobody else', async () => {
  const pod = testPod({ containers: [container('c', { securityContext: { runAsUser: 1000 } })] });
  const files = await projectedFiles({ sources: [{ serviceAccountToken: { path: 'token' } }] }, context(pod));
  expect(shown(files)).toEqual({ token: ['token for the API', 0o600, 1000] });
});

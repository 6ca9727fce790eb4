import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { createStaticPods, staticPod } from './static-pods.ts';

const manifest = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers: [{ name: 'c', image: 'img' }] } };

test('a static pod is named after its node, and its identity follows from its content', () => {
  const pod = staticPod(manifest, 'web.yaml', 'N1');
  expect(pod).toMatchObject({
    metadata: {
      name: 'web-n1',
      namespace: 'default',
      annotations: { 'kubernetes.io/config.source': 'file', 'kubernetes.io/config.hash': pod.metadata.uid },
    },
    spec: { nodeName: 'N1', restartPolicy: 'Always', tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] },
  });
  expect(staticPod(manifest, 'web.yaml', 'N1').metadata.uid).toBe(pod.metadata.uid);
  expect(staticPod({ ...manifest, metadata: { name: 'web', labels: { a: 'b' } } }, 'web.yaml', 'N1').metadata.uid).not.toBe(
    pod.metadata.uid,
  );
});

test.each([
  ['another kind', { ...manifest, kind: 'Deployment' }],
  ['no name', { ...manifest, metadata: {} }],
  ['no containers', { ...manifest, spec: {} }],
  ['a service account', { ...manifest, spec: { ...manifest.spec, serviceAccountName: 'x' } }],
  ['a list', []],
])('%s is refused', (_, value) => {
  expect(() => staticPod(value, 'f', 'n1')).toThrow(/required|not a Pod|service account/);
});

test('a scan tells what is new, changed and gone, and passes over what is broken', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'k3ts-static-'));
  const told: string[] = [];
  const log = memoryLogger();
  const statics = createStaticPods({
    dir,
    nodeName: 'n1',
    clock: fakeClock(),
    log,
    add: (pod) => told.push(`+${pod.metadata.name}`),
    remove: (_, pod) => told.push(`-${pod.metadata.name}`),
  });
  const file = (name: string, content: string): void => writeFileSync(join(dir, name), content);
  file('a.json', JSON.stringify(manifest));
  file('bad.yaml', 'a: [');
  file('notes.txt', 'no manifest');
  await statics.scan();
  expect(told.splice(0)).toEqual(['+web-n1']);
  expect(log.lines.join()).toContain('bad.yaml');
  await statics.scan();
  expect(told.splice(0)).toEqual([]);
  file('a.json', JSON.stringify({ ...manifest, metadata: { name: 'web', labels: { v: '2' } } }));
  await statics.scan();
  expect(told.splice(0)).toEqual(['-web-n1', '+web-n1']);
  rmSync(dir, { recursive: true });
});

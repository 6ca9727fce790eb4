import { describe, expect, test } from 'vitest';
import type { Secret } from '#kube/generated/core-v1.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { GrpcError } from '#platform/grpc.ts';
import type { Cri } from '../cri/client.ts';
import { container, testPod } from '../pods/fixtures.ts';
import { credentialsFor } from './credentials.ts';
import { createImagePuller, durationText, type ImageError } from './puller.ts';
import { normalizeImage, parseImage } from './reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('names', () => {
  test.each([
    ['busybox', 'docker.io/library/busybox:latest'],
    ['user/app:1', 'docker.io/user/app:1'],
    ['localhost/app', 'localhost/app:latest'],
    ['registry:5000/app:v1', 'registry:5000/app:v1'],
    ['ghcr.io/a/b/c', 'ghcr.io/a/b/c:latest'],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`],
  ])('%s is %s', (short, full) => {
    expect(normalizeImage(short)).toBe(full);
  });

  test.each(['', 'Not Valid', 'UPPER', 'a//b', 'a:', 'a@sha256:xyz'])('%j is no name', (name) => {
    expect(parseImage(name)).toBeUndefined();
  });
});

describe('credentials', () => {
  const secret = (auths: object): Secret => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {},
    data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') },
  });
  const entry = (user: string) => ({ auth: Buffer.from(`${user}:p:w`).toString('base64') });

  test.each([
    ['the host', { 'registry.example:5000': entry('a') }, 'registry.example:5000/x', 'a'],
    ['a path of the host', { 'r.example': entry('host'), 'r.example/team': entry('team') }, 'r.example/team/app', 'team'],
    ['a pattern', { '*.example.com': entry('star') }, 'eu.example.com/app', 'star'],
    ['Docker Hub by its old address', { 'https://index.docker.io/v1/': entry('hub') }, 'busybox', 'hub'],
  ])('are found by %s', (_, auths, image, user) => {
    expect(credentialsFor(image, [secret(auths)])[0]).toMatchObject({ username: user, password: 'p:w' });
  });

  test('of other hosts are not used, and broken secrets are passed over', () => {
    expect(credentialsFor('r.example/app', [secret({ 'other.example': entry('x'), 'r.example.evil': entry('y') })])).toEqual([]);
    const broken: Secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {},
      data: { '.dockerconfigjson': 'e30=', '.dockercfg': 'bm90IGpzb24=' },
    };
    expect(credentialsFor('r.example/app', [broken])).toEqual([]);
  });
});

test.each([
  [56.4, '56ms'],
  [1234, '1.234s'],
  [123_400, '2m3.4s'],
  [3_723_000, '1h2m3s'],
])('%d ms is printed as Go does: %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

function setUp(fields: Parameters<typeof container>[1], present: boolean) {
  const clock = fakeClock();
  const state = { present, pulls: 0, fail: '' };
  const image = { id: digest, size: 42, uid: null, username: '', repoTags: [], repoDigests: [], spec: null, pinned: false };
  const cri = {
    imageStatus: () => Promise.resolve({ image: state.present ? image : null, info: {} }),
    pullImage: () => {
      state.pulls++;
      if (state.fail !== '') return Promise.reject(new GrpcError('PullImage', 2, state.fail));
      state.present = true;
      return Promise.resolve({ imageRef: digest });
    },
  } as unknown as Cri;
  const puller = createImagePuller({ cri: () => cri, clock });
  const events: string[] = [];
  const c = container('c', fields);
  const ensure = () =>
    puller.ensure(
      testPod(),
      c,
      () => Promise.resolve([]),
      (_, reason, message) => events.push(`${reason}: ${message}`),
      new AbortController().signal,
    );
  return { clock, state, events, ensure, failure: () => ensure().then(String, (e: ImageError) => `${e.reason}: ${e.message}`) };
}

describe('pulling', () => {
  test('an image that is there is not pulled', async () => {
    const t = setUp({ image: 'busybox:1' }, true);
    expect((await t.ensure()).ref).toBe(digest);
    expect(t.state.pulls).toBe(0);
    expect(t.events).toEqual(['Pulled: Container image "busybox:1" already present on machine and can be accessed by the pod']);
  });

  test.each([
    ['a missing one', { image: 'busybox:1' }, false],
    ['always, where the policy says so', { image: 'busybox:1', imagePullPolicy: 'Always' }, true],
    ['always, where the tag is latest', { image: 'busybox' }, true],
  ])('%s is pulled', async (_, fields, present) => {
    const t = setUp(fields, present);
    await t.ensure();
    expect(t.state.pulls).toBe(1);
    expect(t.events[1]).toMatch(/^Pulled: Successfully pulled image ".*" in 0ms \(0ms including waiting\)\. Image size: 42 bytes\.$/);
  });

  test('a failure is told in containerd’s words, then backs off, then is tried again', async () => {
    const t = setUp({ image: 'busybox:1' }, false);
    t.state.fail = 'dial tcp: refused';
    expect(await t.failure()).toBe('ErrImagePull: rpc error: code = Unknown desc = dial tcp: refused');
    expect(await t.failure()).toBe(
      'ImagePullBackOff: Back-off pulling image "busybox:1": ErrImagePull: rpc error: code = Unknown desc = dial tcp: refused',
    );
    expect(t.state.pulls).toBe(1);
    await t.clock.advance(10_000);
    t.state.fail = '';
    expect((await t.ensure()).ref).toBe(digest);
  });

  test('policy Never does not pull, and a bad name is told as such', async () => {
    expect(await setUp({ image: 'busybox:1', imagePullPolicy: 'Never' }, false).failure()).toBe(
      'ErrImageNeverPull: Container image "busybox:1" is not present with pull policy of Never',
    );
    expect(await setUp({ image: 'Not Valid' }, false).failure()).toMatch(/^InvalidImageName: /);
  });
});

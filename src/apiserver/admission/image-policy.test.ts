import { generateKeyPairSync } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { pods } from '#kube/refs.ts';
import { issueCertificate, noAltNames } from '#lib/x509.ts';
import { realClock } from '#platform/clock.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { parseAdmissionConfiguration } from './configuration.ts';
import { createImagePolicyWebhook } from './image-policy.ts';
import { type AskOptions, ask } from './testing.ts';
import { createWebhookCaller } from './webhook-client.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let certificate = '';
let answer: Answer = () => undefined;
const asked: {
  readonly kind: string;
  readonly spec: object;
  readonly authorization: string | undefined;
  readonly url: string | undefined;
}[] = [];

beforeAll(async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  certificate = issueCertificate(
    {
      subject: { commonName: 'images', organizations: [] },
      publicKey,
      ca: true,
      notBefore: new Date(Date.now() - 3600_000),
      notAfter: new Date(Date.now() + 3600_000),
      altNames: { ...noAltNames, ip: ['127.0.0.1'] },
    },
    { key: privateKey },
  );
  server = createServer({ cert: certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }, (request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      const { apiVersion, kind, spec } = JSON.parse(text) as { apiVersion: string; kind: string; spec: object };
      asked.push({ kind: `${apiVersion} ${kind}`, spec, authorization: request.headers.authorization, url: request.url });
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  asked.length = 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const says =
  (status: object): Answer =>
  (_request, response) =>
    response.end(JSON.stringify({ apiVersion: 'imagepolicy.k8s.io/v1alpha1', kind: 'ImageReview', status }));
const fails =
  (code: number): Answer =>
  (_request, response) =>
    response.writeHead(code).end('no');

function policyFor(settings: object = {}, port = (server.address() as AddressInfo).port) {
  const kubeconfig = JSON.stringify({
    clusters: [
      {
        name: 'c',
        cluster: { server: `https://127.0.0.1:${port}/check`, 'certificate-authority-data': Buffer.from(certificate).toString('base64') },
      },
    ],
    users: [{ name: 'u', user: { token: 'secret' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
  const file = JSON.stringify({
    kind: 'AdmissionConfiguration',
    plugins: [{ name: 'ImagePolicyWebhook', path: 'images.yaml' }],
  });
  const images = JSON.stringify({ imagePolicy: { kubeConfigFile: '/etc/images.kubeconfig', ...settings } });
  const policy = parseAdmissionConfiguration(file, (path) => (path === 'images.yaml' ? images : kubeconfig)).imagePolicy;
  if (policy === undefined) throw new Error('no policy');
  return policy;
}

function plugin(settings: object = {}, port?: number) {
  const clock = fakeClock();
  const policy = policyFor(settings, port);
  const made = createImagePolicyWebhook(policy, {
    call: createWebhookCaller(undefined, realClock, () => policy.server),
    clock,
    log: memoryLogger(),
  });
  const annotations = new Map<string, string>();
  const outcome = async (object: object = pod, more: AskOptions = {}) =>
    await ask([made], pods, { object, annotations, ...more }).then(
      () => 'let in',
      (error: unknown) => `${(error as { code: number }).code} ${(error as Error).message}`,
    );
  return { clock, made, annotations, outcome };
}

const pod = {
  metadata: { name: 'p', namespace: 'default', annotations: { 'mine.image-policy.k8s.io/ticket': '1', other: 'x' } },
  spec: {
    containers: [{ name: 'a', image: 'one' }],
    initContainers: [{ name: 'b', image: 'two' }],
    ephemeralContainers: [{ name: 'c', image: 'three' }],
  },
};

describe('the webhook', () => {
  test('is asked for the images, the namespace and the annotations that are for it', async () => {
    answer = says({ allowed: true });
    expect(await plugin().outcome()).toBe('let in');
    expect(asked).toEqual([
      {
        kind: 'imagepolicy.k8s.io/v1alpha1 ImageReview',
        spec: {
          containers: [{ image: 'one' }, { image: 'two' }],
          annotations: { 'mine.image-policy.k8s.io/ticket': '1' },
          namespace: 'default',
        },
        authorization: 'Bearer secret',
        url: '/check?timeout=30s',
      },
    ]);
  });

  test('is asked for the ephemeral containers when those are added, and for no other subresource', async () => {
    answer = says({ allowed: true });
    const { outcome } = plugin();
    await outcome(pod, { operation: 'UPDATE', subresource: 'ephemeralcontainers' });
    await outcome(pod, { operation: 'UPDATE', subresource: 'status' });
    expect(asked.map((a) => a.spec)).toMatchObject([{ containers: [{ image: 'three' }] }]);
  });

  test.each([
    [{ allowed: false }, '403 pods "p" is forbidden: one or more images rejected by webhook backend'],
    [{ allowed: false, reason: 'too old' }, '403 pods "p" is forbidden: image policy webhook backend denied one or more images: too old'],
  ])('refuses with %j', async (status, message) => {
    answer = says(status);
    expect(await plugin().outcome()).toBe(message);
  });

  test('annotates the audit event, from what is remembered too', async () => {
    answer = says({ allowed: true, auditAnnotations: { 'audit-required': 'yes' } });
    const { annotations, outcome } = plugin();
    await outcome();
    annotations.clear();
    await outcome();
    expect([...annotations]).toEqual([['imagepolicywebhook.image-policy.k8s.io/audit-required', 'yes']]);
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['what it allows', { allowTTL: 60 }, true, 60],
    ['what it refuses', { denyTTL: 10 }, false, 10],
    ['what it allows, five minutes where nothing is said', {}, true, 300],
  ])('is not asked again for a while: %s', async (_what, settings, allowed, seconds) => {
    answer = says({ allowed });
    const { clock, outcome } = plugin(settings);
    await outcome();
    await clock.advance(seconds * 1000 - 1);
    await outcome();
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    await outcome();
    expect(asked).toHaveLength(2);
  });

  test('is asked every time where nothing is to be remembered', async () => {
    answer = says({ allowed: true });
    const { outcome } = plugin({ allowTTL: -1 });
    await outcome();
    await outcome();
    expect(asked).toHaveLength(2);
  });
});

describe('a webhook that does not answer', () => {
  test('is asked five times, and then the pod is refused', async () => {
    answer = fails(500);
    const { clock, outcome } = plugin();
    let done = '';
    const finished = outcome().then((text) => {
      done = text;
    });
    // The calls go over real connections: time moves only while the plugin waits.
    while (done === '') {
      if (clock.waiting() > 0) await clock.advance(500);
      else await new Promise((resolve) => setImmediate(resolve));
    }
    await finished;
    expect(done).toBe('403 pods "p" is forbidden: an error on the server ("unknown") has prevented the request from succeeding');
    expect(asked).toHaveLength(5);
  });

  test('is asked once where asking again would not help', async () => {
    answer = fails(404);
    expect(await plugin().outcome()).toBe('403 pods "p" is forbidden: the server could not find the requested resource');
    expect(asked).toHaveLength(1);
  });

  test('lets the pod in where that is the default, with a note on the pod and in the audit', async () => {
    const { annotations, made, outcome } = plugin({ defaultAllow: true }, 1);
    expect(await outcome()).toBe('let in');
    expect([...annotations]).toEqual([['imagepolicywebhook.image-policy.k8s.io/failed-open', 'true']]);
    expect((await ask([made], pods, { object: pod })).metadata.annotations).toEqual({
      ...pod.metadata.annotations,
      'alpha.image-policy.k8s.io/failed-open': 'true',
    });
  });

  test('is told of in Go’s words', async () => {
    expect(await plugin({}, 1).outcome()).toBe(
      '403 pods "p" is forbidden: Post "https://127.0.0.1:1/check?timeout=30s": dial tcp 127.0.0.1:1: connect: connection refused',
    );
  });
});

test.each([
  [{ allowTTL: 1801 }, 'imagePolicy.allowTTL: valid value is between 1s and 30m0s, got 1801'],
  [{ denyTTL: -2 }, 'imagePolicy.denyTTL: valid value is between 1s and 30m0s, got -2'],
  [{ retryBackoff: 300_001 }, 'imagePolicy.retryBackoff: valid value is between 1ns and 5m0s, got 300001'],
  [{ kubeConfigFile: '' }, 'imagePolicy.kubeConfigFile: Required value'],
])('the configuration %j is refused', (settings, message) => {
  expect(() => policyFor(settings)).toThrow(message);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { HttpsFetch } from '../authn/https-json.ts';
import { parseAuthorizationConfig } from './authorization-config.ts';
import { question } from './testing.ts';
import { webhookAuthorizer } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'authz-'));
afterAll(() => rmSync(dir, { recursive: true }));
const kubeConfigFile = join(dir, 'webhook.yaml');
writeFileSync(
  kubeConfigFile,
  'current-context: c\ncontexts: [{name: c, context: {cluster: w}}]\nclusters: [{name: w, cluster: {server: "https://127.0.0.1:9/"}}]\n',
);

const file = (...authorizers: object[]): string =>
  JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthorizationConfiguration', authorizers });
const webhook = {
  timeout: '3s',
  subjectAccessReviewVersion: 'v1',
  matchConditionSubjectAccessReviewVersion: 'v1',
  failurePolicy: 'Deny',
  connectionInfo: { type: 'KubeConfigFile', kubeConfigFile },
};
const hook = (more: object) => ({ type: 'Webhook', name: 'w', webhook: { ...webhook, ...more } });

test('the authorizers come in the order of the file, webhooks with their settings', async () => {
  const specs = await parseAuthorizationConfig(
    file(
      hook({ authorizedTTL: '1m', matchConditions: [{ expression: 'request.user != "x"' }] }),
      { type: 'Node', name: 'node' },
      { type: 'RBAC', name: 'rbac' },
    ),
  );
  expect(specs).toMatchObject([
    {
      type: 'Webhook',
      webhook: { server: { url: 'https://127.0.0.1:9/' }, timeoutMs: 3000, allowedMs: 60_000, refusedMs: 30_000, onError: 'deny' },
    },
    { type: 'Node' },
    { type: 'RBAC' },
  ]);
});

/** From k8s.io/apiserver pkg/apis/apiserver/validation/validation_test.go. */
test.each<[object[], string]>([
  [[], 'authorizers: Required value: at least one authorization mode must be defined'],
  [[{ name: 'a' }], 'authorizers[0].type: Required value'],
  [[{ type: 'Foo', name: 'a' }], 'authorizers[0].type: Unsupported value: "Foo"'],
  [[{ type: 'RBAC' }], 'authorizers[0].name: Required value'],
  [[{ type: 'RBAC', name: 'A_B' }], 'authorizers[0].name: Invalid value: "A_B": authorizer name is invalid'],
  [
    [
      { type: 'RBAC', name: 'a' },
      { type: 'RBAC', name: 'b' },
    ],
    'authorizers[1].type: Duplicate value: "RBAC"',
  ],
  [
    [
      { type: 'RBAC', name: 'a' },
      { type: 'Node', name: 'a' },
    ],
    'authorizers[1].name: Duplicate value: "a"',
  ],
  [[{ type: 'RBAC', name: 'a', webhook }], 'authorizers[0].webhook: Invalid value: "non-null": may only be specified when type=Webhook'],
  [[{ type: 'Webhook', name: 'a' }], 'authorizers[0].webhook: Required value: required when type=Webhook'],
  [[hook({ timeout: '31s' })], 'authorizers[0].webhook.timeout: Invalid value: "31s": must be > 0s and <= 30s'],
  [[hook({ timeout: undefined })], 'authorizers[0].webhook.timeout: Required value'],
  [
    [hook({ failurePolicy: 'Allow' })],
    'authorizers[0].webhook.failurePolicy: Unsupported value: "Allow": supported values: "NoOpinion", "Deny"',
  ],
  [[hook({ connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: 'x' } })], 'must be an absolute path'],
  [[hook({ connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/nowhere' } })], 'error loading file'],
  [
    [hook({ matchConditionSubjectAccessReviewVersion: undefined, matchConditions: [{ expression: 'true' }] })],
    'matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified',
  ],
  [
    [hook({ matchConditions: [{ expression: 'request.user' }] })],
    'authorizers[0].webhook.matchConditions[0].expression: Invalid value: "request.user": must evaluate to bool',
  ],
  [[hook({ matchConditions: [{ expression: 'request.name == "x"' }] })], "undefined field 'name'"],
  [[hook({ matchConditions: [{ expression: 'true' }, { expression: 'true' }] })], 'matchConditions[1].expression: Duplicate value: "true"'],
])('%j is refused', async (authorizers, message) => {
  await expect(parseAuthorizationConfig(file(...authorizers))).rejects.toThrow(message);
});

test('a webhook is asked where its match conditions hold, and what goes wrong in them is as the failure policy says', async () => {
  const expressions = [
    'has(request.resourceAttributes)',
    "request.resourceAttributes.namespace != 'kube-system'",
    "!('admins' in request.groups)",
  ];
  const matchConditions = [...expressions, "request.extra['scope'][0] == 'x' || request.user != 'carol'"].map((expression) => ({
    expression,
  }));
  const [spec] = await parseAuthorizationConfig(file(hook({ matchConditions })));
  if (spec?.type !== 'Webhook') throw new Error('no webhook');
  let asked = 0;
  const fetch: HttpsFetch = async () => {
    asked++;
    return await Promise.resolve(new Response('{"status":{"allowed":true}}'));
  };
  const authorize = webhookAuthorizer(spec.webhook, { clock: fakeClock(), log: memoryLogger(), fetch });
  const signal = new AbortController().signal;
  expect(await authorize(question({}), signal)).toMatchObject({ decision: 'allow' });
  expect(await authorize(question({ namespace: 'kube-system' }), signal)).toMatchObject({ decision: 'noOpinion' });
  expect(await authorize(question({ resourceRequest: false, path: '/metrics' }), signal)).toMatchObject({ decision: 'noOpinion' });
  expect(await authorize(question({ user: { name: 'bob', groups: ['admins'] } }), signal)).toMatchObject({ decision: 'noOpinion' });
  expect(await authorize(question({ user: { name: 'carol', groups: [] } }), signal)).toMatchObject({ decision: 'deny' });
  expect(asked).toBe(1);
});

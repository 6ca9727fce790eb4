/** Who may do what, from outside: real kubectl against the built executable, with services of an identity provider beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueCertificate } from '../../src/lib/x509.ts';
import { end, eventually, type Output } from '../harness/machine.ts';
import { createScenario, executable, type Scenario, type ServerNode } from '../harness/node.ts';

const outsideUrl = 'https://127.0.0.1:9443';
let scenario: Scenario;
let node: ServerNode;
let folder = '';
let services: ChildProcess | undefined;
const file = (name: string): string => join(folder, name);
const read = (name: string): string => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '');
const tls = (name: string): string => join(node.dataDir, 'server/tls', name);

const webhook = (path: string): string =>
  JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'w', user: 'u' } }],
    clusters: [{ name: 'w', cluster: { server: `${outsideUrl}${path}`, 'certificate-authority': file('outside.pem') } }],
    users: [{ name: 'u', user: {} }],
  });

const authentication = (more: object = {}): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    anonymous: { enabled: true, conditions: [{ path: '/livez' }, { path: '/readyz' }] },
    jwt: [
      {
        issuer: { url: outsideUrl, audiences: ['k3ts'], certificateAuthority: read('outside.pem') },
        claimMappings: {
          username: { expression: "'oidc:' + claims.sub" },
          groups: { expression: "claims.roles.map(r, 'role:' + r)" },
          extra: [{ key: 'example.com/team', valueExpression: 'claims.team' }],
        },
        userValidationRules: [{ expression: "!user.username.startsWith('oidc:root')", message: 'not root' }],
        ...more,
      },
    ],
  });

const authorization = (): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthorizationConfiguration',
    authorizers: [
      { type: 'Node', name: 'node' },
      { type: 'RBAC', name: 'rbac' },
      {
        type: 'Webhook',
        name: 'outside',
        webhook: {
          timeout: '3s',
          subjectAccessReviewVersion: 'v1',
          matchConditionSubjectAccessReviewVersion: 'v1',
          failurePolicy: 'NoOpinion',
          connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: file('authz.yaml') },
          matchConditions: [{ expression: "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'default'" }],
        },
      },
    ],
  });

const policy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, resources: [{group: "", resources: [secrets]}]}
- {level: RequestResponse, omitManagedFields: true, verbs: [create], namespaces: [audited], resources: [{group: "", resources: [configmaps]}]}
- {level: Metadata, users: [system:admin]}
- {level: None}
`;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent', '--secrets-encryption']);
  folder = join(node.folder, 'outside');
  mkdirSync(folder);
  const [enter = '', ...words] = node.host.enter;
  services = spawn(enter, [...words, process.execPath, join(import.meta.dirname, 'outside.ts'), '9443', folder], { stdio: 'inherit' });
  const started = services;
  scenario.cleanup.add('services outside', () => end(started, 'SIGTERM'));
  await eventually('the services outside listen', async () => await Promise.resolve(existsSync(file('outside.pem')) ? true : undefined));
  for (const path of ['authn', 'authz', 'audit']) writeFileSync(file(`${path}.yaml`), webhook(`/${path}`));
  writeFileSync(file('authentication.yaml'), authentication());
  writeFileSync(file('authorization.yaml'), authorization());
  writeFileSync(file('policy.yaml'), policy);
  const args = {
    'authentication-config': file('authentication.yaml'),
    'authorization-config': file('authorization.yaml'),
    'authentication-token-webhook-config-file': file('authn.yaml'),
    'audit-policy-file': file('policy.yaml'),
    'audit-log-path': file('audit.log'),
    'audit-webhook-config-file': file('audit.yaml'),
    'audit-webhook-batch-max-wait': '1s',
  };
  await node.start(Object.entries(args).map(([name, value]) => `--kube-apiserver-arg=${name}=${value}`));
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

/** kubectl without the administrator's certificate. */
const as = (flags: readonly string[], ...words: readonly string[]): Promise<Output> =>
  node.kubectl([
    '--kubeconfig=/dev/null',
    '--server=https://127.0.0.1:6443',
    `--certificate-authority=${tls('server-ca.crt')}`,
    ...flags,
    ...words,
  ]);
const withToken = (token: string, ...words: readonly string[]): Promise<Output> => as([`--token=${token}`], ...words);
const curl = (path: string, ...words: readonly string[]): Promise<Output> =>
  node.inside('curl', ['-s', '--cacert', tls('server-ca.crt'), ...words, `https://127.0.0.1:6443${path}`]);

const oidcToken = (claims: Record<string, unknown>, audience = 'k3ts'): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid: 'k' })
    .setIssuer(outsideUrl)
    .setAudience(audience)
    .setExpirationTime('1h')
    .sign(createPrivateKey(read('issuer.key')));
const alice = { sub: 'alice', roles: ['dev', 'ops'], team: 'blue' };

interface Who {
  readonly status: {
    readonly userInfo: {
      readonly username: string;
      readonly groups: readonly string[];
      readonly extra?: Record<string, readonly string[]>;
    };
  };
}
const whoami = (output: Output): Who['status']['userInfo'] => {
  if (output.code !== 0) throw new Error(output.stderr);
  return (JSON.parse(output.stdout) as Who).status.userInfo;
};

describe('authentication', () => {
  test('a token of the identity provider names user, groups and more by CEL', async () => {
    const user = whoami(await withToken(await oidcToken(alice), 'auth', 'whoami', '-o', 'json'));
    expect(user).toMatchObject({ username: 'oidc:alice', groups: ['role:dev', 'role:ops', 'system:authenticated'] });
    expect(user.extra?.['example.com/team']).toEqual(['blue']);
  });
  test.each([
    ['for another audience', alice, 'vault'],
    ['whose user a rule refuses', { ...alice, sub: 'root' }, 'k3ts'],
    ['without a claim that is mapped', { sub: 'alice', roles: [] }, 'k3ts'],
  ])('a token %s is refused', async (_name, claims, audience) => {
    const answer = await withToken(await oidcToken(claims, audience), 'get', 'pods');
    expect(answer).toMatchObject({ code: 1, stderr: expect.stringContaining('You must be logged in to the server') });
  });
  test('a token that the webhook knows is good, and any other is not', async () => {
    expect(whoami(await withToken('of-bob', 'auth', 'whoami', '-o', 'json'))).toMatchObject({
      username: 'bob',
      groups: ['outsiders', 'system:authenticated'],
    });
    expect((await withToken('of-nobody', 'get', 'pods')).stderr).toContain('You must be logged in');
  });
  test('a client certificate below an intermediate authority, sent along, is good', async () => {
    const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const dates = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
    const root = { key: createPrivateKey(readFileSync(tls('client-ca.key'))), certPem: readFileSync(tls('client-ca.crt'), 'utf8') };
    const middle = newKey();
    const middlePem = issueCertificate(
      { ...dates, subject: { commonName: 'department', organizations: [] }, publicKey: createPublicKey(middle), ca: true },
      root,
    );
    const own = newKey();
    const subject = { commonName: 'carol', organizations: ['dev'] };
    const leaf = issueCertificate(
      { ...dates, subject, publicKey: createPublicKey(own), extendedUsages: ['client auth'] },
      { key: middle, certPem: middlePem },
    );
    writeFileSync(file('carol.crt'), leaf + middlePem);
    writeFileSync(file('lonely.crt'), leaf);
    writeFileSync(file('carol.key'), own.export({ type: 'pkcs8', format: 'pem' }));
    const key = `--client-key=${file('carol.key')}`;
    const user = whoami(await as([`--client-certificate=${file('carol.crt')}`, key], 'auth', 'whoami', '-o', 'json'));
    expect(user).toMatchObject({ username: 'carol', groups: ['dev', 'system:authenticated'] });
    expect((await as([`--client-certificate=${file('lonely.crt')}`, key], 'get', 'pods')).code).not.toBe(0);
  });
  test('the front proxy speaks for others, with each group as it sent it', async () => {
    const answer = await curl(
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      ...['--cert', tls('client-auth-proxy.crt'), '--key', tls('client-auth-proxy.key')],
      ...['-H', 'X-Remote-User: dave', '-H', 'X-Remote-Group: a, b', '-H', 'X-Remote-Group: c'],
      ...['-H', 'Content-Type: application/json', '-d', '{}'],
    );
    expect(JSON.parse(answer.stdout)).toMatchObject({
      status: { userInfo: { username: 'dave', groups: ['a, b', 'c', 'system:authenticated'] } },
    });
  });
  test('anonymous requests get the paths that the configuration names, and no other', async () => {
    expect((await curl('/livez')).stdout).toBe('ok');
    expect(JSON.parse((await curl('/api')).stdout)).toMatchObject({ code: 401, reason: 'Unauthorized' });
  });
  test('a rule added to the file counts without a restart', async () => {
    const token = await oidcToken(alice);
    const becomes = (code: number): Promise<Output> =>
      eventually(`kubectl ends with ${code}`, async () => {
        const answer = await withToken(token, 'auth', 'whoami');
        return answer.code === code ? answer : undefined;
      });
    const rule = { expression: "claims.team == 'red'", message: 'red only' };
    writeFileSync(file('authentication.yaml'), authentication({ claimValidationRules: [rule] }));
    expect((await becomes(1)).stderr).toContain('You must be logged in');
    writeFileSync(file('authentication.yaml'), authentication());
    expect((await becomes(0)).stdout).toContain('oidc:alice');
  });
});

describe('authorization', () => {
  test('the webhook is asked where its match condition holds and nobody else allows', async () => {
    expect((await withToken('of-bob', 'get', 'configmaps', '-n', 'default')).code).toBe(0);
    expect((await withToken('of-bob', 'get', 'pods', '-n', 'default')).stderr).toContain(
      'pods is forbidden: User "bob" cannot list resource "pods"',
    );
    const before = read('asked');
    expect((await withToken('of-bob', 'get', 'configmaps', '-n', 'kube-system')).code).toBe(1);
    expect(read('asked')).toBe(before);
  });
  test('auth can-i --list shows what a role gives', async () => {
    await node.ok(['create', 'role', 'reader', '--verb=get,list', '--resource=pods', '-n', 'default']);
    await node.ok(['create', 'rolebinding', 'reader', '--role=reader', '--user=oidc:alice', '-n', 'default']);
    const list = await withToken(await oidcToken(alice), 'auth', 'can-i', '--list', '-n', 'default');
    expect(list.stdout).toMatch(/^pods +\[\] +\[\] +\[get list\]$/m);
    expect((await withToken(await oidcToken(alice), 'auth', 'can-i', 'delete', 'pods')).stdout.trim()).toBe('no');
  });
  test('impersonation: at large for who may, and for one request only where that is what is allowed', async () => {
    const eve = whoami(await node.kubectl(['--as=eve', '--as-group=a, b', '--as-group=c', '--as-uid=7', 'auth', 'whoami', '-o', 'json']));
    expect(eve).toMatchObject({ username: 'eve', uid: '7', groups: ['a, b', 'c', 'system:authenticated'] });
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'acts-as-admin-to-list' },
      rules: [
        { apiGroups: ['authentication.k8s.io'], resources: ['users'], resourceNames: ['oidc:alice'], verbs: ['impersonate:user-info'] },
        { apiGroups: [''], resources: ['pods'], verbs: ['impersonate-on:user-info:list'] },
      ],
    };
    await node.ok(['apply', '-f', '-'], JSON.stringify(role));
    await node.ok(['create', 'clusterrolebinding', 'acts', '--clusterrole=acts-as-admin-to-list', '--user=bob']);
    expect((await withToken('of-bob', '--as=oidc:alice', 'get', 'pods', '-n', 'default')).code).toBe(0);
    const refused = await withToken('of-bob', '--as=oidc:alice', 'delete', 'pods', '--all', '-n', 'kube-system');
    expect(refused.code).toBe(1);
    expect((await withToken('of-bob', '--as=eve', 'get', 'pods')).stderr).toContain('cannot impersonate:user-info resource "users"');
  });
});

test('service-account tokens are good while what they are bound to is there', async () => {
  await node.ok(['create', 'serviceaccount', 'robot']);
  await node.ok(['create', 'secret', 'generic', 'anchor']);
  const token = (await node.ok(['create', 'token', 'robot', '--bound-object-kind=Secret', '--bound-object-name=anchor'])).trim();
  expect(whoami(await withToken(token, 'auth', 'whoami', '-o', 'json'))).toMatchObject({ username: 'system:serviceaccount:default:robot' });
  await node.ok(['delete', 'secret', 'anchor']);
  expect((await withToken(token, 'auth', 'whoami')).stderr).toContain('You must be logged in');
});

test('the audit log holds what the policy wants of each request, and the webhook gets it too', async () => {
  await node.ok(['create', 'namespace', 'audited']);
  await node.ok(['create', 'configmap', 'seen', '--from-literal=a=b', '-n', 'audited']);
  await node.ok(['create', 'secret', 'generic', 'hidden', '--from-literal=password=topsecret', '-n', 'audited']);
  const events = await eventually('the events are written', async () => {
    const list = read('audit.log')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    return await Promise.resolve(list.some((e) => JSON.stringify(e).includes('"hidden"')) ? list : undefined);
  });
  const created = events.find((e) => e['verb'] === 'create' && JSON.stringify(e['objectRef']).includes('"seen"'));
  expect(created).toMatchObject({
    level: 'RequestResponse',
    stage: 'ResponseComplete',
    user: { username: 'system:admin' },
    objectRef: { namespace: 'audited', resource: 'configmaps' },
    requestObject: { metadata: { name: 'seen' }, data: { a: 'b' } },
    responseObject: { kind: 'ConfigMap', data: { a: 'b' } },
    responseStatus: { code: 201 },
  });
  expect(JSON.stringify(created)).not.toContain('managedFields');
  expect(read('audit.log')).not.toContain(Buffer.from('topsecret').toString('base64'));
  expect(read('audit.log')).not.toContain('"stage":"RequestReceived"');
  await eventually('the webhook got them', async () => await Promise.resolve(read('audited').includes('"hidden"') ? true : undefined));
  expect(read('audited')).toContain('"kind":"EventList"');
});

test('under overload by one service account its requests get 429, and administrators and health checks get through', async () => {
  const level = {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: { name: 'narrow' },
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: { type: 'Reject' } },
    },
  };
  const schema = {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name: 'narrow' },
    spec: {
      matchingPrecedence: 500,
      priorityLevelConfiguration: { name: 'narrow' },
      rules: [
        {
          subjects: [{ kind: 'ServiceAccount', serviceAccount: { namespace: 'default', name: 'greedy' } }],
          resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }],
        },
      ],
    },
  };
  await node.ok(['apply', '-f', '-'], [level, schema].map((o) => JSON.stringify(o)).join('\n---\n'));
  await node.ok(['create', 'serviceaccount', 'greedy']);
  const token = (await node.ok(['create', 'token', 'greedy'])).trim();
  const flood = node.inside(process.execPath, [
    join(import.meta.dirname, 'flood.ts'),
    'https://127.0.0.1:6443/api/v1/namespaces/default/configmaps',
    tls('server-ca.crt'),
    token,
    '300',
  ]);
  const [pods, live] = await Promise.all([node.kubectl(['get', 'pods']), curl('/livez')]);
  expect([pods.code, live.stdout]).toEqual([0, 'ok']);
  const counts = JSON.parse((await flood).stdout) as Record<string, number>;
  expect(Object.keys(counts).every((k) => k === '429 retry-after=1' || k.startsWith('403'))).toBe(true);
  expect(counts['429 retry-after=1'] ?? 0).toBeGreaterThan(0);
  const metrics = await node.ok(['get', '--raw', '/metrics']);
  expect(metrics).toMatch(
    /apiserver_flowcontrol_rejected_requests_total\{(?=[^}]*priority_level="narrow")[^}]*reason="concurrency-limit"[^}]*\} \d+/,
  );
  expect(await node.ok(['get', '--raw', '/debug/api_priority_and_fairness/dump_priority_levels'])).toMatch(/^narrow, /m);
});

describe('secrets on disk', () => {
  const database = (): string =>
    readdirSync(join(node.dataDir, 'server/db'))
      .map((name) => readFileSync(join(node.dataDir, 'server/db', name), 'latin1'))
      .join('');
  const plain = Buffer.from('very-plain-password').toString('base64');
  const encrypt = (...words: readonly string[]): Promise<Output> =>
    node.inside(executable, ['secrets-encrypt', ...words, '--data-dir', node.dataDir]);
  const readable = async (): Promise<string> => await node.ok(['get', 'secret', 'kept', '-o', 'jsonpath={.data.p}']);

  test('are encrypted from the start with --secrets-encryption', async () => {
    await node.ok(['create', 'secret', 'generic', 'kept', '--from-literal=p=very-plain-password']);
    expect(database()).not.toContain(plain);
    expect(database()).toContain('k8s:enc:aescbc:v1:');
    expect((await encrypt('status')).stdout).toMatch(/^Encryption Status: Enabled\nCurrent Rotation Stage: start\n/);
  });
  test('are readable after the keys were rotated, also when the server is killed then', async () => {
    const before = JSON.parse((await encrypt('status', '-o', 'json')).stdout) as { activeKey: string };
    const rotated = await encrypt('rotate-keys');
    expect(rotated).toMatchObject({ code: 0, stdout: expect.stringContaining('Current Rotation Stage: reencrypt_finished') });
    expect(rotated.stdout).not.toContain(before.activeKey);
    expect(database()).not.toContain(before.activeKey);
    await node.stop('SIGKILL');
    await node.start();
    expect(await readable()).toBe(plain);
  });
  test('are all readable when the server is killed while it rotates, and the rotation comes to its end', async () => {
    const secret = (i: number): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `many-${i}` },
      stringData: { p: `p${i}` },
    });
    const list = { apiVersion: 'v1', kind: 'List', items: Array.from({ length: 300 }, (_, i) => secret(i)) };
    await node.ok(['create', '-f', '-'], JSON.stringify(list));
    let ended = false;
    const rotating = encrypt('rotate-keys').finally(() => {
      ended = true;
    });
    const stage = (): string => readFileSync(join(node.dataDir, 'server/cred/encryption-state.json'), 'utf8');
    // On a quick machine it may be over before it is seen.
    await eventually(
      'secrets are being rewritten',
      async () => await Promise.resolve(ended || /reencrypt_(request|active)/.test(stage()) ? true : undefined),
    );
    await node.stop('SIGKILL');
    await rotating;
    await node.start();
    const all = JSON.parse(await node.ok(['get', 'secrets', '-o', 'json'])) as {
      items: { metadata: { name: string }; data?: { p?: string } }[];
    };
    const values = all.items
      .filter((s) => s.metadata.name.startsWith('many-'))
      .map((s) => `${s.metadata.name}=${Buffer.from(s.data?.p ?? '', 'base64').toString()}`);
    expect(values.sort()).toEqual(Array.from({ length: 300 }, (_, i) => `many-${i}=p${i}`).sort());
    const status = await eventually('the rotation has ended', async () => {
      const now = JSON.parse((await encrypt('status', '-o', 'json')).stdout) as { stage: string; keys: readonly object[] };
      return now.stage === 'reencrypt_finished' ? now : undefined;
    });
    expect(status.keys).toHaveLength(1);
  });
  test('stand in the database in plain after encryption was disabled, and not a byte of them after it was enabled again', async () => {
    expect(await encrypt('disable')).toMatchObject({ code: 0 });
    expect(database()).toContain(plain);
    expect(await encrypt('enable')).toMatchObject({ code: 0 });
    expect(database()).not.toContain(plain);
    expect(await readable()).toBe(plain);
  });
});

describe('tokens and certificates of the server', () => {
  const k3ts = (...words: readonly string[]): Promise<Output> => node.inside(executable, [...words, '--data-dir', node.dataDir]);
  test('a bootstrap token is good from its creation to its deletion', async () => {
    const created = await k3ts('token', 'create', '--ttl', '1h', '--description', 'for the barn');
    expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^K10[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}\n$/) });
    const token = created.stdout.trim().split('::')[1] ?? '';
    expect(whoami(await withToken(token, 'auth', 'whoami', '-o', 'json'))).toMatchObject({
      username: `system:bootstrap:${token.split('.')[0]}`,
      groups: expect.arrayContaining(['system:bootstrappers', 'system:bootstrappers:k3ts:default-node-token']),
    });
    expect((await k3ts('token', 'list')).stdout).toMatch(
      new RegExp(`^${token.replace('.', '\\.')} +\\d+m +\\S+ +signing,authentication +for the barn +system:bootstrappers`, 'm'),
    );
    expect(await k3ts('token', 'delete', token)).toMatchObject({ code: 0 });
    expect((await withToken(token, 'auth', 'whoami')).code).toBe(1);
  });
  test('old service-account tokens stay good after the signing key was replaced, and both keys are published', async () => {
    await node.ok(['create', 'serviceaccount', 'lasting']);
    const old = (await node.ok(['create', 'token', 'lasting', '--duration=1h'])).trim();
    expect((await k3ts('certificate', 'rotate', '--service', 'service-account')).stderr).toContain('stop it first');
    await node.stop('SIGTERM');
    expect(await k3ts('certificate', 'rotate', '--service', 'service-account,api-server')).toMatchObject({ code: 0 });
    await node.start();
    const fresh = (await node.ok(['create', 'token', 'lasting'])).trim();
    const kid = (token: string): unknown =>
      (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid?: string }).kid;
    expect(kid(fresh)).not.toBe(kid(old));
    for (const token of [old, fresh])
      expect(whoami(await withToken(token, 'auth', 'whoami', '-o', 'json'))).toMatchObject({
        username: 'system:serviceaccount:default:lasting',
      });
    const { keys } = JSON.parse(await node.ok(['get', '--raw', '/openid/v1/jwks'])) as { keys: readonly { readonly kid: string }[] };
    expect(keys.map((k) => k.kid)).toEqual(expect.arrayContaining([kid(old), kid(fresh)]));
    expect((await k3ts('certificate', 'check')).stdout).toMatch(/serving-kube-apiserver\.crt +CN=kube-apiserver +\S+ +36\dd +OK/);
  });
});

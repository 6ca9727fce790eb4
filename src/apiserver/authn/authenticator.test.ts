import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test, vi } from 'vitest';
import { trackingConfigMap } from '#kube/legacy-token.ts';
import { configMaps, secrets } from '#kube/refs.ts';
import { type ExtendedUsageName, type Extension, firstCertificate, issueCertificate } from '#lib/x509.ts';
import { certificatesOf } from '#lib/x509-chain.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { builtinKinds } from '#resources/index.ts';
import type { AuthnRequest, AuthorizationAttributes, Authorize } from '../contract.ts';
import { type SigningKeys, serviceAccountTokens, signBoundToken, signLegacyToken, type TokenOptions } from '../serviceaccount-tokens.ts';
import { testObjects } from '../test-objects.ts';
import { createAuthenticator } from './authenticator.ts';
import { bootstrapTokens } from './bootstrap-tokens.ts';
import { clientCertificates } from './client-certificate.ts';
import { legacyTokens } from './legacy-tokens.ts';
import { requestHeaderAuthenticator } from './request-header.ts';
import { parseTokenFile, staticTokens } from './static-tokens.ts';

const start = Date.UTC(2026, 0, 1);
const hour = 3600_000;
/** As pki's keyIdOf, which this folder may not import. */
const keyIdOf = (key: KeyObject): string =>
  createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest('base64url');
const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

function authority() {
  const key = newKey();
  const subject = { commonName: 'ca', organizations: [] };
  const dates = { notBefore: new Date(start - hour), notAfter: new Date(start + 1e11) };
  return { key, certPem: issueCertificate({ subject, publicKey: createPublicKey(key), ...dates, ca: true }, { key }) };
}

const clientCa = authority();
const proxyCa = authority();

function certificate(
  commonName: string,
  organizations: string[],
  signer = clientCa,
  usage: ExtendedUsageName = 'client auth',
  lifeMs = hour,
) {
  const pem = issueCertificate(
    {
      subject: { commonName, organizations },
      publicKey: createPublicKey(newKey()),
      notBefore: new Date(start - hour),
      notAfter: new Date(start + lifeMs),
      extendedUsages: [usage],
    },
    signer,
  );
  return { raw: firstCertificate(pem), intermediates: [] as Uint8Array[], authorized: true };
}

/** An authority below another. */
function intermediate(
  signer: { readonly key: KeyObject; readonly certPem: string },
  more: { pathLength?: number; ca?: boolean; lifeMs?: number; extensions?: readonly Extension[] } = {},
) {
  const key = newKey();
  const subject = { commonName: `intermediate ${Math.random()}`, organizations: [] };
  const { lifeMs = 1e10, ca = true, ...rest } = more;
  const dates = { notBefore: new Date(start - hour), notAfter: new Date(start + lifeMs) };
  return { key, certPem: issueCertificate({ subject, publicKey: createPublicKey(key), ...dates, ca, ...rest }, signer) };
}

async function setUp() {
  const clock = fakeClock(start);
  const objects = await testObjects(builtinKinds);
  let signing = newKey();
  let verifying = [signing];
  const made = (): SigningKeys => ({ signing, verifying: verifying.map((k) => ({ kid: keyIdOf(k), key: createPublicKey(k) })) });
  let current = made();
  const keys = (): SigningKeys => current;
  const tokenOptions: TokenOptions = { issuers: ['https://issuer'], audiences: ['https://issuer', 'k3ts'], keys };
  const grants: string[] = [];
  const granted = (a: AuthorizationAttributes): boolean =>
    grants.includes(`${a.user.name} ${a.verb} ${a.group}/${a.resource}${a.subresource === '' ? '' : `/${a.subresource}`} ${a.name}`.trim());
  const authorize: Authorize = (a) => ({
    decision:
      (a.user.groups.includes('system:masters') && a.verb === 'impersonate' && a.name !== 'forbidden') || granted(a)
        ? 'allow'
        : 'noOpinion',
    reason: '',
  });
  const authenticate = createAuthenticator({
    requests: [
      requestHeaderAuthenticator({ authorities: () => certificatesOf(proxyCa.certPem), allowedNames: ['system:auth-proxy'] }, clock),
      clientCertificates(() => certificatesOf(clientCa.certPem), clock),
    ],
    tokens: [
      staticTokens(parseTokenFile('tok1,alice,u1,"dev,ops"\n')),
      bootstrapTokens(objects, clock),
      serviceAccountTokens(tokenOptions, objects, clock),
    ],
    audiences: tokenOptions.audiences,
    allowAnonymous: (path) => path !== '/secret',
    authorize,
    log: memoryLogger(),
  });
  const ask = (request: Partial<AuthnRequest>, connection: object = {}) =>
    authenticate(
      {
        method: 'GET',
        path: '/api/v1/namespaces/ns/pods',
        query: new URLSearchParams(),
        headers: {},
        rawHeaders: Object.entries(request.headers ?? {}).flatMap(([name, value]) => [name, value ?? '']),
        peer: undefined,
        connection,
        remoteAddress: '',
        ...request,
      },
      new AbortController().signal,
    );
  const bearer = (token: string, headers: Record<string, string> = {}) =>
    ask({ headers: { authorization: `Bearer ${token}`, ...headers } });
  const rotate = (keep = 9) => {
    signing = newKey();
    verifying = [signing, ...verifying].slice(0, keep);
    current = made();
  };
  return { clock, objects, ask, bearer, tokenOptions, rotate, grants };
}

const unauthorized = { reason: 'Unauthorized', code: 401, message: 'Unauthorized' };

test('a client certificate names user and groups', async () => {
  const user = await (await setUp()).ask({ peer: certificate('alice', ['dev', 'a=b,c']) });
  expect(user).toMatchObject({ name: 'alice', groups: ['dev', 'a=b,c', 'system:authenticated'] });
});

test.each([
  ['of an unknown authority', certificate('alice', [], authority())],
  ['for servers', certificate('alice', [], clientCa, 'server auth')],
  ['that has expired', certificate('alice', [], clientCa, 'client auth', -1000)],
])('a certificate %s is refused', async (_name, peer) => {
  await expect((await setUp()).ask({ peer })).rejects.toMatchObject(unauthorized);
});

test('a certificate that expires on an open connection is refused from then on', async () => {
  const { ask, clock } = await setUp();
  const connection = {};
  const peer = certificate('alice', [], clientCa, 'client auth', hour / 2);
  expect(await ask({ peer }, connection)).toMatchObject({ name: 'alice' });
  await clock.advance(hour);
  await expect(ask({ peer }, connection)).rejects.toMatchObject(unauthorized);
});

test('no credentials: anonymous where that is allowed', async () => {
  const { ask } = await setUp();
  expect(await ask({})).toEqual({ name: 'system:anonymous', groups: ['system:unauthenticated'] });
  expect(await ask({ headers: { authorization: 'Basic eDp5' } })).toMatchObject({ name: 'system:anonymous' });
  await expect(ask({ path: '/secret' })).rejects.toMatchObject(unauthorized);
});

test.each(['nobody-knows', 'a.b.c', 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3VlciJ9.', 'x'.repeat(20_000), '__proto__'])(
  'a bad bearer token is refused',
  async (token) => {
    await expect((await setUp()).bearer(token)).rejects.toMatchObject(unauthorized);
  },
);

test('tokens of the token file', async () => {
  const { bearer, ask } = await setUp();
  expect(await bearer('tok1')).toEqual({ name: 'alice', uid: 'u1', groups: ['dev', 'ops', 'system:authenticated'] });
  const protocol = `v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.${Buffer.from('tok1').toString('base64url')}`;
  expect(await ask({ headers: { 'sec-websocket-protocol': protocol } })).toMatchObject({ name: 'alice' });
});

const encode = (data: Record<string, string>) =>
  Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString('base64')]));

test('bootstrap tokens: right secret, not expired, meant for authentication', async () => {
  const { objects, bearer } = await setUp();
  const put = (more: Record<string, string>) =>
    objects.put({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'bootstrap.kubernetes.io/token',
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
      data: encode({
        'token-id': 'abcdef',
        'token-secret': '0123456789abcdef',
        'usage-bootstrap-authentication': 'true',
        expiration: '2026-01-02T00:00:00Z',
        'auth-extra-groups': 'system:bootstrappers:k3ts:default-node-token',
        ...more,
      }),
    });
  await put({});
  expect(await bearer('abcdef.0123456789abcdef')).toMatchObject({
    name: 'system:bootstrap:abcdef',
    groups: ['system:bootstrappers', 'system:bootstrappers:k3ts:default-node-token', 'system:authenticated'],
  });
  await expect(bearer('abcdef.0123456789abcdee')).rejects.toMatchObject(unauthorized);
  const bad: Record<string, string>[] = [
    { expiration: '2025-12-31T00:00:00Z' },
    { expiration: 'soon' },
    { 'usage-bootstrap-authentication': 'false' },
    { 'auth-extra-groups': 'system:masters' },
  ];
  for (const more of bad) {
    await put(more);
    await expect(bearer('abcdef.0123456789abcdef')).rejects.toMatchObject(unauthorized);
  }
});

async function account(context: Awaited<ReturnType<typeof setUp>>) {
  const sa = await context.objects.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'sa', namespace: 'ns' } });
  const pod = await context.objects.put({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'ns' } });
  const request = {
    namespace: 'ns',
    serviceAccount: { name: 'sa', uid: sa.metadata.uid },
    pod: { name: 'web', uid: pod.metadata.uid },
    node: { name: 'n1', uid: 'nu' },
    audiences: ['https://issuer'],
    expirationSeconds: 600,
  };
  return { sa, pod, request, sign: (more = {}) => signBoundToken({ ...request, ...more }, context.tokenOptions, context.clock.now()) };
}

test('a bound token is good until it expires, also after the keys were rotated', async () => {
  const context = await setUp();
  const { sa, pod, sign } = await account(context);
  const token = await sign();
  const expected = {
    name: 'system:serviceaccount:ns:sa',
    uid: sa.metadata.uid,
    groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'],
    extra: {
      'authentication.kubernetes.io/pod-name': ['web'],
      'authentication.kubernetes.io/pod-uid': [pod.metadata.uid],
      'authentication.kubernetes.io/node-name': ['n1'],
      'authentication.kubernetes.io/node-uid': ['nu'],
      'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^JTI=/)],
    },
  };
  expect(await context.bearer(token)).toEqual(expected);
  context.rotate();
  expect(await context.bearer(await sign())).toEqual(expected);
  expect(await context.bearer(token)).toEqual(expected);
  await context.clock.advance(601_000);
  await expect(context.bearer(token)).rejects.toMatchObject(unauthorized);
});

test.each(['ServiceAccount/sa', 'Pod/web'])('a bound token is refused once %s is gone or another', async (what) => {
  const [kind = '', name = ''] = what.split('/');
  const context = await setUp();
  const token = await (await account(context)).sign();
  expect(await context.bearer(token)).toMatchObject({ name: 'system:serviceaccount:ns:sa' });
  await context.objects.drop(kind, 'ns', name);
  await expect(context.bearer(token)).rejects.toMatchObject(unauthorized);
  await context.objects.put({ apiVersion: 'v1', kind, metadata: { name, namespace: 'ns' } });
  await expect(context.bearer(token)).rejects.toMatchObject(unauthorized);
});

test('a pod that is being deleted keeps its token for a minute', async () => {
  const context = await setUp();
  const { pod, sign } = await account(context);
  const token = await sign();
  await context.objects.put({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: new Date(start).toISOString() } });
  expect(await context.bearer(token)).toMatchObject({ name: 'system:serviceaccount:ns:sa' });
  await context.clock.advance(61_000);
  await expect(context.bearer(token)).rejects.toMatchObject(unauthorized);
});

test('a token for another audience, another issuer, or signed by somebody else is refused', async () => {
  const context = await setUp();
  const { sign, request } = await account(context);
  await expect(context.bearer(await sign({ audiences: ['vault'] }))).rejects.toMatchObject(unauthorized);
  const foreign = { ...context.tokenOptions, issuers: ['https://other'] };
  await expect(context.bearer(await signBoundToken(request, foreign, start))).rejects.toMatchObject(unauthorized);
  const key = newKey();
  const forged = { ...context.tokenOptions, keys: () => ({ signing: key, verifying: [{ kid: 'k1', key: createPublicKey(key) }] }) };
  await expect(context.bearer(await signBoundToken(request, forged, start))).rejects.toMatchObject(unauthorized);
  const secret = new TextEncoder().encode('x'.repeat(32));
  const symmetric = await new SignJWT({ iss: 'https://issuer', aud: 'https://issuer' }).setProtectedHeader({ alg: 'HS256' }).sign(secret);
  await expect(context.bearer(symmetric)).rejects.toMatchObject(unauthorized);
});

test('a legacy token is good while its secret holds it', async () => {
  const context = await setUp();
  const { sa } = await account(context);
  const token = await signLegacyToken(
    { namespace: 'ns', serviceAccount: { name: 'sa', uid: sa.metadata.uid }, secretName: 's' },
    context.tokenOptions,
  );
  await expect(context.bearer(token)).rejects.toMatchObject(unauthorized);
  await context.objects.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'ns' }, data: encode({ token }) });
  expect(await context.bearer(token)).toMatchObject({ name: 'system:serviceaccount:ns:sa', uid: sa.metadata.uid });
});

test('the use of a legacy token is noted on its secret once a day, and one that was marked invalid is refused', async () => {
  const context = await setUp();
  const legacy = legacyTokens(context.objects, context.objects.cache, context.clock, memoryLogger());
  const options = { ...context.tokenOptions, legacyUsed: legacy.used };
  const { sa } = await account(context);
  const token = await signLegacyToken({ namespace: 'ns', serviceAccount: { name: 'sa', uid: sa.metadata.uid }, secretName: 's' }, options);
  const put = (labels?: Record<string, string>) =>
    context.objects.put({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's', namespace: 'ns', ...(labels === undefined ? {} : { labels }) },
      data: encode({ token }),
    });
  await put();
  const authenticate = serviceAccountTokens(options, context.objects, context.clock);
  const ask = async () => await authenticate(token, options.audiences, new AbortController().signal);
  expect(await ask()).toMatchObject({ user: { name: 'system:serviceaccount:ns:sa' } });
  await context.clock.advance(1);
  expect(context.objects.get(secrets, 'ns', 's')?.metadata.labels).toEqual({ 'kubernetes.io/legacy-token-last-used': '2026-01-01' });
  await put({ 'kubernetes.io/legacy-token-invalid-since': '2026-01-01' });
  await expect(ask()).rejects.toThrow('has been marked invalid');
  await context.clock.advance(1);
  // Somebody misses it.
  expect(context.objects.get(secrets, 'ns', 's')?.metadata.labels).toEqual({
    'kubernetes.io/legacy-token-invalid-since': '2026-01-01',
    'kubernetes.io/legacy-token-last-used': '2026-01-01',
  });
});

test('since when the use of legacy tokens is tracked is noted, and noted again when the note is spoilt or gone', async () => {
  const { objects, clock } = await setUp();
  const legacy = legacyTokens(objects, objects.cache, clock, memoryLogger());
  const since = () => objects.get(configMaps, 'kube-system', trackingConfigMap)?.data?.['since'];
  const note = (text: string) =>
    objects.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: trackingConfigMap, namespace: 'kube-system' },
      data: { since: text },
    });
  await note('some day');
  await legacy.start();
  expect(since()).toBe('2026-01-01');
  await note('2025-01-01');
  await legacy.start();
  expect(since()).toBe('2025-01-01');
  const stop = new AbortController();
  const running = legacy.run(stop.signal);
  await objects.drop('ConfigMap', 'kube-system', trackingConfigMap);
  await vi.waitUntil(() => since() === '2026-01-01');
  await note('never');
  await vi.waitUntil(() => since() === '2026-01-01');
  stop.abort();
  await running;
});

test('a token whose key was taken away is refused, also where its signature was looked at before', async () => {
  const context = await setUp();
  const token = await (await account(context)).sign();
  expect(await context.bearer(token)).toMatchObject({ name: 'system:serviceaccount:ns:sa' });
  context.rotate(1);
  await expect(context.bearer(token)).rejects.toMatchObject(unauthorized);
});

const chained = (leaf: ReturnType<typeof certificate>, ...chain: { readonly certPem: string }[]) => ({
  ...leaf,
  intermediates: chain.map((c) => firstCertificate(c.certPem)),
});

test('a certificate below an intermediate authority is good when the client sends the intermediate along', async () => {
  const upper = intermediate(clientCa);
  const lower = intermediate(upper);
  const leaf = certificate('alice', ['dev'], lower);
  expect(await (await setUp()).ask({ peer: chained(leaf, lower, upper) })).toMatchObject({
    name: 'alice',
    groups: ['dev', 'system:authenticated'],
  });
  expect(await (await setUp()).ask({ peer: chained(leaf, upper, lower) })).toMatchObject({ name: 'alice' });
  await expect((await setUp()).ask({ peer: chained(leaf, upper) })).rejects.toMatchObject(unauthorized);
  await expect((await setUp()).ask({ peer: leaf })).rejects.toMatchObject(unauthorized);
});

test.each([
  ['is no authority', intermediate(clientCa, { ca: false }), []],
  ['has expired', intermediate(clientCa, { lifeMs: -1000 }), []],
  ['belongs to another authority', intermediate(authority()), []],
  [
    'has something critical about it that is not understood',
    intermediate(clientCa, { extensions: [{ id: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }] }),
    [],
  ],
])('a chain whose intermediate %s is refused', async (_name, middle) => {
  await expect((await setUp()).ask({ peer: chained(certificate('alice', [], middle), middle) })).rejects.toMatchObject(unauthorized);
});

test('a chain longer than an authority allows is refused', async () => {
  const upper = intermediate(clientCa, { pathLength: 0 });
  const lower = intermediate(upper);
  await expect((await setUp()).ask({ peer: chained(certificate('alice', [], lower), lower, upper) })).rejects.toMatchObject(unauthorized);
  expect(await (await setUp()).ask({ peer: chained(certificate('alice', [], upper), upper) })).toMatchObject({ name: 'alice' });
});

test('a certificate may name the uid of the user', async () => {
  const subject = { commonName: 'alice', organizations: [], others: [{ oid: '1.3.6.1.4.1.57683.2', value: 'u-7' }] };
  const pem = issueCertificate(
    { subject, publicKey: createPublicKey(newKey()), notBefore: new Date(start - hour), notAfter: new Date(start + hour) },
    clientCa,
  );
  const peer = { raw: firstCertificate(pem), intermediates: [], authorized: true };
  expect(await (await setUp()).ask({ peer })).toMatchObject({ name: 'alice', uid: 'u-7' });
});

test('the request-header proxy speaks for others; a client with its own certificate does not', async () => {
  const { ask } = await setUp();
  const rawHeaders = [
    'X-Remote-User',
    'bob',
    'X-Remote-Group',
    'g1, with comma',
    'X-Remote-Group',
    'g2',
    'X-Remote-Extra-Scopes%2fx',
    's',
    'X-Remote-Uid',
    '7',
  ];
  const headers = { 'x-remote-user': 'bob' };
  expect(await ask({ peer: certificate('system:auth-proxy', [], proxyCa), headers, rawHeaders })).toEqual({
    name: 'bob',
    uid: '7',
    groups: ['g1, with comma', 'g2', 'system:authenticated'],
    extra: { 'scopes/x': ['s'] },
  });
  expect(await ask({ peer: certificate('alice', []), headers, rawHeaders })).toMatchObject({ name: 'alice' });
  await expect(ask({ peer: certificate('mallory', [], proxyCa), headers, rawHeaders })).rejects.toMatchObject(unauthorized);
});

const admin = certificate('admin', ['system:masters']);

test('impersonation replaces the user where authorization allows it', async () => {
  const { ask } = await setUp();
  expect(
    await ask({
      peer: admin,
      headers: { 'impersonate-user': 'eve', 'impersonate-group': 'g', 'impersonate-extra-a': 'b', 'impersonate-uid': 'u' },
    }),
  ).toEqual({
    name: 'eve',
    uid: 'u',
    groups: ['g', 'system:authenticated'],
    extra: { a: ['b'] },
    impersonator: expect.objectContaining({ name: 'admin' }),
  });
  expect(await ask({ peer: admin, headers: { 'impersonate-user': 'system:serviceaccount:ns:sa' } })).toMatchObject({
    name: 'system:serviceaccount:ns:sa',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'],
  });
  expect(await ask({ peer: admin, headers: { 'impersonate-user': 'system:anonymous' } })).toMatchObject({
    groups: ['system:unauthenticated'],
  });
  await expect(ask({ peer: admin, headers: { 'impersonate-group': 'g' } })).rejects.toMatchObject({ code: 400 });
});

test('every impersonated group is taken as it was sent, also with commas, and keys of extra are percent-decoded', async () => {
  const { ask } = await setUp();
  const rawHeaders = [
    ...['Impersonate-User', Buffer.from('jürgen').toString('latin1')],
    ...['Impersonate-Group', 'a, b', 'Impersonate-Group', 'c'],
    ...['Impersonate-Extra-Acme.com%2fScopes', 'x', 'Impersonate-Extra-acme.com%2Fscopes', 'y'],
  ];
  expect(await ask({ peer: admin, rawHeaders })).toMatchObject({
    name: 'jürgen',
    groups: ['a, b', 'c', 'system:authenticated'],
    extra: { 'acme.com/scopes': ['x', 'y'] },
  });
});

test('refusals speak of the constrained mode first, as upstream', async () => {
  const { ask, grants } = await setUp();
  const peer = certificate('alice', []);
  const headers = { 'impersonate-user': 'eve', 'impersonate-group': 'forbidden' };
  await expect(ask({ peer, headers })).rejects.toMatchObject({
    code: 403,
    message: 'pods is forbidden: User "alice" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "ns"',
  });
  grants.push('alice impersonate-on:user-info:list /pods', 'alice impersonate:user-info authentication.k8s.io/users eve');
  await expect(ask({ peer, headers })).rejects.toMatchObject({
    message:
      'groups.authentication.k8s.io "forbidden" is forbidden: User "alice" cannot impersonate:user-info resource "groups" in API group "authentication.k8s.io" at the cluster scope',
  });
});

describe('constrained impersonation', () => {
  test('needs the right to act as the user and one for the request', async () => {
    const { ask, grants } = await setUp();
    const peer = certificate('alice', []);
    grants.push('alice impersonate:user-info authentication.k8s.io/users eve', 'alice impersonate-on:user-info:list /pods');
    const headers = { 'impersonate-user': 'eve' };
    expect(await ask({ peer, headers })).toMatchObject({
      name: 'eve',
      constraint: 'impersonate:user-info',
      impersonator: { name: 'alice' },
    });
    await expect(ask({ peer, headers, method: 'POST' })).rejects.toMatchObject({ code: 403 });
    await expect(ask({ peer, headers: { 'impersonate-user': 'system:node:n1' } })).rejects.toMatchObject({ code: 403 });
  });
  test('never lets anybody become an administrator', async () => {
    const { ask, grants } = await setUp();
    grants.push(
      'alice impersonate:user-info authentication.k8s.io/users eve',
      'alice impersonate:user-info authentication.k8s.io/groups system:masters',
      'alice impersonate-on:user-info:list /pods',
    );
    const headers = { 'impersonate-user': 'eve', 'impersonate-group': 'system:masters' };
    await expect(ask({ peer: certificate('alice', []), headers })).rejects.toMatchObject({
      message:
        'groups.authentication.k8s.io "system:masters" is forbidden: User "alice" cannot impersonate:user-info resource "groups" in API group "authentication.k8s.io" at the cluster scope: impersonating the system:masters group is not allowed',
    });
  });
  test('lets a service account act as the node that its pod runs on, and as no other', async () => {
    const context = await setUp();
    const name = 'system:serviceaccount:ns:sa';
    context.grants.push(
      `${name} impersonate:associated-node authentication.k8s.io/nodes *`,
      `${name} impersonate-on:associated-node:list /pods`,
    );
    const token = await (await account(context)).sign();
    expect(await context.bearer(token, { 'impersonate-user': 'system:node:n1' })).toMatchObject({
      name: 'system:node:n1',
      groups: ['system:nodes', 'system:authenticated'],
      constraint: 'impersonate:associated-node',
    });
    await expect(context.bearer(token, { 'impersonate-user': 'system:node:n2' })).rejects.toMatchObject({ code: 403 });
  });
  test('asks once for many groups where all are allowed', async () => {
    const { ask, grants } = await setUp();
    grants.push(
      'alice impersonate:user-info authentication.k8s.io/users eve',
      'alice impersonate:user-info authentication.k8s.io/groups *',
      'alice impersonate-on:user-info:list /pods',
    );
    const rawHeaders = ['Impersonate-User', 'eve', ...['a', 'b', 'c', 'd'].flatMap((g) => ['Impersonate-Group', g])];
    expect(await ask({ peer: certificate('alice', []), rawHeaders })).toMatchObject({
      groups: ['a', 'b', 'c', 'd', 'system:authenticated'],
    });
  });
});

test('authorities of a bundle are all read', () => {
  expect(certificatesOf(clientCa.certPem + proxyCa.certPem).map((c) => c instanceof X509Certificate)).toEqual([true, true]);
});

import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueCertificate, noAltNames } from '#lib/x509.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { question } from '../authz/testing.ts';
import { webhookAuthorizer } from '../authz/webhook.ts';
import type { AuthorizationAttributes } from '../contract.ts';
import { httpsFetch } from './https-json.ts';
import { type OidcIssuer, oidcTokens } from './oidc.ts';
import { issuerFromFlags } from './oidc-config.ts';
import { webhookTokens } from './webhook.ts';

const signal = new AbortController().signal;
const idpKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const groupsKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
/** What the endpoint of distributed claims answers. */
let distributed = '';
let server: Server;
let url = '';
let ca = '';
let asked: string[] = [];
let reply: (body: { spec: { token?: string; user?: string } }) => unknown = () => ({});

beforeAll(async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  ca = issueCertificate(
    {
      subject: { commonName: 'idp', organizations: [] },
      publicKey,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      altNames: { ...noAltNames, ip: ['127.0.0.1'] },
    },
    { key: privateKey },
  );
  server = createServer({ cert: ca, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }, (request, response) => {
    asked.push(request.url ?? '');
    const json = (value: unknown): void => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (request.url === '/.well-known/openid-configuration') json({ issuer: url, jwks_uri: `${url}/keys` });
    else if (request.url === '/keys')
      json({ keys: [{ ...createPublicKey(idpKey).export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' }] });
    else if (request.url === '/groups/.well-known/openid-configuration') json({ issuer: `${url}/groups`, jwks_uri: `${url}/groups/keys` });
    else if (request.url === '/groups/keys')
      json({ keys: [{ ...createPublicKey(groupsKey).export({ format: 'jwk' }), kid: 'g', alg: 'RS256', use: 'sig' }] });
    else if (request.url?.startsWith('/claims/') === true)
      response.writeHead(request.headers.authorization === 'Bearer pass' ? 200 : 403).end(distributed);
    else {
      let body = '';
      request.on('data', (c: Buffer) => {
        body += c.toString();
      });
      request.on('end', () => json({ status: reply(JSON.parse(body) as { spec: object }) }));
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const deps = () => ({ clock: fakeClock(Date.now()), fetch: httpsFetch, log: memoryLogger() });

describe('OIDC', () => {
  const issuer = (more: Partial<OidcIssuer> = {}): OidcIssuer => ({
    url,
    certificateAuthority: ca,
    audiences: ['k3ts'],
    username: { claim: 'email', prefix: '' },
    groups: { claim: 'groups', prefix: 'oidc:' },
    requiredClaims: {},
    signingAlgorithms: ['RS256'],
    ...more,
  });
  const sign = (
    claims: Record<string, unknown>,
    more: { audience?: string; expires?: string; key?: typeof idpKey; issuer?: string } = {},
  ) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid: 'k' })
      .setIssuer(more.issuer ?? url)
      .setAudience(more.audience ?? 'k3ts')
      .setExpirationTime(more.expires ?? '1h')
      .sign(more.key ?? idpKey);
  const alice = { email: 'alice@example.com', email_verified: true, groups: ['dev'] };

  test('claims become user and groups; the keys are fetched once', async () => {
    asked = [];
    const authenticate = oidcTokens(issuer(), deps());
    for (let i = 0; i < 3; i++)
      expect(await authenticate(await sign(alice), [], signal)).toEqual({
        user: { name: 'alice@example.com', groups: ['oidc:dev'] },
        audiences: [],
      });
    expect(asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });
  test('another issuer is left to others', async () => {
    expect(await oidcTokens(issuer(), deps())(await sign(alice, { issuer: 'https://other' }), [], signal)).toBeUndefined();
    expect(await oidcTokens(issuer(), deps())('no token', [], signal)).toBeUndefined();
  });
  test.each([
    ['another audience', {}, { audience: 'x' }],
    ['an expired token', {}, { expires: '-1h' }],
    ['another key', {}, { key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }],
    ['an unverified address', { email_verified: false }, {}],
    ['no user', { email: undefined }, {}],
    ['groups that are no text', { groups: [1] }, {}],
    ['a required claim with another value', { hd: 'evil.com' }, {}],
  ])('%s is refused', async (name, claims, more) => {
    const own = name.includes('required') ? { requiredClaims: { hd: 'example.com' } } : {};
    await expect(oidcTokens(issuer(own), deps())(await sign({ ...alice, ...claims }, more), [], signal)).rejects.toThrow(/./);
  });
});

describe('distributed claims', () => {
  const issuer = (groups: OidcIssuer['groups']): OidcIssuer => ({
    url,
    certificateAuthority: ca,
    audiences: ['k3ts'],
    username: { claim: 'sub', prefix: '' },
    ...(groups === undefined ? {} : { groups }),
    requiredClaims: {},
    signingAlgorithms: ['RS256'],
  });
  const signed = (claims: Record<string, unknown>, by: string, kid: string, key: typeof idpKey, audience = 'k3ts') =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).setIssuer(by).setAudience(audience).setExpirationTime('1h').sign(key);
  const groupsToken = (claims: Record<string, unknown>, audience?: string) => signed(claims, `${url}/groups`, 'g', groupsKey, audience);
  const source = (more: object = {}) => ({ endpoint: `${url}/claims/x`, access_token: 'pass', ...more });
  const names = { groups: 'there' };
  const ask = async (claims: Record<string, unknown>, groups: OidcIssuer['groups'] = { claim: 'groups', prefix: 'oidc:' }) => {
    asked = [];
    const token = await signed({ sub: 'alice', ...claims }, url, 'k', idpKey);
    return (await oidcTokens(issuer(groups), deps())(token, [], signal))?.user.groups;
  };

  test('are fetched from where the token says, and signed by whoever issues them', async () => {
    distributed = await groupsToken({ groups: ['dev', 'ops'] });
    expect(await ask({ _claim_names: names, _claim_sources: { there: source() } })).toEqual(['oidc:dev', 'oidc:ops']);
    expect(asked).toEqual([
      '/.well-known/openid-configuration',
      '/keys',
      '/claims/x',
      '/groups/.well-known/openid-configuration',
      '/groups/keys',
    ]);
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['the token has the groups itself', { groups: ['own'], _claim_names: names, _claim_sources: { there: source() } }, ['oidc:own']],
    ['they are for another claim', { _claim_names: { shoe_size: 'there' }, _claim_sources: { there: source() } }, []],
    ['they are aggregated', { _claim_names: names, _claim_sources: { there: { JWT: 'x' } } }, []],
  ])('are left alone where %s', async (_what, claims, groups) => {
    expect(await ask(claims)).toEqual(groups);
    expect(asked).not.toContain('/claims/x');
  });

  test('are left alone where no claim is named for groups', async () => {
    const token = await signed({ sub: 'alice', _claim_names: names, _claim_sources: { there: source() } }, url, 'k', idpKey);
    asked = [];
    expect((await oidcTokens(issuer(undefined), deps())(token, [], signal))?.user.groups).toEqual([]);
    expect(asked).not.toContain('/claims/x');
  });

  test.each<[string, () => Promise<string>, { sources?: object; missing?: true; pass?: string }, string]>([
    ['there are no sources', async () => await groupsToken({}), { missing: true }, 'oidc: no claim sources'],
    [
      'the source is missing',
      async () => await groupsToken({}),
      { sources: {} },
      'id token _claim_names contained a source there missing in _claims_sources',
    ],
    [
      'the endpoint refuses',
      async () => await groupsToken({}),
      { pass: 'wrong' },
      'oidc: while getting distributed claim "groups": error while getting distributed claim JWT: 403',
    ],
    [
      'the answer is for somebody else',
      async () => await groupsToken({ groups: ['dev'] }, 'other'),
      {},
      'oidc: verify distributed claim token: unexpected "aud" claim value',
    ],
    [
      'the answer is signed by another',
      async () => await signed({ groups: ['dev'] }, `${url}/groups`, 'g', idpKey),
      {},
      'oidc: verify distributed claim token: signature verification failed',
    ],
    ['the answer is no token', async () => await Promise.resolve('what?'), {}, 'oidc: verify distributed claim token: '],
    ['the answer lacks the claim', async () => await groupsToken({}), {}, 'did not contain claim: groups'],
  ])('refuse the token where %s', async (_what, answer, { sources, missing, pass = 'pass' }, why) => {
    distributed = await answer();
    const given = missing === true ? {} : { _claim_sources: sources ?? { there: source({ access_token: pass }) } };
    await expect(ask({ _claim_names: names, ...given })).rejects.toThrow(why);
  });
});

describe('configuration of issuers', () => {
  test("flags have upstream's defaults", () => {
    expect(issuerFromFlags({})).toBeUndefined();
    expect(issuerFromFlags({ 'oidc-issuer-url': 'https://i', 'oidc-client-id': 'c' })).toMatchObject({
      username: { claim: 'sub', prefix: 'https://i#' },
      signingAlgorithms: ['RS256'],
    });
    const email = { 'oidc-issuer-url': 'https://i', 'oidc-client-id': 'c', 'oidc-username-claim': 'email' };
    expect(issuerFromFlags(email)?.username).toEqual({ claim: 'email', prefix: '' });
    expect(() => issuerFromFlags({ 'oidc-issuer-url': 'http://i', 'oidc-client-id': 'c' })).toThrow('https');
    expect(() => issuerFromFlags({ 'oidc-issuer-url': 'https://i' })).toThrow('oidc-client-id');
  });
});

describe('webhooks', () => {
  test('a token review says who it is, and is asked once per token', async () => {
    asked = [];
    reply = ({ spec }) =>
      spec.token === 'good'
        ? { authenticated: true, user: { username: 'bob', groups: ['g'] } }
        : { authenticated: false, error: 'unknown' };
    const authenticate = webhookTokens({ server: { url: `${url}/authn`, ca } }, deps());
    for (let i = 0; i < 2; i++)
      expect(await authenticate('good', ['aud'], signal)).toEqual({ user: { name: 'bob', groups: ['g'] }, audiences: ['aud'] });
    expect(asked).toEqual(['/authn']);
    await expect(authenticate('bad', ['aud'], signal)).rejects.toThrow('unknown');
  });
  const asks = (name: string): AuthorizationAttributes => question({ user: { name, groups: [] } });
  test('an authorizer allows, denies and has no opinion; trouble is no opinion', async () => {
    reply = ({ spec }) => ({ allowed: spec.user === 'a', denied: spec.user === 'd', reason: 'because' });
    const authorize = webhookAuthorizer({ server: { url: `${url}/authz`, ca } }, deps());
    expect(await authorize(asks('a'), signal)).toEqual({ decision: 'allow', reason: 'because' });
    expect(await authorize(asks('d'), signal)).toMatchObject({ decision: 'deny' });
    expect(await authorize(asks('n'), signal)).toMatchObject({ decision: 'noOpinion' });
    const broken = webhookAuthorizer({ server: { url: 'https://127.0.0.1:1', ca } }, deps());
    expect(await broken(asks('a'), signal)).toEqual({ decision: 'noOpinion', reason: '' });
  });
});

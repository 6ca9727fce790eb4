import { describe, expect, test } from 'vitest';
import { parseAuthenticationConfig } from './authentication-config.ts';
import { userFromClaims } from './claims.ts';

const file = (jwt: object | object[] | undefined, more: object = {}): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    ...(jwt === undefined ? {} : { jwt: [jwt].flat() }),
    ...more,
  });
const issuer = { url: 'https://a', audiences: ['x'] };
const username = { claim: 'sub', prefix: '' };
const base = { issuer, claimMappings: { username } };

describe('a file', () => {
  test('names several issuers and whom to let in anonymously', () => {
    const parsed = parseAuthenticationConfig(
      file(
        [
          {
            issuer: { url: 'https://a', discoveryURL: 'https://b/discovery', audiences: ['x', 'y'], audienceMatchPolicy: 'MatchAny' },
            claimValidationRules: [{ claim: 'hd', requiredValue: 'example.com' }],
            claimMappings: { username: { claim: 'email', prefix: 'a:' }, uid: { claim: 'oid' } },
          },
          { issuer: { url: 'https://c', audiences: ['z'] }, claimMappings: { username } },
        ],
        { anonymous: { enabled: true, conditions: [{ path: '/livez' }] } },
      ),
    );
    expect(parsed.anonymous).toEqual({ enabled: true, paths: ['/livez'] });
    expect(parsed.issuers).toMatchObject([
      {
        url: 'https://a',
        discoveryUrl: 'https://b/discovery',
        audiences: ['x', 'y'],
        username: { claim: 'email', prefix: 'a:' },
        uid: { claim: 'oid' },
        requiredClaims: { hd: 'example.com' },
      },
      { url: 'https://c' },
    ]);
  });
  test('may name no issuer at all', () => {
    expect(parseAuthenticationConfig(file(undefined))).toEqual({ issuers: [] });
  });
});

const mapped = (claimMappings: object, more: object = {}) => ({ issuer, claimMappings: { username, ...claimMappings }, ...more });
const both = "claim and expression can't both be set";

/** From k8s.io/apiserver pkg/apis/apiserver/validation/validation_test.go. */
test.each<[object | object[], string]>([
  [{ ...base, issuer: { audiences: ['x'] } }, 'jwt[0].issuer.url: Required value'],
  [{ ...base, issuer: { ...issuer, url: 'http://a' } }, 'jwt[0].issuer.url: Invalid value: "http://a": URL scheme must be https'],
  [{ ...base, issuer: { ...issuer, url: 'https://u:p@a' } }, 'URL must not contain a username or password'],
  [{ ...base, issuer: { ...issuer, url: 'https://a?q' } }, 'URL must not contain a query'],
  [{ ...base, issuer: { ...issuer, url: 'https://a#f' } }, 'URL must not contain a fragment'],
  [{ ...base, issuer: { ...issuer, url: 'https://own' } }, 'URL must not overlap with disallowed issuers: [https://own]'],
  [{ ...base, issuer: { ...issuer, discoveryURL: 'https://a/' } }, 'discoveryURL must be different from URL'],
  [{ ...base, issuer: { url: 'https://a' } }, 'jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required'],
  [
    { ...base, issuer: { ...issuer, audiences: ['x', 'y'] } },
    'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences',
  ],
  [{ ...base, issuer: { ...issuer, audienceMatchPolicy: 'All' } }, 'audienceMatchPolicy must be empty or MatchAny for single audience'],
  [
    { ...base, issuer: { ...issuer, audiences: ['x', 'x'], audienceMatchPolicy: 'MatchAny' } },
    'jwt[0].issuer.audiences[1]: Duplicate value: "x"',
  ],
  [
    { ...base, issuer: { ...issuer, certificateAuthority: 'no PEM' } },
    'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
  ],
  [[base, base], 'jwt[1].issuer.url: Duplicate value: "https://a"'],
  [{ issuer }, 'jwt[0].claimMappings.username: Required value: claim or expression is required'],
  [mapped({ username: { claim: 's' } }), 'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set'],
  [mapped({ username: { claim: 's', expression: 'claims.s' } }), `jwt[0].claimMappings.username: Invalid value: "": ${both}`],
  [
    mapped({ username: { prefix: '', expression: 'claims.s' } }),
    'jwt[0].claimMappings.username.prefix: Invalid value: "": may not be specified when expression is set',
  ],
  [mapped({ uid: { claim: 's', expression: 'claims.s' } }), `jwt[0].claimMappings.uid: Invalid value: "": ${both}`],
  [
    mapped({ extra: [{ key: 'foo', valueExpression: '""' }] }),
    'jwt[0].claimMappings.extra[0].key: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")',
  ],
  [
    mapped({ extra: [{ key: 'a.b/Foo', valueExpression: '""' }] }),
    'jwt[0].claimMappings.extra[0].key: Invalid value: "a.b/Foo": must be lowercase',
  ],
  [mapped({ extra: [{ key: 'x.k8s.io/foo', valueExpression: '""' }] }), 'are reserved for Kubernetes use'],
  [mapped({ extra: [{ key: 'a.b/foo' }] }), 'jwt[0].claimMappings.extra[0].valueExpression: Required value'],
  [
    mapped({ username: { expression: 'claims.email' } }),
    'jwt[0].claimMappings.username.expression: Invalid value: "claims.email": claims.email_verified must be used in',
  ],
  [
    mapped({ groups: { expression: 'claim.roles' } }),
    'jwt[0].claimMappings.groups.expression: Invalid value: "claim.roles": compilation failed: ERROR: <input>:1:1: undeclared reference to \'claim\'',
  ],
  [
    { ...base, claimValidationRules: [{ expression: 'claims.admin' }] },
    'jwt[0].claimValidationRules[0].expression: Invalid value: "claims.admin": must evaluate to bool',
  ],
  [{ ...base, claimValidationRules: [{}] }, 'jwt[0].claimValidationRules[0]: Required value: claim or expression is required'],
  [
    { ...base, claimValidationRules: [{ claim: 'a', message: 'm' }] },
    'jwt[0].claimValidationRules[0].message: Invalid value: "m": may not be specified when claim is set',
  ],
  [
    { ...base, userValidationRules: [{ expression: 'user.name == ""' }] },
    'jwt[0].userValidationRules[0].expression: Invalid value: "user.name == \\"\\"": compilation failed: ERROR: <input>:1:',
  ],
  [{ ...base, userValidationRules: [{ expression: 'user.username' }] }, 'must evaluate to bool'],
  [{ ...base, userValidationRules: [{ message: 'm' }] }, 'jwt[0].userValidationRules[0].expression: Required value'],
  [{ ...base, userRules: [] }, 'strict decoding error: unknown field "jwt[0].userRules"'],
  [
    Array.from({ length: 65 }, (_, i) => ({ ...base, issuer: { ...issuer, url: `https://i${i}` } })),
    'jwt: Too many: 65: must have at most 64 items',
  ],
])('%j is refused', (jwt, message) => {
  expect(() => parseAuthenticationConfig(file(jwt), ['https://own'])).toThrow(message);
});

test('conditions for anonymous requests without anonymous requests are refused', () => {
  const text = file(undefined, { anonymous: { enabled: false, conditions: [{ path: '/livez' }] } });
  expect(() => parseAuthenticationConfig(text)).toThrow(
    'anonymous.conditions: Invalid value: [{"path":"/livez"}]: enabled should be set to true when conditions are defined',
  );
});

describe('expressions', () => {
  const claims = {
    sub: '7',
    email: 'a@x.org',
    email_verified: true,
    roles: ['dev', ''],
    team: 'blue',
    hd: 'x.org',
    admin: false,
    level: 3,
  };
  const user = (jwt: object, from: object = claims) => {
    const [parsed] = parseAuthenticationConfig(file({ issuer, claimMappings: { username }, ...jwt })).issuers;
    if (parsed === undefined) throw new Error('no issuer');
    return userFromClaims(from as never, parsed);
  };
  test('make username, groups, uid and extra of any claims', () => {
    const claimMappings = {
      username: { expression: 'claims.email_verified ? "oidc:" + claims.email : "unverified:" + claims.sub' },
      groups: { expression: 'claims.roles.filter(r, r != "").map(r, "role:" + r)' },
      uid: { expression: 'claims.hd + "/" + claims.sub' },
      extra: [
        { key: 'example.com/team', valueExpression: 'claims.team' },
        { key: 'example.com/none', valueExpression: 'has(claims.missing) ? claims.missing : ""' },
      ],
    };
    expect(user({ claimMappings })).toEqual({
      name: 'oidc:a@x.org',
      groups: ['role:dev'],
      uid: 'x.org/7',
      extra: { 'example.com/team': ['blue'] },
    });
  });
  test.each<[object, string]>([
    [
      { claimMappings: { username: { expression: 'claims.level' } } },
      'oidc: error evaluating username claim expression: username claim expression must return a string',
    ],
    [{ claimMappings: { username: { expression: '""' } } }, 'oidc: empty username via CEL expression is not allowed'],
    [
      { claimMappings: { username: { expression: 'claims.nothing' } } },
      'oidc: error evaluating username claim expression: no such key: nothing',
    ],
    [
      { claimMappings: { username, groups: { expression: 'claims.level' } } },
      'oidc: error evaluating group claim expression: expression must return a string or a list of strings',
    ],
    [
      { claimMappings: { username, uid: { expression: 'claims.level' } } },
      'oidc: error evaluating uid claim expression: uid claim expression must return a string',
    ],
    [{ claimMappings: { username, uid: { claim: 'nothing' } } }, 'oidc: parse uid claim "nothing": claim not present'],
    [
      { claimMappings: { username, extra: [{ key: 'a.b/c', valueExpression: 'claims.level' }] } },
      'oidc: error evaluating extra claim expression: claims.level: expression must return',
    ],
    [
      { claimValidationRules: [{ claim: 'hd', requiredValue: 'y.org' }] },
      'oidc: required claim hd value does not match. Got = x.org, want = y.org',
    ],
    [{ claimValidationRules: [{ claim: 'nothing', requiredValue: '' }] }, 'oidc: required claim nothing not present in ID token'],
    [
      { claimValidationRules: [{ expression: 'claims.hd == "y.org"', message: 'wrong domain' }] },
      `oidc: error evaluating claim validation expression: validation expression 'claims.hd == "y.org"' failed: wrong domain`,
    ],
    [
      { userValidationRules: [{ expression: "!user.username.startsWith('7')", message: 'no sevens' }] },
      "oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('7')' failed: no sevens",
    ],
  ])('%j refuses the token', (jwt, message) => {
    expect(() => user(jwt)).toThrow(message);
  });
  test('validation rules that hold let the user in', () => {
    const jwt = {
      claimValidationRules: [{ expression: 'claims.level >= 3 && claims.admin == false' }],
      userValidationRules: [{ expression: "user.groups.all(g, !g.startsWith('system:')) && user.uid == '' && user.extra == {}" }],
    };
    expect(user(jwt)).toEqual({ name: '7', groups: [] });
  });
});

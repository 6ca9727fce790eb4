/**
 * The file of --authentication-config: issuers of tokens, and whom to let in anonymously. What is refused, and with which
 * words, follows k8s.io/apiserver pkg/apis/apiserver/validation.
 */
import { CelCompileError, type CelScope, createCel, type Program } from '#kube/cel.ts';
import { typeBuilder } from '#kube/cel-type.ts';
import type { Schema } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldNotSupported, fieldRequired, fieldTooMany } from '#kube/validation/field-error.ts';
import { certificatesOf } from '#lib/x509-chain.ts';
import { type Fields, readBoolean, readConfig, readFields, readList, readText, refuse } from '../config-fields.ts';
import type { UserInfo } from '../contract.ts';
import type { ClaimExpression, ClaimMapping, ClaimRules, ValidationRule } from './claims.ts';
import { type OidcIssuer, oidcAlgorithms } from './oidc.ts';

export interface AuthenticationConfiguration {
  readonly issuers: readonly OidcIssuer[];
  /** Absent: as the flag says. Otherwise anonymous requests are let through, to these paths only where some are named. */
  readonly anonymous?: { readonly enabled: boolean; readonly paths: readonly string[] };
}

const maxIssuers = 64;

/** Where the expressions of one file are compiled: over `claims`, and over `user`. */
interface Scopes {
  readonly claims: CelScope;
  readonly user: CelScope;
  readonly userValue: (user: UserInfo) => unknown;
}

const text: Schema = { type: 'string' };
const userSchema: Schema = {
  type: 'object',
  properties: {
    username: text,
    uid: text,
    groups: { type: 'array', items: text },
    extra: { type: 'object', additionalProperties: { type: 'array', items: text } },
  },
};

function createScopes(): Scopes {
  const cel = createCel();
  const claims = cel.scope();
  claims.declareVariable('claims', 'map<string, dyn>');
  const user = cel.scope();
  const type = typeBuilder(user, () => ({})).typeOf(userSchema);
  user.declareVariable('user', type.name);
  return {
    claims,
    user,
    userValue: ({ name, uid = '', groups, extra = {} }) => type.convert({ username: name, uid, groups, extra }),
  };
}

interface Reading {
  readonly errors: FieldError[];
  readonly scopes: Scopes;
}

function compile(r: Reading, scope: CelScope, expression: string, path: string, result?: string): Program | undefined {
  try {
    const program = scope.compile(expression);
    if (result === undefined || program.type === result) return program;
    r.errors.push(fieldInvalid(path, expression, `must evaluate to ${result}`));
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    r.errors.push(fieldInvalid(path, expression, error.message));
  }
  return undefined;
}

function checkUrl(r: Reading, url: string, path: string): void {
  const invalid = (why: string): void => {
    r.errors.push(fieldInvalid(path, url, why));
  };
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined) {
    invalid('must be a URL');
    return;
  }
  if (parsed.protocol !== 'https:') invalid('URL scheme must be https');
  if (parsed.username !== '' || parsed.password !== '') invalid('URL must not contain a username or password');
  if (parsed.search !== '') invalid('URL must not contain a query');
  if (parsed.hash !== '') invalid('URL must not contain a fragment');
}

function checkAudiences(r: Reading, issuer: Fields, path: string): readonly string[] {
  const audiences = readList(issuer, 'audiences', path).map(String);
  const at = `${path}.audiences`;
  if (audiences.length === 0) r.errors.push(fieldRequired(at, `at least one ${at} is required`));
  for (const [i, audience] of audiences.entries()) {
    if (audience === '') r.errors.push(fieldRequired(`${at}[${i}]`));
    if (audiences.indexOf(audience) < i) r.errors.push(fieldDuplicate(`${at}[${i}]`, audience));
  }
  const policy = readText(issuer, 'audienceMatchPolicy', path);
  if (audiences.length > 1 && policy !== 'MatchAny')
    r.errors.push(fieldInvalid(`${path}.audienceMatchPolicy`, policy, 'audienceMatchPolicy must be MatchAny for multiple audiences'));
  if (audiences.length === 1 && policy !== '' && policy !== 'MatchAny')
    r.errors.push(fieldInvalid(`${path}.audienceMatchPolicy`, policy, 'audienceMatchPolicy must be empty or MatchAny for single audience'));
  return audiences;
}

function checkAuthority(r: Reading, pem: string, path: string): void {
  if (pem === '') return;
  try {
    if (certificatesOf(pem).length > 0) return;
  } catch {
    // Told below.
  }
  r.errors.push(fieldInvalid(path, '<omitted>', 'data does not contain any valid RSA or ECDSA certificates'));
}

type Place = Pick<OidcIssuer, 'url' | 'discoveryUrl' | 'certificateAuthority' | 'audiences'>;

const issuerFields = ['url', 'discoveryURL', 'certificateAuthority', 'audiences', 'audienceMatchPolicy', 'egressSelectorType'];

function placeOf(r: Reading, value: unknown, path: string, disallowed: readonly string[]): Place {
  const issuer = readFields(value, path, issuerFields);
  const url = readText(issuer, 'url', path);
  if (url === '') r.errors.push(fieldRequired(`${path}.url`));
  else {
    if (disallowed.includes(url))
      r.errors.push(fieldInvalid(`${path}.url`, url, `URL must not overlap with disallowed issuers: [${disallowed.join(' ')}]`));
    checkUrl(r, url, `${path}.url`);
  }
  const discoveryUrl = readText(issuer, 'discoveryURL', path);
  if (discoveryUrl !== '') {
    const bare = (u: string): string => u.replace(/\/+$/, '');
    if (bare(url) === bare(discoveryUrl))
      r.errors.push(fieldInvalid(`${path}.discoveryURL`, discoveryUrl, 'discoveryURL must be different from URL'));
    checkUrl(r, discoveryUrl, `${path}.discoveryURL`);
  }
  const egress = readText(issuer, 'egressSelectorType', path);
  if (egress !== '' && egress !== 'controlplane' && egress !== 'cluster')
    r.errors.push(fieldNotSupported(`${path}.egressSelectorType`, egress, ['cluster', 'controlplane']));
  const ca = readText(issuer, 'certificateAuthority', path);
  checkAuthority(r, ca, `${path}.certificateAuthority`);
  return {
    url,
    audiences: checkAudiences(r, issuer, path),
    ...(discoveryUrl === '' ? {} : { discoveryUrl }),
    ...(ca === '' ? {} : { certificateAuthority: ca }),
  };
}

function mappingOf(r: Reading, value: unknown, path: string, required: boolean): ClaimMapping | ClaimExpression | undefined {
  const mapping = readFields(value, path, ['claim', 'prefix', 'expression']);
  const claim = readText(mapping, 'claim', path);
  const expression = readText(mapping, 'expression', path);
  const prefix = mapping['prefix'];
  if (claim !== '' && expression !== '') r.errors.push(fieldInvalid(path, '', "claim and expression can't both be set"));
  else if (expression !== '') {
    if (prefix !== undefined) r.errors.push(fieldInvalid(`${path}.prefix`, prefix, 'may not be specified when expression is set'));
    const program = compile(r, r.scopes.claims, expression, `${path}.expression`);
    return program === undefined ? undefined : { program };
  } else if (claim !== '') {
    if (typeof prefix === 'string') return { claim, prefix };
    r.errors.push(
      fieldRequired(`${path}.prefix`, 'prefix is required when claim is set. It can be set to an empty string to disable prefixing'),
    );
  } else if (required) r.errors.push(fieldRequired(path, 'claim or expression is required'));
  return undefined;
}

function uidMapping(r: Reading, value: unknown, path: string): ClaimRules['uid'] {
  const mapping = readFields(value, path, ['claim', 'expression']);
  const claim = readText(mapping, 'claim', path);
  const expression = readText(mapping, 'expression', path);
  if (claim !== '' && expression !== '') r.errors.push(fieldInvalid(path, '', "claim and expression can't both be set"));
  else if (claim !== '') return { claim };
  else if (expression !== '') {
    const program = compile(r, r.scopes.claims, expression, `${path}.expression`);
    return program === undefined ? undefined : { program };
  }
  return undefined;
}

const keyForm = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;
const reservedDomain = /^([^/]*\.)?(kubernetes|k8s)\.io\//;

function checkExtraKey(r: Reading, key: string, path: string): void {
  if (key === '') r.errors.push(fieldRequired(path));
  else if (!keyForm.test(key)) r.errors.push(fieldInvalid(path, key, 'must be a domain-prefixed path (such as "acme.io/foo")'));
  if (key !== key.toLowerCase()) r.errors.push(fieldInvalid(path, key, 'must be lowercase'));
  if (reservedDomain.test(key))
    r.errors.push(fieldInvalid(path, key, 'k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use'));
}

function extraMappings(r: Reading, mappings: Fields, path: string): NonNullable<ClaimRules['extra']> {
  const seen = new Set<string>();
  return readList(mappings, 'extra', path).flatMap((entry, i) => {
    const at = `${path}.extra[${i}]`;
    const extra = readFields(entry, at, ['key', 'valueExpression']);
    const key = readText(extra, 'key', at);
    checkExtraKey(r, key, `${at}.key`);
    if (seen.has(key)) {
      r.errors.push(fieldDuplicate(`${at}.key`, key));
      return [];
    }
    seen.add(key);
    const expression = readText(extra, 'valueExpression', at);
    if (expression === '') {
      r.errors.push(fieldRequired(`${at}.valueExpression`));
      return [];
    }
    const program = compile(r, r.scopes.claims, expression, `${at}.valueExpression`);
    return program === undefined ? [] : [{ key, program }];
  });
}

interface ClaimChecks {
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly claimRules: readonly ValidationRule[];
}

function claimChecks(r: Reading, jwt: Fields, path: string): ClaimChecks {
  const required = new Map<string, string>();
  const expressions = new Set<string>();
  const claimRules: ValidationRule[] = [];
  for (const [i, entry] of readList(jwt, 'claimValidationRules', path).entries()) {
    const at = `${path}.claimValidationRules[${i}]`;
    const rule = readFields(entry, at, ['claim', 'requiredValue', 'expression', 'message']);
    const [claim, value, expression, message] = ['claim', 'requiredValue', 'expression', 'message'].map((name) => readText(rule, name, at));
    if (claim !== '' && expression !== '') r.errors.push(fieldInvalid(at, claim, "claim and expression can't both be set"));
    else if (claim !== '' && claim !== undefined) {
      if (message !== '') r.errors.push(fieldInvalid(`${at}.message`, message, 'may not be specified when claim is set'));
      if (required.has(claim)) r.errors.push(fieldDuplicate(`${at}.claim`, claim));
      required.set(claim, value ?? '');
    } else if (expression !== '' && expression !== undefined) {
      if (value !== '') r.errors.push(fieldInvalid(`${at}.requiredValue`, value, 'may not be specified when expression is set'));
      if (expressions.has(expression)) r.errors.push(fieldDuplicate(`${at}.expression`, expression));
      expressions.add(expression);
      const program = compile(r, r.scopes.claims, expression, `${at}.expression`, 'bool');
      if (program !== undefined) claimRules.push({ program, message: message ?? '' });
    } else r.errors.push(fieldRequired(at, 'claim or expression is required'));
  }
  return { requiredClaims: Object.fromEntries(required), claimRules };
}

function userRules(r: Reading, jwt: Fields, path: string): readonly ValidationRule[] {
  const seen = new Set<string>();
  return readList(jwt, 'userValidationRules', path).flatMap((entry, i) => {
    const at = `${path}.userValidationRules[${i}]`;
    const rule = readFields(entry, at, ['expression', 'message']);
    const expression = readText(rule, 'expression', at);
    if (expression === '' || seen.has(expression)) {
      r.errors.push(expression === '' ? fieldRequired(`${at}.expression`) : fieldDuplicate(`${at}.expression`, expression));
      return [];
    }
    seen.add(expression);
    const program = compile(r, r.scopes.user, expression, `${at}.expression`, 'bool');
    return program === undefined ? [] : [{ program, message: readText(rule, 'message', at) }];
  });
}

/** Anybody can claim an e-mail address: who takes it for a name must look at whether it was verified. */
function checkEmail(
  r: Reading,
  rules: Pick<ClaimRules, 'extra'> & ClaimChecks,
  username: ClaimRules['username'] | undefined,
  path: string,
): void {
  if (username === undefined || !('program' in username) || !username.program.selects('claims', 'email')) return;
  const verifying = [username.program, ...(rules.extra ?? []).map((e) => e.program), ...rules.claimRules.map((c) => c.program)];
  if (verifying.some((p) => p.selects('claims', 'email_verified'))) return;
  r.errors.push(
    fieldInvalid(
      `${path}.claimMappings.username.expression`,
      username.program.expression,
      'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression',
    ),
  );
}

function jwtIssuer(r: Reading, value: unknown, path: string, disallowed: readonly string[]): OidcIssuer {
  const jwt = readFields(value, path, ['issuer', 'claimValidationRules', 'claimMappings', 'userValidationRules']);
  const place = placeOf(r, jwt['issuer'], `${path}.issuer`, disallowed);
  const checks = claimChecks(r, jwt, path);
  const at = `${path}.claimMappings`;
  const mappings = readFields(jwt['claimMappings'], at, ['username', 'groups', 'uid', 'extra']);
  const username = mappingOf(r, mappings['username'], `${at}.username`, true);
  const groups = mappingOf(r, mappings['groups'], `${at}.groups`, false);
  const uid = uidMapping(r, mappings['uid'], `${at}.uid`);
  const extra = extraMappings(r, mappings, at);
  checkEmail(r, { ...checks, extra }, username, path);
  const users = userRules(r, jwt, path);
  return {
    ...place,
    username: username ?? { claim: '', prefix: '' },
    ...(groups === undefined ? {} : { groups }),
    ...(uid === undefined ? {} : { uid }),
    ...(extra.length === 0 ? {} : { extra }),
    ...checks,
    ...(users.length === 0 ? {} : { userRules: users, userValue: r.scopes.userValue }),
    signingAlgorithms: oidcAlgorithms,
  };
}

function anonymousOf(r: Reading, config: Fields): AuthenticationConfiguration['anonymous'] {
  if (config['anonymous'] === undefined) return undefined;
  const anonymous = readFields(config['anonymous'], 'anonymous', ['enabled', 'conditions']);
  const enabled = readBoolean(anonymous, 'enabled', 'anonymous');
  const conditions = readList(anonymous, 'conditions', 'anonymous');
  if (!enabled && conditions.length > 0)
    r.errors.push(fieldInvalid('anonymous.conditions', conditions, 'enabled should be set to true when conditions are defined'));
  const paths = conditions.map((c, i) => {
    const at = `anonymous.conditions[${i}]`;
    return readText(readFields(c, at, ['path']), 'path', at);
  });
  return { enabled, paths };
}

/** Reads the file. `disallowed`: issuers of this server's own. Throws an Error with upstream's text for what is wrong. */
export function parseAuthenticationConfig(yaml: string, disallowed: readonly string[] = []): AuthenticationConfiguration {
  const config = readConfig(yaml, 'AuthenticationConfiguration', ['v1', 'v1beta1', 'v1alpha1'], ['jwt', 'anonymous']);
  const r: Reading = { errors: [], scopes: createScopes() };
  const list = readList(config, 'jwt', '');
  if (list.length > maxIssuers) r.errors.push(fieldTooMany('jwt', list.length, maxIssuers));
  const issuers = list.slice(0, maxIssuers).map((jwt, i) => jwtIssuer(r, jwt, `jwt[${i}]`, disallowed));
  for (const [i, { url, discoveryUrl }] of issuers.entries()) {
    const before = issuers.slice(0, i);
    if (url !== '' && before.some((b) => b.url === url)) r.errors.push(fieldDuplicate(`jwt[${i}].issuer.url`, url));
    if (discoveryUrl !== undefined && before.some((b) => b.discoveryUrl === discoveryUrl))
      r.errors.push(fieldDuplicate(`jwt[${i}].issuer.discoveryURL`, discoveryUrl));
  }
  const anonymous = anonymousOf(r, config);
  refuse(r.errors);
  return { issuers, ...(anonymous === undefined ? {} : { anonymous }) };
}

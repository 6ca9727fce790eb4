/** What the claims of a verified token say about its user: k8s.io/apiserver plugin/pkg/authenticator/token/oidc. */
import type { JWTPayload } from 'jose';
import type { Program } from '#kube/cel.ts';
import { celAny } from '#kube/cel-type.ts';
import type { UserInfo } from '../contract.ts';

/** A claim or, where a prefix stands before it, the two together. */
export interface ClaimMapping {
  readonly claim: string;
  readonly prefix: string;
}

/** A CEL expression over `claims`. */
export interface ClaimExpression {
  readonly program: Program;
}

/** An expression that must be true, over `claims` or `user`. */
export interface ValidationRule extends ClaimExpression {
  readonly message: string;
}

/** How claims become a user. */
export interface ClaimRules {
  readonly username: ClaimMapping | ClaimExpression;
  readonly groups?: ClaimMapping | ClaimExpression;
  readonly uid?: Pick<ClaimMapping, 'claim'> | ClaimExpression;
  readonly extra?: readonly { readonly key: string; readonly program: Program }[];
  /** Claims that must have a value, and which. */
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly claimRules?: readonly ValidationRule[];
  readonly userRules?: readonly ValidationRule[];
  /** Makes a user what `user` expressions see. Present where there are such. */
  readonly userValue?: (user: UserInfo) => unknown;
}

const why = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The value of an expression. Throws an Error that begins with what was evaluated. */
function evaluate(what: string, program: Program, variables: Readonly<Record<string, unknown>>): unknown {
  try {
    return program.evaluate(variables);
  } catch (error) {
    throw new Error(`oidc: error evaluating ${what}: ${why(error)}`, { cause: error });
  }
}

function textClaim(payload: JWTPayload, claim: string, what: string): string {
  const value = payload[claim];
  if (value === undefined) throw new Error(`oidc: parse ${what}: claim not present`);
  if (typeof value !== 'string')
    throw new Error(`oidc: parse ${what}: json: cannot unmarshal ${typeof value} into Go value of type string`);
  return value;
}

function userName(payload: JWTPayload, mapping: ClaimRules['username'], claims: unknown): string {
  if ('program' in mapping) {
    const value = evaluate('username claim expression', mapping.program, { claims });
    if (typeof value !== 'string')
      throw new Error('oidc: error evaluating username claim expression: username claim expression must return a string');
    if (value === '') throw new Error('oidc: empty username via CEL expression is not allowed');
    return value;
  }
  const value = textClaim(payload, mapping.claim, `username claims ${JSON.stringify(mapping.claim)}`);
  if (mapping.claim === 'email' && payload['email_verified'] !== undefined && payload['email_verified'] !== true)
    throw new Error('oidc: email not verified');
  if (value === '') throw new Error(`oidc: parse username claims ${JSON.stringify(mapping.claim)}: empty`);
  return mapping.prefix + value;
}

/** "", [] and null count as absent; empty texts of a list are left out. */
function textList(value: unknown, what: string): readonly string[] {
  if (value === null || value === '') return [];
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value) || !value.every((v): v is string => typeof v === 'string'))
    throw new Error(`oidc: error evaluating ${what}: expression must return a string or a list of strings`);
  return value.filter((v) => v !== '');
}

function groupNames(payload: JWTPayload, mapping: ClaimRules['groups'], claims: unknown): readonly string[] {
  if (mapping === undefined) return [];
  if ('program' in mapping) return textList(evaluate('group claim expression', mapping.program, { claims }), 'group claim expression');
  const value = payload[mapping.claim];
  if (value === undefined) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every((g): g is string => typeof g === 'string')) throw new Error(`oidc: parse groups claim "${mapping.claim}": not text`);
  return list.map((g) => mapping.prefix + g);
}

function uidOf(payload: JWTPayload, mapping: ClaimRules['uid'], claims: unknown): string {
  if (mapping === undefined) return '';
  if ('claim' in mapping) return textClaim(payload, mapping.claim, `uid claim ${JSON.stringify(mapping.claim)}`);
  const value = evaluate('uid claim expression', mapping.program, { claims });
  if (typeof value !== 'string') throw new Error('oidc: error evaluating uid claim expression: uid claim expression must return a string');
  return value;
}

function extraOf(payload: JWTPayload, rules: ClaimRules, claims: unknown): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, readonly string[]>();
  if (typeof payload.jti === 'string' && payload.jti !== '')
    extra.set('authentication.kubernetes.io/credential-id', [`JTI=${payload.jti}`]);
  for (const { key, program } of rules.extra ?? []) {
    const what = `extra claim expression: ${program.expression}`;
    const list = textList(evaluate('extra claim expression', program, { claims }), what);
    if (list.length > 0) extra.set(key, list);
  }
  return Object.fromEntries(extra);
}

function checkRules(what: string, rules: readonly ValidationRule[], variables: Readonly<Record<string, unknown>>): void {
  for (const { program, message } of rules) {
    const value = evaluate(what, program, variables);
    if (typeof value !== 'boolean') throw new Error(`oidc: error evaluating ${what}: validation expression must return a boolean`);
    if (!value) throw new Error(`oidc: error evaluating ${what}: validation expression '${program.expression}' failed: ${message}`);
  }
}

/** The user that verified claims describe. Throws an Error with upstream's text for claims that describe none. */
export function userFromClaims(payload: JWTPayload, rules: ClaimRules): UserInfo {
  const claims = celAny(payload);
  const name = userName(payload, rules.username, claims);
  const groups = groupNames(payload, rules.groups, claims);
  const uid = uidOf(payload, rules.uid, claims);
  const extra = extraOf(payload, rules, claims);
  const user: UserInfo = {
    name,
    groups,
    ...(uid === '' ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  for (const [claim, wanted] of Object.entries(rules.requiredClaims)) {
    if (payload[claim] === undefined) throw new Error(`oidc: required claim ${claim} not present in ID token`);
    const value = textClaim(payload, claim, `claim ${claim}`);
    if (value !== wanted) throw new Error(`oidc: required claim ${claim} value does not match. Got = ${value}, want = ${wanted}`);
  }
  checkRules('claim validation expression', rules.claimRules ?? [], { claims });
  if (rules.userRules !== undefined) checkRules('user info validation rule', rules.userRules, { user: rules.userValue?.(user) });
  return user;
}

/** Tokens of OpenID Connect providers: k8s.io/apiserver plugin/pkg/authenticator/token/oidc. */
import { createRemoteJWKSet, customFetch, decodeJwt, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Clock } from '#platform/clock.ts';
import type { UserInfo } from '../contract.ts';
import { fetchJson, type HttpsFetch } from './https-json.ts';
import type { TokenAuthenticator } from './types.ts';

/** A claim or, where a prefix stands before it, the two together. */
export interface ClaimMapping {
  readonly claim: string;
  readonly prefix: string;
}

/** One issuer: the --oidc-* flags, or one entry `jwt` of an AuthenticationConfiguration. */
export interface OidcIssuer {
  readonly url: string;
  /** Where the issuer's metadata is, when not below its URL. */
  readonly discoveryUrl?: string;
  /** PEM; absent: the machine's own trust. */
  readonly certificateAuthority?: string;
  readonly audiences: readonly string[];
  readonly username: ClaimMapping;
  readonly groups?: ClaimMapping;
  readonly uidClaim?: string;
  readonly extra?: readonly { readonly key: string; readonly claim: string }[];
  /** Claims that must have a value, and which. */
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly signingAlgorithms: readonly string[];
}

/** Upstream's list of allowed algorithms. */
export const oidcAlgorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];

export interface OidcDeps {
  readonly clock: Clock;
  readonly fetch: HttpsFetch;
}

/** How long a provider that could not be reached is left alone. */
const retryMs = 10_000;

const textClaim = (payload: JWTPayload, claim: string): string | undefined => {
  const value = payload[claim];
  return typeof value === 'string' ? value : undefined;
};

function userName(payload: JWTPayload, mapping: ClaimMapping): string {
  const value = textClaim(payload, mapping.claim);
  if (value === undefined || value === '') throw new Error(`oidc: parse username claims "${mapping.claim}": claim not present`);
  if (mapping.claim === 'email' && payload['email_verified'] !== undefined && payload['email_verified'] !== true)
    throw new Error('oidc: email not verified');
  return mapping.prefix + value;
}

function groupNames(payload: JWTPayload, mapping: ClaimMapping | undefined): readonly string[] {
  if (mapping === undefined) return [];
  const value = payload[mapping.claim];
  if (value === undefined) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every((g): g is string => typeof g === 'string')) throw new Error(`oidc: parse groups claim "${mapping.claim}": not text`);
  return list.map((g) => mapping.prefix + g);
}

/** The user that verified claims describe. Throws an Error for claims that describe none. */
export function userFromClaims(payload: JWTPayload, issuer: OidcIssuer): UserInfo {
  for (const [claim, wanted] of Object.entries(issuer.requiredClaims))
    if (textClaim(payload, claim) !== wanted) throw new Error(`oidc: required claim ${claim} does not have the value it must have`);
  const uid = issuer.uidClaim === undefined ? undefined : textClaim(payload, issuer.uidClaim);
  const extra: Record<string, readonly string[]> = {};
  if (typeof payload.jti === 'string' && payload.jti !== '') extra['authentication.kubernetes.io/credential-id'] = [`JTI=${payload.jti}`];
  for (const { key, claim } of issuer.extra ?? []) {
    const value = textClaim(payload, claim);
    if (value !== undefined && value !== '') extra[key] = [value];
  }
  return {
    name: userName(payload, issuer.username),
    groups: groupNames(payload, issuer.groups),
    ...(uid === undefined ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/** Finds the issuer's keys once, and again after a failure when some time has passed. */
function keySource(issuer: OidcIssuer, deps: OidcDeps): (signal: AbortSignal) => Promise<JWTVerifyGetKey> {
  let found: JWTVerifyGetKey | undefined;
  let failed: { readonly at: number; readonly error: unknown } | undefined;
  const discover = async (signal: AbortSignal): Promise<JWTVerifyGetKey> => {
    const url = issuer.discoveryUrl ?? `${issuer.url.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const document = await fetchJson(deps.fetch, { url, ca: issuer.certificateAuthority, signal });
    if (typeof document !== 'object' || document === null) throw new Error('oidc: the metadata is no object');
    const { issuer: named, jwks_uri: keys } = document as Record<string, unknown>;
    if (named !== issuer.url)
      throw new Error(`oidc: issuer did not match the issuer returned by provider, expected "${issuer.url}" got "${String(named)}"`);
    if (typeof keys !== 'string') throw new Error('oidc: the metadata names no jwks_uri');
    return createRemoteJWKSet(new URL(keys), {
      cooldownDuration: retryMs,
      [customFetch]: (from, init) => deps.fetch({ url: from, ca: issuer.certificateAuthority, signal: init.signal }),
    });
  };
  return async (signal) => {
    if (found !== undefined) return found;
    if (failed !== undefined && deps.clock.now() - failed.at < retryMs) throw failed.error;
    try {
      found = await discover(signal);
      return found;
    } catch (error) {
      failed = { at: deps.clock.now(), error };
      throw error;
    }
  };
}

export function oidcTokens(issuer: OidcIssuer, deps: OidcDeps): TokenAuthenticator {
  const keys = keySource(issuer, deps);
  return async (token, _audiences, signal) => {
    let named: string | undefined;
    try {
      named = decodeJwt(token).iss;
    } catch {
      return undefined;
    }
    if (named !== issuer.url) return undefined;
    const { payload } = await jwtVerify(token, await keys(signal), {
      issuer: issuer.url,
      audience: [...issuer.audiences],
      algorithms: [...issuer.signingAlgorithms],
      currentDate: new Date(deps.clock.now()),
    });
    if (payload.exp === undefined) throw new Error('oidc: the token does not expire');
    return { user: userFromClaims(payload, issuer), audiences: [] };
  };
}

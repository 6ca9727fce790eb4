/** Tokens of OpenID Connect providers: k8s.io/apiserver plugin/pkg/authenticator/token/oidc. */
import { createRemoteJWKSet, customFetch, decodeJwt, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Clock } from '#platform/clock.ts';
import { type ClaimRules, userFromClaims } from './claims.ts';
import { fetchJson, type HttpsFetch } from './https-json.ts';
import type { TokenAuthenticator } from './types.ts';

/** One issuer: the --oidc-* flags, or one entry `jwt` of an AuthenticationConfiguration. */
export interface OidcIssuer extends ClaimRules {
  readonly url: string;
  /** Where the issuer's metadata is, when not below its URL. */
  readonly discoveryUrl?: string;
  /** PEM; absent: the machine's own trust. */
  readonly certificateAuthority?: string;
  /** A token must be meant for one of them. */
  readonly audiences: readonly string[];
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

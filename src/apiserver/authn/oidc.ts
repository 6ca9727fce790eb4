/** Tokens of OpenID Connect providers: k8s.io/apiserver plugin/pkg/authenticator/token/oidc. */
import { createRemoteJWKSet, customFetch, decodeJwt, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
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

type KeySource = (signal: AbortSignal) => Promise<JWTVerifyGetKey>;

/** Finds the issuer's keys once, and again after a failure when some time has passed. */
function keySource(issuer: Pick<OidcIssuer, 'url' | 'discoveryUrl' | 'certificateAuthority'>, deps: OidcDeps): KeySource {
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

/** Verifies a token of one issuer, whose keys are given. Rejects with an Error that says what is wrong. */
type Verify = (token: string, url: string, keys: KeySource, signal: AbortSignal) => Promise<JWTPayload>;

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null ? { ...value } : undefined;
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Issuers of distributed claims whose keys are kept. */
const maxSources = 100;

interface Source {
  readonly endpoint: string;
  readonly token: string;
}

/** Where the value of a claim is to be had that the token itself does not have; undefined: nowhere. OpenID Connect Core 5.6.2. */
function sourceOf(payload: JWTPayload, claim: string): Source | undefined {
  if (payload[claim] !== undefined || payload['_claim_names'] === undefined) return undefined;
  const names = fieldsOf(payload['_claim_names']);
  if (names === undefined) throw new Error('oidc: error parsing distributed claim names: not an object');
  const sources = fieldsOf(payload['_claim_sources']);
  if (sources === undefined) throw new Error('oidc: no claim sources');
  const name = Object.hasOwn(names, claim) ? names[claim] : undefined;
  if (typeof name !== 'string') return undefined;
  const source = Object.hasOwn(sources, name) ? fieldsOf(sources[name]) : undefined;
  if (source === undefined) throw new Error(`id token _claim_names contained a source ${name} missing in _claims_sources`);
  const { endpoint, access_token: token } = source;
  // Without an endpoint it may be an aggregated claim, which upstream does not look into.
  if (typeof endpoint !== 'string' || endpoint === '') return undefined;
  return { endpoint, token: typeof token === 'string' ? token : '' };
}

/** Fetches the value of one claim from where the provider says that it is: as a token of its own, signed by its own issuer. */
function distributedClaim(claim: string, { certificateAuthority: ca }: OidcIssuer, verify: Verify, deps: OidcDeps) {
  const known = new Map<string, KeySource>();
  const keysOf = (url: string): KeySource => {
    const keys = known.get(url) ?? keySource({ url, ...(ca === undefined ? {} : { certificateAuthority: ca }) }, deps);
    known.delete(url);
    known.set(url, keys);
    for (const oldest of known.keys()) {
      if (known.size <= maxSources) break;
      known.delete(oldest);
    }
    return keys;
  };
  const fetchToken = async ({ endpoint, token }: Source, signal: AbortSignal): Promise<string> => {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    try {
      const response = await deps.fetch({ url: endpoint, ca, headers, signal });
      const text = await response.text();
      if (!response.ok) throw new Error(`error while getting distributed claim JWT: ${response.status}`);
      return text.trim();
    } catch (error) {
      throw new Error(`oidc: while getting distributed claim ${JSON.stringify(claim)}: ${reasonOf(error)}`, { cause: error });
    }
  };
  return async (payload: JWTPayload, signal: AbortSignal): Promise<JWTPayload> => {
    const source = sourceOf(payload, claim);
    if (source === undefined) return payload;
    const token = await fetchToken(source, signal);
    let verified: JWTPayload;
    try {
      const { iss } = decodeJwt(token);
      if (iss === undefined) throw new Error('the token names no issuer');
      verified = await verify(token, iss, keysOf(iss), signal);
    } catch (error) {
      throw new Error(`oidc: verify distributed claim token: ${reasonOf(error)}`, { cause: error });
    }
    if (verified[claim] === undefined)
      throw new Error(
        `oidc: jwt returned by distributed claim endpoint ${JSON.stringify(source.endpoint)} did not contain claim: ${claim}`,
      );
    return { ...payload, [claim]: verified[claim] };
  };
}

export function oidcTokens(issuer: OidcIssuer, deps: OidcDeps): TokenAuthenticator {
  const keys = keySource(issuer, deps);
  const verify: Verify = async (token, url, keysOf, signal) => {
    const { payload } = await jwtVerify(token, await keysOf(signal), {
      issuer: url,
      audience: [...issuer.audiences],
      algorithms: [...issuer.signingAlgorithms],
      currentDate: new Date(deps.clock.now()),
    });
    if (payload.exp === undefined) throw new Error('oidc: the token does not expire');
    return payload;
  };
  // Upstream looks elsewhere for groups only, and only where a claim is named for them.
  const { groups } = issuer;
  const expand = groups !== undefined && 'claim' in groups ? distributedClaim(groups.claim, issuer, verify, deps) : undefined;
  return async (token, _audiences, signal) => {
    let named: string | undefined;
    try {
      named = decodeJwt(token).iss;
    } catch {
      return undefined;
    }
    if (named !== issuer.url) return undefined;
    const payload = await verify(token, issuer.url, keys, signal);
    const claims = expand === undefined ? payload : await expand(payload, signal);
    return { user: userFromClaims(claims, issuer), audiences: [] };
  };
}

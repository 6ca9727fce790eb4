/** Who may do what, put together: what app/ hands to the API server. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { TaskGroup } from '#lib/task-group.ts';
import type { Signer } from '#lib/x509.ts';
import { certificatesOf } from '#lib/x509-chain.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import { authenticateToken, createAuthenticator } from './authn/authenticator.ts';
import { bootstrapTokens } from './authn/bootstrap-tokens.ts';
import { clientCertificates } from './authn/client-certificate.ts';
import { httpsFetch } from './authn/https-json.ts';
import { legacyTokens } from './authn/legacy-tokens.ts';
import { type OidcDeps, type OidcIssuer, oidcTokens } from './authn/oidc.ts';
import { openIdRoutes } from './authn/openid.ts';
import { publishProxyConfig } from './authn/proxy-config.ts';
import { requestHeaderAuthenticator } from './authn/request-header.ts';
import { selfSubjectReview, tokenReview } from './authn/reviews.ts';
import { parseTokenFile, staticTokens } from './authn/static-tokens.ts';
import type { TokenAuthenticator } from './authn/types.ts';
import { type WebhookTokenOptions, webhookTokens } from './authn/webhook.ts';
import type { AuthorizerSpec } from './authz/authorization-config.ts';
import { createAuthorization } from './authz/authorizer.ts';

import { certificatePlugins } from './certificates/admission.ts';
import { joinRoutes } from './certificates/join.ts';
import { forgetNodePassword } from './certificates/node-passwords.ts';
import { type CertificateSigner, certificateSigners } from './certificates/signers.ts';
import type { AdmissionPlugin, Authenticate, Authorize, ExtraRoute, ObjectStore, ReviewDef, SubresourceDef } from './contract.ts';
import { follow } from './follow.ts';
import type { StartHooks } from './health.ts';
import { type SigningKeys, serviceAccountTokens, type TokenOptions } from './serviceaccount-tokens.ts';
import { serviceAccountToken } from './subresources/serviceaccount-token.ts';

type Authority = Signer & { readonly certPem: string };

/** Certificates and keys as they are now: read at each use, since they are renewed while running. */
export interface AuthKeys {
  readonly serverCa: () => Authority;
  readonly clientCa: () => Authority;
  /** PEM. */
  readonly requestHeaderCa: () => string;
  readonly serviceAccountKeys: () => { readonly signing: KeyObject; readonly verifying: readonly KeyObject[] };
  /** The key id of a public key: pki's keyIdOf. */
  readonly keyId: (key: KeyObject) => string;
  readonly joinPasswords: () => { readonly server: string; readonly agent: string };
}

export interface AuthOptions {
  /** --service-account-issuer; the first signs. */
  readonly issuers: readonly string[];
  /** --api-audiences; default: the issuers. */
  readonly audiences?: readonly string[];
  /** Contents of --token-auth-file. */
  readonly tokenFile?: string;
  /** --anonymous-auth=false. */
  readonly anonymous?: boolean;
  /** The only paths that anonymous requests may ask for (AuthenticationConfiguration); absent or empty: any. */
  readonly anonymousPaths?: readonly string[];
  /** --oidc-* flags and the issuers of an AuthenticationConfiguration. */
  readonly oidc?: readonly OidcIssuer[];
  readonly tokenWebhook?: WebhookTokenOptions;
  /** --authorization-config or --authorization-mode; default: Node, RBAC. */
  readonly authorizers?: readonly AuthorizerSpec[];
  /** Where others fetch the key set of service-account tokens. */
  readonly jwksUri: () => string;
  /** Body of /v1-k3ts/config. */
  readonly joinConfig: () => unknown;
  /** host:port of every server. */
  readonly apiServers: () => readonly string[];
}

export interface AuthDeps {
  readonly cache: WatchCache;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Auth {
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
  /** From now on these issuers' tokens are good, and no others'. */
  readonly useIssuers: (issuers: readonly OidcIssuer[]) => void;
  /** From now on these authorizers are asked. */
  readonly useAuthorizers: (authorizers: readonly AuthorizerSpec[]) => void;
  readonly reviews: readonly ReviewDef[];
  readonly subresources: readonly SubresourceDef[];
  readonly routes: readonly ExtraRoute[];
  readonly admission: readonly AdmissionPlugin[];
  readonly tokenOptions: TokenOptions;
  /** Kubernetes' own signers, for the certificate controller. */
  readonly signers: readonly CertificateSigner[];
  /** Makes the bootstrap roles and bindings and begins to follow changes; tells which hooks are done. */
  readonly start: (hooks: StartHooks) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Remembers what a text was parsed to until the text changes. */
function parsedOnce<T>(text: () => string, parse: (text: string) => T): () => T {
  let last: { readonly text: string; readonly value: T } | undefined;
  return () => {
    const now = text();
    if (last?.text !== now) last = { text: now, value: parse(now) };
    return last.value;
  };
}

function signingKeys(keys: AuthKeys): () => SigningKeys {
  let last: { readonly from: unknown; readonly value: SigningKeys } | undefined;
  return () => {
    const from = keys.serviceAccountKeys();
    if (last?.from !== from)
      last = { from, value: { signing: from.signing, verifying: from.verifying.map((key) => ({ kid: keys.keyId(key), key })) } };
    return last.value;
  };
}

const proxyNames: readonly string[] = ['system:auth-proxy'];

/** A machine may take the name of a node that was deleted. */
function nodePasswordFeed(deps: AuthDeps) {
  const prefix = '/registry/core/nodes/';
  return follow(deps.cache, prefix, {
    reset: () => undefined,
    apply: (event) => {
      if (event.type !== 'delete') return;
      const name = event.entry.key.slice(prefix.length);
      forgetNodePassword(deps.store, name).catch((error: unknown) => deps.log.warn('node password not forgotten', { node: name, error }));
    },
  });
}

/** Issuers that may be replaced while running. */
function changingIssuers(first: readonly OidcIssuer[], deps: OidcDeps) {
  let current = first.map((issuer) => oidcTokens(issuer, deps));
  const authenticate: TokenAuthenticator = (token, audiences, signal) => authenticateToken(current, token, audiences, signal);
  return {
    authenticate,
    use: (issuers: readonly OidcIssuer[]): void => {
      current = issuers.map((issuer) => oidcTokens(issuer, deps));
    },
  };
}

export function createAuth(keys: AuthKeys, options: AuthOptions, deps: AuthDeps): Auth {
  const { clock, log, store } = deps;
  const audiences = options.audiences ?? options.issuers;
  const anonymousPaths = options.anonymousPaths ?? [];
  const legacy = legacyTokens(store, deps.cache, clock, log);
  const tokenOptions: TokenOptions = { issuers: options.issuers, audiences, keys: signingKeys(keys), legacyUsed: legacy.used };
  const outside = { clock, log, fetch: httpsFetch };
  const issuers = changingIssuers(options.oidc ?? [], outside);
  const tokens: TokenAuthenticator[] = [
    ...(options.tokenFile === undefined ? [] : [staticTokens(parseTokenFile(options.tokenFile))]),
    serviceAccountTokens(tokenOptions, store, clock),
    bootstrapTokens(store, clock),
    issuers.authenticate,
    ...(options.tokenWebhook === undefined ? [] : [webhookTokens(options.tokenWebhook, outside)]),
  ];
  const clientAuthorities = parsedOnce((): string => keys.clientCa().certPem, certificatesOf);
  const proxyAuthorities: () => readonly X509Certificate[] = parsedOnce(keys.requestHeaderCa, certificatesOf);
  const authorization = createAuthorization({
    ...deps,
    ...(options.authorizers === undefined ? {} : { authorizers: options.authorizers }),
  });
  const authenticate = createAuthenticator({
    requests: [
      requestHeaderAuthenticator({ authorities: proxyAuthorities, allowedNames: proxyNames }, clock),
      clientCertificates(clientAuthorities, clock),
    ],
    tokens,
    audiences,
    allowAnonymous: (path) => options.anonymous !== false && (anonymousPaths.length === 0 || anonymousPaths.includes(path)),
    authorize: authorization.authorize,
    log,
  });
  const passwords = nodePasswordFeed(deps);
  const tasks = new TaskGroup();
  const joining = { ...keys, store, passwords: keys.joinPasswords, config: options.joinConfig, apiServers: options.apiServers, clock };
  return {
    authenticate,
    authorize: authorization.authorize,
    useIssuers: issuers.use,
    useAuthorizers: authorization.use,
    reviews: [...authorization.reviews, tokenReview(tokens, audiences), selfSubjectReview],
    subresources: [serviceAccountToken(tokenOptions, clock)],
    routes: [...joinRoutes(joining), ...openIdRoutes(tokenOptions, options.jwksUri)],
    admission: [...certificatePlugins(authorization.authorize), authorization.escalation],
    tokenOptions,
    signers: certificateSigners(keys),
    start: async (hooks) => {
      tasks.spawn(passwords.run);
      tasks.spawn(legacy.run);
      const trust = { clientCa: keys.clientCa().certPem, requestHeaderCa: keys.requestHeaderCa(), allowedNames: proxyNames };
      await Promise.all([
        hooks.run('rbac/bootstrap-roles', authorization.start),
        hooks.run('start-cluster-authentication-info-controller', () => publishProxyConfig(store, trust)),
        legacy.start(),
      ]);
    },
    stop: async () => {
      await tasks.close();
      await authorization.stop();
    },
  };
}

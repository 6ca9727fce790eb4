/** Token review by webhook: k8s.io/apiserver plugin/pkg/authenticator/token/webhook. */
import { createHash } from 'node:crypto';
import { ExpiringCache } from '#lib/expiring-cache.ts';
import type { Clock } from '#platform/clock.ts';
import type { UserInfo } from '../contract.ts';
import { authorizationHeader, type WebhookServer } from '../webhook-config.ts';
import { fetchJson, type HttpsFetch } from './https-json.ts';
import type { TokenAuthenticator, TokenIdentity } from './types.ts';

export interface WebhookTokenOptions {
  readonly server: WebhookServer;
  /** --authentication-token-webhook-cache-ttl; default 2 minutes. */
  readonly cacheMs?: number;
}

const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : []);
const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === 'object' && value !== null ? { ...value } : {});

/** The headers with which a webhook is called. */
export const webhookHeaders = (server: WebhookServer): Record<string, string> => ({
  'content-type': 'application/json',
  accept: 'application/json',
  ...authorizationHeader(server),
});

function userOf(value: unknown): UserInfo {
  const { username, uid, groups, extra } = fieldsOf(value);
  if (typeof username !== 'string' || username === '') throw new Error('the webhook named no user');
  return {
    name: username,
    groups: texts(groups),
    ...(typeof uid === 'string' && uid !== '' ? { uid } : {}),
    ...(extra === undefined ? {} : { extra: Object.fromEntries(Object.entries(fieldsOf(extra)).map(([k, v]) => [k, texts(v)])) }),
  };
}

export function webhookTokens(
  options: WebhookTokenOptions,
  deps: { readonly clock: Clock; readonly fetch: HttpsFetch },
): TokenAuthenticator {
  const { server } = options;
  const cache = new ExpiringCache<TokenIdentity | undefined>(4096, deps.clock.now);
  const review = async (token: string, audiences: readonly string[], signal: AbortSignal): Promise<TokenIdentity | undefined> => {
    const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } });
    const answer = fieldsOf(await fetchJson(deps.fetch, { ...server, method: 'POST', headers: webhookHeaders(server), body, signal }));
    const status = fieldsOf(answer['status']);
    if (status['authenticated'] !== true) {
      if (typeof status['error'] === 'string' && status['error'] !== '') throw new Error(status['error']);
      return undefined;
    }
    // A webhook that knows nothing of audiences vouches for the server's own.
    const named = texts(status['audiences']);
    const good = named.length === 0 ? audiences : audiences.filter((a) => named.includes(a));
    if (good.length === 0) throw new Error('the webhook vouches for other audiences');
    return { user: userOf(status['user']), audiences: good };
  };
  return async (token, audiences, signal) => {
    const key = createHash('sha256')
      .update(JSON.stringify([token, audiences]))
      .digest('base64');
    const known = cache.get(key);
    if (known !== undefined) return known;
    const identity = await review(token, audiences, signal);
    if (identity !== undefined) cache.set(key, identity, options.cacheMs ?? 120_000);
    return identity;
  };
}

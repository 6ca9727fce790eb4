/** Who asks: every authenticator in upstream's order, the group of the authenticated, and impersonation. */
import { StatusError } from '#kube/status-error.ts';
import type { Logger } from '#platform/log.ts';
import type { Authenticate, AuthnRequest, Authorize, UserInfo } from '../contract.ts';
import { impersonate } from './impersonation.ts';
import { anonymous, type RequestAuthenticator, type TokenAuthenticator, type TokenIdentity, withAuthenticatedGroup } from './types.ts';

export interface AuthenticatorOptions {
  /** In order: request headers, client certificates. */
  readonly requests: readonly RequestAuthenticator[];
  readonly tokens: readonly TokenAuthenticator[];
  /** --api-audiences. */
  readonly audiences: readonly string[];
  /** Whether a request without credentials to this path is let through as system:anonymous. */
  readonly allowAnonymous: (path: string) => boolean;
  /** Decides on impersonation. */
  readonly authorize: Authorize;
  readonly log: Logger;
}

const unauthorized = (): StatusError => new StatusError('Unauthorized', 'Unauthorized');

/** Longest bearer token that is looked at. */
const longestToken = 16 * 1024;

/** The bearer token of a request: in the Authorization header, or in a websocket's subprotocols as browsers must send it. */
export function bearerToken(request: Pick<AuthnRequest, 'headers'>): string | undefined {
  const header = request.headers['authorization']?.trim() ?? '';
  const [scheme = '', token = ''] = header.split(/\s+/, 2);
  if (scheme.toLowerCase() === 'bearer') return token === '' ? undefined : token;
  const protocols = request.headers['sec-websocket-protocol'];
  const prefix = 'base64url.bearer.authorization.k8s.io.';
  const offered = protocols
    ?.split(',')
    .map((p) => p.trim())
    .find((p) => p.startsWith(prefix));
  return offered === undefined ? undefined : Buffer.from(offered.slice(prefix.length), 'base64url').toString('utf8');
}

/** Asks each; the first answer counts, else the first complaint is thrown, else undefined. */
async function firstAnswer<T>(asks: readonly (() => T | undefined | Promise<T | undefined>)[]): Promise<T | undefined> {
  let complaint: unknown;
  for (const ask of asks) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      complaint ??= error;
    }
  }
  if (complaint !== undefined) throw complaint;
  return undefined;
}

/** Asks every token authenticator. Throws the first complaint when none accepts the token; undefined: nobody knows it. */
export function authenticateToken(
  tokens: readonly TokenAuthenticator[],
  token: string,
  audiences: readonly string[],
  signal: AbortSignal,
): Promise<TokenIdentity | undefined> {
  return firstAnswer(tokens.map((t) => () => t(token, audiences, signal)));
}

async function identify(options: AuthenticatorOptions, request: AuthnRequest, signal: AbortSignal): Promise<UserInfo | undefined> {
  const token = bearerToken(request);
  const asks: (() => UserInfo | undefined | Promise<UserInfo | undefined>)[] = options.requests.map((r) => () => r(request, signal));
  if (token !== undefined)
    asks.push(async () => {
      const identity = token.length > longestToken ? undefined : await authenticateToken(options.tokens, token, options.audiences, signal);
      if (identity === undefined) throw new Error('invalid bearer token');
      return identity.user;
    });
  return await firstAnswer(asks);
}

/** See Authenticate in contract.ts. The reason for a 401 goes to the log and not to the client, as upstream. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  return async (request, signal) => {
    let user: UserInfo | undefined;
    try {
      user = await identify(options, request, signal);
    } catch (error) {
      options.log.debug('unable to authenticate the request', { error, path: request.path, remoteAddress: request.remoteAddress });
      throw unauthorized();
    }
    if (user === undefined) {
      if (!options.allowAnonymous(request.path)) throw unauthorized();
      user = anonymous;
    }
    return await impersonate(withAuthenticatedGroup(user), request, options.authorize, signal);
  };
}

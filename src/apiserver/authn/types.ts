/** What an authenticator is: it knows the credentials it is shown, or leaves them to the next. */
import type { AuthnRequest, UserInfo } from '../contract.ts';

/** Undefined: no credentials of this sort. Throws an Error that says why the credentials shown are no good. */
export type RequestAuthenticator = (request: AuthnRequest, signal: AbortSignal) => UserInfo | undefined | Promise<UserInfo | undefined>;

export interface TokenIdentity {
  readonly user: UserInfo;
  /** Which of the audiences asked for the token is good for; empty where tokens of this sort know no audiences. */
  readonly audiences: readonly string[];
}

/** `audiences`: the token must be meant for one of them. Undefined: not a token of this sort. Throws an Error for a bad one. */
export type TokenAuthenticator = (
  token: string,
  audiences: readonly string[],
  signal: AbortSignal,
) => TokenIdentity | undefined | Promise<TokenIdentity | undefined>;

export const allAuthenticated = 'system:authenticated';
export const allUnauthenticated = 'system:unauthenticated';
export const anonymousName = 'system:anonymous';

export const anonymous: UserInfo = { name: anonymousName, groups: [allUnauthenticated] };

/** Adds system:authenticated to everybody who is somebody. */
export function withAuthenticatedGroup(user: UserInfo): UserInfo {
  if (user.name === anonymousName || user.groups.includes(allAuthenticated) || user.groups.includes(allUnauthenticated)) return user;
  return { ...user, groups: [...user.groups, allAuthenticated] };
}

const accountPrefix = 'system:serviceaccount:';

export const serviceAccountUser = (namespace: string, name: string): string => `${accountPrefix}${namespace}:${name}`;
export const serviceAccountGroups = (namespace: string): readonly string[] => [
  'system:serviceaccounts',
  `system:serviceaccounts:${namespace}`,
];

/** The namespace and name in "system:serviceaccount:<namespace>:<name>", or undefined for other users. */
export function splitServiceAccountUser(user: string): { readonly namespace: string; readonly name: string } | undefined {
  if (!user.startsWith(accountPrefix)) return undefined;
  const parts = user.slice(accountPrefix.length).split(':');
  const [namespace = '', name = ''] = parts;
  return parts.length === 2 && namespace !== '' && name !== '' ? { namespace, name } : undefined;
}

/** Impersonate-* headers: acting as somebody else, where authorization allows it. k8s.io/apiserver endpoints/filters/impersonation.go. */
import { badRequest } from '#kube/status-error.ts';
import { forbiddenError } from '../authz/messages.ts';
import type { Authorize, RequestHeaders, UserInfo } from '../contract.ts';
import { extraHeaders, values } from './request-header.ts';
import { allAuthenticated, allUnauthenticated, anonymousName, serviceAccountGroups, splitServiceAccountUser } from './types.ts';

interface Wanted {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

const extraPrefix = 'impersonate-extra-';

interface Target {
  readonly user: UserInfo;
  readonly wanted: readonly Wanted[];
}

function targetOf(headers: RequestHeaders): Target | undefined {
  const name = headers['impersonate-user'] ?? '';
  const groups = values(headers['impersonate-group']);
  const uid = headers['impersonate-uid'] ?? '';
  const extra = extraHeaders(headers, extraPrefix);
  if (name === '') {
    if (groups.length === 0 && uid === '' && Object.keys(extra).length === 0) return undefined;
    throw badRequest('requested impersonation of groups, UID or extra fields without impersonating a user');
  }
  const plain = { subresource: '', namespace: '' };
  const account = splitServiceAccountUser(name);
  const authentication = 'authentication.k8s.io';
  const wanted: Wanted[] = [
    account === undefined
      ? { ...plain, group: '', resource: 'users', name }
      : { ...plain, group: '', resource: 'serviceaccounts', namespace: account.namespace, name: account.name },
    ...groups.map((g) => ({ ...plain, group: '', resource: 'groups', name: g })),
    ...Object.entries(extra).flatMap(([key, list]) =>
      list.map((value) => ({ group: authentication, resource: 'userextras', subresource: key, namespace: '', name: value })),
    ),
    ...(uid === '' ? [] : [{ ...plain, group: authentication, resource: 'uids', name: uid }]),
  ];
  const own = groups.length === 0 && account !== undefined ? [...serviceAccountGroups(account.namespace)] : [...groups];
  if (name === anonymousName) {
    if (!own.includes(allUnauthenticated)) own.push(allUnauthenticated);
  } else if (!own.includes(allAuthenticated) && !own.includes(allUnauthenticated)) own.push(allAuthenticated);
  const user = {
    name,
    groups: own,
    ...(uid === '' ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  return { user, wanted };
}

/** A user with whoever acts as them, where somebody does. */
export interface EffectiveUser extends UserInfo {
  readonly impersonator?: UserInfo;
}

/** The user that the request acts as. Throws StatusError Forbidden where `user` may not act as them. */
export async function impersonate(
  user: UserInfo,
  headers: RequestHeaders,
  authorize: Authorize,
  signal: AbortSignal,
): Promise<EffectiveUser> {
  const target = targetOf(headers);
  if (target === undefined) return user;
  for (const wanted of target.wanted) {
    const attributes = { user, verb: 'impersonate', resourceRequest: true, version: '', path: '', ...wanted };
    const { decision, reason } = await authorize(attributes, signal);
    if (decision !== 'allow') throw forbiddenError(attributes, reason);
  }
  return { ...target.user, impersonator: user };
}

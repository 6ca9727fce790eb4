/**
 * Impersonate-* headers: acting as somebody else, where authorization allows it. First by the constrained modes (KEP-5284:
 * a right to act as them and one for the very request), then by the right to impersonate at large.
 * k8s.io/apiserver endpoints/filters/impersonation.
 */
import { badRequest, type StatusError } from '#kube/status-error.ts';
import { forbiddenError } from '../authz/messages.ts';
import type { AuthnRequest, AuthorizationAttributes, Authorize, UserInfo } from '../contract.ts';
import { attributesOf, parseRequestInfo } from '../request-info.ts';
import { headerValues, prefixedHeaders } from './header-values.ts';
import { allAuthenticated, allUnauthenticated, anonymousName, serviceAccountGroups, splitServiceAccountUser } from './types.ts';

/** Whom the headers name, nothing added. */
interface Wanted {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** A user with whoever acts as them, where somebody does. */
export interface EffectiveUser extends UserInfo {
  readonly impersonator?: UserInfo;
  /** The verb of the constrained mode that allowed it; absent for impersonation at large. */
  readonly constraint?: string;
}

type Asked = Pick<AuthnRequest, 'method' | 'path' | 'query' | 'rawHeaders'>;

/** Nearly no request has such a header: one look at the names tells. */
const hasHeaders = (raw: AuthnRequest['rawHeaders']): boolean => raw.some((h, i) => i % 2 === 0 && /^impersonate-/i.test(h));

function wantedOf(raw: AuthnRequest['rawHeaders']): Wanted | undefined {
  if (!hasHeaders(raw)) return undefined;
  const name = headerValues(raw, 'impersonate-user')[0] ?? '';
  const groups = headerValues(raw, 'impersonate-group');
  const uid = headerValues(raw, 'impersonate-uid')[0] ?? '';
  const extra = prefixedHeaders(raw, 'impersonate-extra-');
  if (name !== '') return { name, uid, groups, extra };
  if (groups.length === 0 && uid === '' && Object.keys(extra).length === 0) return undefined;
  throw badRequest('requested impersonation of groups, UID or extra fields without impersonating a user name');
}

/** A way of being allowed to impersonate. */
interface Mode {
  /** Absent: impersonation at large. */
  readonly name?: string;
  readonly applies: (wanted: Wanted, requestor: UserInfo) => boolean;
  /** Seen by the authorizer in place of the requestor and of the name of a node. */
  readonly anyNode?: boolean;
}

const onlyName = (w: Wanted): boolean => w.uid === '' && w.groups.length === 0 && Object.keys(w.extra).length === 0;

function nodeOf(user: string): string | undefined {
  const [, name = ''] = /^system:node:([a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/.exec(user) ?? [];
  return name === '' || name.length > 253 || !name.split('.').every((l) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(l)) ? undefined : name;
}

const nodeNameKey = 'authentication.kubernetes.io/node-name';

function isOnNode(requestor: UserInfo, node: string | undefined): boolean {
  if (node === undefined || splitServiceAccountUser(requestor.name) === undefined) return false;
  const own = requestor.extra?.[nodeNameKey] ?? [];
  return own.length === 1 && own[0] === node;
}

/** In upstream's order: the narrowest first. */
const modes: readonly Mode[] = [
  { name: 'associated-node', anyNode: true, applies: (w, requestor) => onlyName(w) && isOnNode(requestor, nodeOf(w.name)) },
  { name: 'arbitrary-node', applies: (w) => onlyName(w) && nodeOf(w.name) !== undefined },
  { name: 'serviceaccount', applies: (w) => onlyName(w) && splitServiceAccountUser(w.name) !== undefined },
  { name: 'user-info', applies: (w) => nodeOf(w.name) === undefined && splitServiceAccountUser(w.name) === undefined },
  { applies: () => true },
];

type Question = Pick<AuthorizationAttributes, 'group' | 'resource' | 'subresource' | 'namespace' | 'name'>;

const authentication = 'authentication.k8s.io';

/** What is asked about the name: its resource differs by what the user is. */
function nameQuestion(mode: Mode, wanted: Wanted): Question {
  const group = mode.name === undefined ? '' : authentication;
  const plain = { group, subresource: '', namespace: '' };
  const account = splitServiceAccountUser(wanted.name);
  if (account !== undefined) return { ...plain, resource: 'serviceaccounts', namespace: account.namespace, name: account.name };
  const node = mode.name === undefined ? undefined : nodeOf(wanted.name);
  if (node !== undefined) return { ...plain, resource: 'nodes', name: mode.anyNode === true ? '*' : node };
  return { ...plain, resource: 'users', name: wanted.name };
}

const keyForm = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)\/[a-zA-Z0-9/\-._~%!$&'()*+,;=:]+$/;

/** What the constrained modes never allow, and about what the refusal speaks. */
function forbiddenByMode(wanted: Wanted): { readonly question: Question; readonly why: string } | undefined {
  const groups = { group: authentication, resource: 'groups', subresource: '', namespace: '', name: '' };
  if (wanted.groups.includes('')) return { question: groups, why: 'impersonating the empty string group is not allowed' };
  if (wanted.groups.includes('system:masters'))
    return { question: { ...groups, name: 'system:masters' }, why: 'impersonating the system:masters group is not allowed' };
  const extras = { ...groups, resource: 'userextras' };
  for (const [key, list] of Object.entries(wanted.extra)) {
    if (key === '') return { question: extras, why: 'impersonating the empty string key in extra is not allowed' };
    if (key !== key.toLowerCase())
      return { question: extras, why: `impersonating a non-lowercase key in extra is not allowed: ${JSON.stringify(key)}` };
    if (!keyForm.test(key))
      return {
        question: extras,
        why: `impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ${JSON.stringify(key)}: must be a domain-prefixed path (such as "acme.io/foo")`,
      };
    if (list.includes('')) return { question: extras, why: 'impersonating the empty string value in extra is not allowed' };
  }
  return undefined;
}

/** As many checks as this are first tried as one for all: upstream's manyAuthorizationChecksInLoop. */
const manyChecks = 4;

interface Asking {
  readonly mode: Mode;
  /** Throws StatusError Forbidden. */
  readonly ask: (question: Question) => Promise<void>;
  readonly refuse: (question: Question, why: string) => StatusError;
}

async function askAll({ mode, ask }: Asking, questions: readonly Question[], all: Question): Promise<void> {
  if (mode.name !== undefined && questions.length >= manyChecks) {
    try {
      await ask(all);
      return;
    } catch {
      // One by one, then.
    }
  }
  for (const question of questions) await ask(question);
}

async function authorizeWanted(asking: Asking, wanted: Wanted): Promise<void> {
  const { mode, ask } = asking;
  const name = nameQuestion(mode, wanted);
  await ask(name);
  const plain = { subresource: '', namespace: '' };
  if (wanted.uid !== '') await ask({ ...plain, group: authentication, resource: 'uids', name: wanted.uid });
  const forbidden = mode.name === undefined ? undefined : forbiddenByMode(wanted);
  if (forbidden !== undefined) throw asking.refuse(forbidden.question, forbidden.why);
  const groups = { ...plain, group: name.group, resource: 'groups' };
  await askAll(
    asking,
    wanted.groups.map((g) => ({ ...groups, name: g })),
    { ...groups, name: '*' },
  );
  const extras = { group: authentication, resource: 'userextras', namespace: '' };
  await askAll(
    asking,
    Object.entries(wanted.extra).flatMap(([key, list]) => list.map((value) => ({ ...extras, subresource: key, name: value }))),
    { ...extras, subresource: '*', name: '*' },
  );
}

/** The user with the groups that follow from who it is. */
function userOf(mode: Mode, wanted: Wanted): UserInfo {
  const { name, uid, extra } = wanted;
  let groups = [...wanted.groups];
  const account = splitServiceAccountUser(name);
  if (groups.length === 0 && account !== undefined) groups = [...serviceAccountGroups(account.namespace)];
  if (mode.name !== undefined && nodeOf(name) !== undefined) groups = ['system:nodes'];
  const missing = name === anonymousName ? allUnauthenticated : groups.includes(allUnauthenticated) ? undefined : allAuthenticated;
  if (missing !== undefined && !groups.includes(missing)) groups.push(missing);
  return { name, groups, ...(uid === '' ? {} : { uid }), ...(Object.keys(extra).length === 0 ? {} : { extra }) };
}

/** A requestor that stands for the same service account on every node. */
const onAnyNode = (user: UserInfo): UserInfo => ({
  ...user,
  extra: { 'authentication.kubernetes.io/associated-node-keys': Object.keys(user.extra ?? {}).sort() },
});

async function tryMode(mode: Mode, wanted: Wanted, request: AuthorizationAttributes, authorize: Authorize, signal: AbortSignal) {
  const user = mode.anyNode === true ? onAnyNode(request.user) : request.user;
  const verb = mode.name === undefined ? 'impersonate' : `impersonate:${mode.name}`;
  const check = async (attributes: AuthorizationAttributes): Promise<void> => {
    const { decision, reason } = await authorize(attributes, signal);
    if (decision !== 'allow') throw forbiddenError(attributes, reason);
  };
  if (mode.name !== undefined) await check({ ...request, user, verb: `impersonate-on:${mode.name}:${request.verb}` });
  const attributes = (question: Question) => ({ user, verb, resourceRequest: true, version: 'v1', path: '', ...question });
  const ask = (question: Question): Promise<void> => check(attributes(question));
  await authorizeWanted({ mode, ask, refuse: (question, why) => forbiddenError(attributes(question), why) }, wanted);
  return verb;
}

/** Whose impersonation was refused, for the audit. */
const requestors = new WeakMap<object, UserInfo>();
export const requestorOf = (error: object): UserInfo | undefined => requestors.get(error);

/** The user that the request acts as. Throws StatusError Forbidden, with the first refusal, where `user` may not act as them. */
export async function impersonate(user: UserInfo, request: Asked, authorize: Authorize, signal: AbortSignal): Promise<EffectiveUser> {
  const wanted = wantedOf(request.rawHeaders);
  if (wanted === undefined) return user;
  const attributes = attributesOf({ ...request, user }, parseRequestInfo(request.method, request.path, request.query));
  let refusal: unknown;
  for (const mode of modes) {
    if (!mode.applies(wanted, user)) continue;
    try {
      const verb = await tryMode(mode, wanted, attributes, authorize, signal);
      return { ...userOf(mode, wanted), impersonator: user, ...(mode.name === undefined ? {} : { constraint: verb }) };
    } catch (error) {
      refusal ??= error;
    }
  }
  if (typeof refusal === 'object' && refusal !== null) requestors.set(refusal, user);
  throw refusal;
}

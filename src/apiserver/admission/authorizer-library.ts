/**
 * `authorizer` in expressions (k8s.io/apiserver pkg/cel/library/authz.go). Expressions are evaluated in one go, but an authorizer may
 * have to be waited for: an answer that is not known yet is noted, and the expression is evaluated anew when it has come.
 */
import type { CelScope } from '#kube/cel.ts';
import { CelValueError } from '#kube/cel-library.ts';
import { isDns1123Label, isDns1123Subdomain } from '#kube/names.ts';
import type { AuthorizationAttributes, Authorize, Decision, UserInfo } from '../contract.ts';

interface Check {
  readonly path?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

class Answer {
  readonly decision: Decision | undefined;
  readonly error: string | undefined;
  constructor(decision: Decision | undefined, error: string | undefined) {
    this.decision = decision;
    this.error = error;
  }
}

/** Asks an authorizer the same question once only (plugin/authorizer CachingAuthorizer). */
export interface Asker {
  readonly ask: (attributes: AuthorizationAttributes) => Answer;
  /** Resolves when the answers that were missing are there; undefined: none was. */
  readonly missing: () => Promise<unknown> | undefined;
}

const waiting = new Answer(undefined, 'the authorizer has not answered yet');
const failed = (error: unknown): Answer => new Answer(undefined, error instanceof Error ? error.message : String(error));

export function createAsker(authorize: Authorize, signal: AbortSignal): Asker {
  const known = new Map<string, Answer>();
  let pending: Promise<void>[] = [];
  const begin = (attributes: AuthorizationAttributes, key: string): Answer => {
    try {
      const decision = authorize(attributes, signal);
      if (!(decision instanceof Promise)) return new Answer(decision, undefined);
      const settled = (answer: Answer): void => void known.set(key, answer);
      pending.push(
        decision.then(
          (d) => settled(new Answer(d, undefined)),
          (error: unknown) => settled(failed(error)),
        ),
      );
      return waiting;
    } catch (error) {
      return failed(error);
    }
  };
  return {
    ask: (attributes) => {
      const key = JSON.stringify(attributes);
      let answer = known.get(key);
      if (answer === undefined) {
        answer = begin(attributes, key);
        known.set(key, answer);
      }
      return answer;
    },
    missing: () => {
      if (pending.length === 0) return undefined;
      const all = Promise.all(pending);
      pending = [];
      return all;
    },
  };
}

/** One link of `authorizer.group(…).resource(…).check(…)`. */
class Asking {
  readonly asker: Asker;
  readonly user: UserInfo;
  readonly subject: Check;
  constructor(asker: Asker, user: UserInfo, subject: Check = {}) {
    this.asker = asker;
    this.user = user;
    this.subject = subject;
  }
}
class PathCheck extends Asking {}
class GroupCheck extends Asking {}
class ResourceCheck extends Asking {}
class Authorizer extends Asking {
  /** What the request itself is about. */
  readonly requestResource: ResourceCheck;
  constructor(asker: Asker, user: UserInfo, own: Check = {}) {
    super(asker, user);
    this.requestResource = new ResourceCheck(asker, user, own);
  }
}

/** The value of `authorizer` for a user and what the user's request is about. */
export const authorizerValue = (asker: Asker, user: UserInfo, own: Check): object => new Authorizer(asker, user, own);

function check(a: Asking, verb: string): Answer {
  const { path, group = '', resource = '', subresource = '', namespace = '', name = '', fieldSelector, labelSelector } = a.subject;
  return a.asker.ask({
    user: a.user,
    verb,
    resourceRequest: path === undefined,
    group,
    version: '*',
    resource,
    subresource,
    namespace,
    name,
    path: path ?? '',
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
  });
}

/** A text that something must be asked with. */
function given(what: string, text: string): string {
  if (text.trim() === '') throw new CelValueError(`${what} must not be empty`);
  return text;
}

const type = 'kubernetes.authorization';

/** Declares the types, their functions and the variable. */
export function declareAuthorizer(scope: CelScope): void {
  for (const [name, ctor] of Object.entries({ PathCheck, GroupCheck, ResourceCheck }))
    scope.declareType(`${type}.${name}`, {}, ctor as never);
  scope.declareType(`${type}.Authorizer`, { requestResource: `${type}.ResourceCheck` }, Authorizer as never);
  scope.declareType(`${type}.Decision`, {}, Answer as never);
  scope.define(
    `${type}.Authorizer.path(string): ${type}.PathCheck`,
    (a: Authorizer, path: string) => new PathCheck(a.asker, a.user, { path: given('path', path) }),
  );
  scope.define(
    `${type}.Authorizer.group(string): ${type}.GroupCheck`,
    (a: Authorizer, group: string) => new GroupCheck(a.asker, a.user, { group }),
  );
  scope.define(
    `${type}.Authorizer.serviceAccount(string, string): ${type}.Authorizer`,
    (a: Authorizer, namespace: string, account: string) => {
      if (isDns1123Subdomain(account).length > 0) throw new CelValueError('Invalid service account name');
      if (isDns1123Label(namespace).length > 0) throw new CelValueError('Invalid service account namespace');
      // As upstream, which asks for the account itself, not for one that has been authenticated.
      const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
      return new Authorizer(a.asker, { name: `system:serviceaccount:${namespace}:${account}`, groups });
    },
  );
  scope.define(
    `${type}.GroupCheck.resource(string): ${type}.ResourceCheck`,
    (a: GroupCheck, resource: string) => new ResourceCheck(a.asker, a.user, { ...a.subject, resource: given('resource', resource) }),
  );
  for (const field of ['subresource', 'namespace', 'name', 'fieldSelector', 'labelSelector'] as const) {
    scope.define(
      `${type}.ResourceCheck.${field}(string): ${type}.ResourceCheck`,
      (a: ResourceCheck, value: string) => new ResourceCheck(a.asker, a.user, { ...a.subject, [field]: value }),
    );
  }
  for (const name of ['PathCheck', 'ResourceCheck']) {
    scope.define(`${type}.${name}.check(string): ${type}.Decision`, (a: Asking, verb: string) => {
      return check(a, verb);
    });
  }
  scope.define(`${type}.Decision.allowed(): bool`, (a: Answer) => a.decision?.decision === 'allow');
  scope.define(`${type}.Decision.errored(): bool`, (a: Answer) => a.error !== undefined);
  scope.define(`${type}.Decision.error(): string`, (a: Answer) => a.error ?? '');
  scope.define(`${type}.Decision.reason(): string`, (a: Answer) => a.decision?.reason ?? '');
  scope.declareVariable('authorizer', `${type}.Authorizer`);
}

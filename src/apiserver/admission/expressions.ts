/**
 * CEL in admission: the variables that policies and match conditions see, the authorizer, and lazily evaluated variables of a
 * policy (k8s.io/apiserver pkg/admission/plugin/cel).
 */
import { type Cel, type CelScope, type Program, perCallLimit, requestBudget } from '#kube/cel.ts';
import { celAny } from '#kube/cel-type.ts';
import { namespaces } from '#kube/refs.ts';
import type { AdmissionRequest, Authorize, Decision, ObjectReader, UserInfo } from '../contract.ts';
import { reviewRequest } from './review.ts';

export interface ExpressionDeps {
  readonly cel: Cel;
  readonly objects: Pick<ObjectReader, 'get'>;
  /** Absent: expressions have no authorizer. */
  readonly authorize?: Authorize;
}

interface Check {
  readonly verb: string;
  readonly path?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** One link of `authorizer.group(…).resource(…).check(…)`. */
class Asking {
  readonly user: UserInfo;
  readonly check: Partial<Check>;
  constructor(user: UserInfo, check: Partial<Check> = {}) {
    this.user = user;
    this.check = check;
  }
}
class PathCheck extends Asking {}
class GroupCheck extends Asking {}
class ResourceCheck extends Asking {}
class Authorizer extends Asking {
  /** What the request itself is about. */
  readonly requestResource: ResourceCheck;
  constructor(user: UserInfo, check: Partial<Check> = {}) {
    super(user);
    this.requestResource = new ResourceCheck(user, check);
  }
}
class Answer {
  readonly decision: Decision | undefined;
  readonly error: string | undefined;
  constructor(decision: Decision | undefined, error: string | undefined) {
    this.decision = decision;
    this.error = error;
  }
}

function decide(authorize: Authorize, asking: Asking, verb: string, signal: AbortSignal): Answer {
  const { path, group = '', resource = '', subresource = '', namespace = '', name = '' } = asking.check;
  try {
    const decision = authorize(
      {
        user: asking.user,
        verb,
        resourceRequest: path === undefined,
        group,
        version: '*',
        resource,
        subresource,
        namespace,
        name,
        path: path ?? '',
      },
      signal,
    );
    if (decision instanceof Promise) return new Answer(undefined, 'the authorizer of this cluster cannot be asked in an expression');
    return new Answer(decision, undefined);
  } catch (error) {
    return new Answer(undefined, error instanceof Error ? error.message : String(error));
  }
}

function declareAuthorizer(scope: CelScope, authorize: Authorize): void {
  const name = 'kubernetes.authorization';
  for (const [type, ctor] of Object.entries({ PathCheck, GroupCheck, ResourceCheck }))
    scope.declareType(`${name}.${type}`, {}, ctor as never);
  scope.declareType(`${name}.Authorizer`, { requestResource: `${name}.ResourceCheck` }, Authorizer as never);
  scope.declareType(`${name}.Decision`, {}, Answer as never);
  const never = new AbortController().signal;
  scope.define(`${name}.Authorizer.path(string): ${name}.PathCheck`, (a: Authorizer, path: string) => new PathCheck(a.user, { path }));
  scope.define(`${name}.Authorizer.group(string): ${name}.GroupCheck`, (a: Authorizer, group: string) => new GroupCheck(a.user, { group }));
  scope.define(
    `${name}.Authorizer.serviceAccount(string, string): ${name}.Authorizer`,
    (_: Authorizer, namespace: string, account: string) => {
      const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
      return new Authorizer({ name: `system:serviceaccount:${namespace}:${account}`, groups });
    },
  );
  scope.define(
    `${name}.GroupCheck.resource(string): ${name}.ResourceCheck`,
    (a: GroupCheck, resource: string) => new ResourceCheck(a.user, { ...a.check, resource }),
  );
  for (const field of ['subresource', 'namespace', 'name'] as const) {
    scope.define(
      `${name}.ResourceCheck.${field}(string): ${name}.ResourceCheck`,
      (a: ResourceCheck, value: string) => new ResourceCheck(a.user, { ...a.check, [field]: value }),
    );
  }
  for (const type of ['PathCheck', 'ResourceCheck']) {
    scope.define(`${name}.${type}.check(string): ${name}.Decision`, (a: Asking, verb: string) => decide(authorize, a, verb, never));
  }
  scope.define(`${name}.Decision.allowed(): bool`, (a: Answer) => a.decision?.decision === 'allow');
  scope.define(`${name}.Decision.errored(): bool`, (a: Answer) => a.error !== undefined);
  scope.define(`${name}.Decision.error(): string`, (a: Answer) => a.error ?? '');
  scope.define(`${name}.Decision.reason(): string`, (a: Answer) => a.decision?.reason ?? '');
  scope.declareVariable('authorizer', `${name}.Authorizer`);
}

export interface CompiledVariables {
  readonly names: readonly string[];
  readonly programs: ReadonlyMap<string, Program>;
}

/** The scope in which the expressions of one policy are compiled. */
export interface PolicyScope {
  readonly compile: CelScope['compile'];
  /** Declares the policy's variables; they may use one another, but not in circles. Once for a scope. Throws CelCompileError. */
  readonly declareVariables: (variables: readonly { readonly name: string; readonly expression: string }[]) => CompiledVariables;
  /** What expressions see for a request. */
  readonly bind: (request: AdmissionRequest, params: unknown, variables?: CompiledVariables) => Bound;
}

export interface Bound {
  /** Evaluates under the request's budget. Throws what Program.evaluate throws. */
  readonly evaluate: (program: Program) => unknown;
}

const ownCheck = (r: AdmissionRequest): Partial<Check> => ({
  group: r.def.ref.group,
  resource: r.def.ref.plural,
  subresource: r.subresource,
  namespace: r.namespace,
  name: r.name,
});

export function createPolicyScope(deps: ExpressionDeps, hasParams: boolean): PolicyScope {
  const scope = deps.cel.scope();
  for (const name of ['object', 'oldObject', 'request', 'namespaceObject', ...(hasParams ? ['params'] : [])])
    scope.declareVariable(name, 'dyn');
  const { authorize } = deps;
  if (authorize !== undefined) declareAuthorizer(scope, authorize);
  // One class per scope: the library knows types by their classes.
  class Variables extends Map<string, unknown> {
    readonly #read: (name: string) => unknown;
    readonly #known = new Map<string, unknown>();
    constructor(read: (name: string) => unknown) {
      super();
      this.#read = read;
    }
    override get(name: string): unknown {
      if (!this.#known.has(name)) {
        // A variable that asks for itself finds nothing.
        this.#known.set(name, undefined);
        this.#known.set(name, this.#read(name));
      }
      return this.#known.get(name);
    }
  }
  const fields = Object.create(null) as Record<string, string>;
  return {
    compile: scope.compile,
    declareVariables: (variables) => {
      const programs = new Map<string, Program>();
      for (const v of variables) fields[v.name] = 'dyn';
      scope.declareType('kubernetes.Variables', fields, Variables as never);
      scope.declareVariable('variables', 'kubernetes.Variables');
      for (const v of variables) programs.set(v.name, scope.compile(v.expression));
      return { names: variables.map((v) => v.name), programs };
    },
    bind: (request, params, variables) => {
      let budget = requestBudget;
      const namespace = request.namespace === '' ? undefined : deps.objects.get(namespaces, '', request.namespace);
      const values: Record<string, unknown> = {
        object: request.object === undefined ? null : celAny(request.object),
        oldObject: request.oldObject === undefined ? null : celAny(request.oldObject),
        request: celAny(reviewRequest(request, '')),
        namespaceObject: namespace === undefined ? null : celAny(namespace),
        params: params === undefined ? null : celAny(params),
        authorizer: new Authorizer(request.user, ownCheck(request)),
      };
      const evaluate = (program: Program): unknown => {
        const { value, cost } = program.evaluate(values, Math.min(perCallLimit, Math.max(0, budget)));
        budget -= cost;
        return value;
      };
      values['variables'] = new Variables((name) => {
        const program = variables?.programs.get(name);
        return program === undefined ? undefined : evaluate(program);
      });
      return { evaluate };
    },
  };
}

export interface Condition {
  readonly name: string;
  readonly program: Program;
}

export type ConditionResult = { readonly matched: boolean } | { readonly error: string };

/** Match conditions: one that is false decides, whatever errors others give; with errors and no false one, the error stands. */
export function matchConditions(bound: Bound, conditions: readonly Condition[]): ConditionResult {
  let error: string | undefined;
  for (const c of conditions) {
    try {
      if (bound.evaluate(c.program) !== true) return { matched: false };
    } catch (e) {
      error ??= e instanceof Error ? e.message : String(e);
    }
  }
  return error === undefined ? { matched: true } : { error };
}

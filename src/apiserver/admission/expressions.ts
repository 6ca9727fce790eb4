/**
 * CEL in admission: the variables that policies and match conditions see, and the lazily evaluated variables of a policy
 * (k8s.io/apiserver pkg/admission/plugin/cel).
 */
import { type Cel, CelCompileError, type CelScope, type CompileOptions, type Program } from '#kube/cel.ts';
import { celAny, type TypeBuilder, typeBuilder } from '#kube/cel-type.ts';
import { namespaces } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { definition } from '#kube/schema-registry.ts';
import type { AdmissionRequest, Authorize, ObjectReader } from '../contract.ts';
import { isNamespace } from './attributes.ts';
import { type Asker, authorizerValue, createAsker, declareAuthorizer } from './authorizer-library.ts';
import { namespaceSchema, requestSchema } from './expression-types.ts';
import { reviewRequest } from './review.ts';
import type { VersionedRequest } from './versions.ts';

export interface ExpressionDeps {
  readonly cel: Cel;
  readonly objects: Pick<ObjectReader, 'get'>;
  readonly authorize: Authorize;
}

export interface NamedExpression {
  readonly name: string;
  readonly expression: string;
}

/** What the expressions of one policy or webhook may name. */
export interface ScopeOptions {
  readonly params: boolean;
  readonly variables?: readonly NamedExpression[];
  /** The types of `object` and `oldObject`, and of `params`, for checking expressions against them. Without: their fields are known when they run. */
  readonly types?: { readonly object: Schema; readonly params?: Schema };
}

/** The scope in which the expressions of one policy are compiled. */
export interface PolicyScope {
  /** Throws CelCompileError. `plain`: the expression may not use the authorizer. */
  readonly compile: (expression: string, options?: CompileOptions & { readonly plain?: boolean }) => Program;
  /** What is wrong with variables, by their index; such a variable is there but cannot be read. */
  readonly errors: ReadonlyMap<number, CelCompileError>;
  /** What expressions see of a request. */
  readonly bind: (request: VersionedRequest, params: unknown) => Bound;
}

export interface Bound {
  /** Evaluates what the budget allows. Rejects with OutOfBudget, or with Error where the expression fails. */
  readonly evaluate: (program: Program) => Promise<unknown>;
  /** Sets what the evaluations that follow may cost together. */
  readonly refill: (units: number) => void;
}

/** Upstream's words when all expressions together have cost too much (ErrOutOfBudget). */
export class OutOfBudget extends Error {
  constructor() {
    super('validation failed due to running out of cost budget, no further validation rules will be run');
  }
}

/** RuntimeCELCostBudgetMatchConditions. */
export const matchConditionsBudget = 2_500_000;

const resolve = (name: string): Schema => definition(name) ?? {};

/** A scope with everything but the authorizer and variables. */
function plainScope(cel: Cel, options: ScopeOptions): { scope: CelScope; types: TypeBuilder } {
  const scope = cel.scope();
  const types = typeBuilder(scope, resolve);
  const { types: given } = options;
  const object = given === undefined ? 'dyn' : types.typeOf(given.object).name;
  scope.declareVariable('object', object);
  scope.declareVariable('oldObject', object);
  scope.declareVariable('request', types.typeOf(requestSchema).name);
  scope.declareVariable('namespaceObject', types.typeOf(namespaceSchema).name);
  if (options.params) scope.declareVariable('params', given?.params === undefined ? 'dyn' : types.typeOf(given.params).name);
  return { scope, types };
}

/** One class for each policy: the library knows types by their classes. */
function variablesClass() {
  return class Variables extends Map<string, unknown> {
    readonly #read: (name: string) => unknown;
    readonly #known = new Map<string, unknown>();
    constructor(read: (name: string) => unknown) {
      super();
      this.#read = read;
    }
    override get(name: string): unknown {
      if (!this.#known.has(name)) this.#known.set(name, this.#read(name));
      return this.#known.get(name);
    }
    forget(): void {
      this.#known.clear();
    }
  };
}

interface Compiled {
  readonly fields: Readonly<Record<string, string>>;
  readonly programs: ReadonlyMap<string, Program>;
  readonly errors: ReadonlyMap<number, CelCompileError>;
}

/** Each variable sees those before it. The scopes cannot be added to, so each is compiled in one of its own. */
function compileVariables(options: ScopeOptions, scopeWith: (fields: Readonly<Record<string, string>>) => CelScope): Compiled {
  const fields = Object.create(null) as Record<string, string>;
  const programs = new Map<string, Program>();
  const errors = new Map<number, CelCompileError>();
  for (const [i, v] of (options.variables ?? []).entries()) {
    try {
      const program = scopeWith({ ...fields }).compile(v.expression);
      programs.set(v.name, program);
      // Types with open parameters ([] and {}) are good for anything.
      fields[v.name] = /<.*\b[A-Z]\b.*>/.test(program.type) ? 'dyn' : program.type;
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      errors.set(i, error);
      fields[v.name] = 'dyn';
    }
  }
  return { fields, programs, errors };
}

const askers = new WeakMap<AdmissionRequest, Asker>();

function askerOf(r: AdmissionRequest, authorize: Authorize): Asker {
  let found = askers.get(r);
  if (found === undefined) {
    found = createAsker(authorize, r.signal);
    askers.set(r, found);
  }
  return found;
}

interface Objects {
  readonly object: unknown;
  readonly oldObject: unknown;
}

const objects = new WeakMap<VersionedRequest, Objects>();

/** Made once for all policies that match a request in the same version. */
function objectsOf(r: VersionedRequest): Objects {
  let found = objects.get(r);
  if (found === undefined) {
    const asCel = (object: object | undefined): unknown => (object === undefined ? null : celAny(object));
    found = { object: asCel(r.object), oldObject: asCel(r.oldObject) };
    objects.set(r, found);
  }
  return found;
}

/** What all expressions see of a request, but for parameters and variables. */
function visible(r: VersionedRequest, deps: ExpressionDeps, types: TypeBuilder): Record<string, unknown> {
  const { requested } = r;
  const namespace =
    requested.namespace === '' || isNamespace(requested) ? undefined : deps.objects.get(namespaces, '', requested.namespace);
  const own = {
    group: r.def.ref.group,
    resource: r.def.ref.plural,
    subresource: r.subresource,
    namespace: requested.namespace,
    name: r.name,
  };
  return {
    ...objectsOf(r),
    request: types.typeOf(requestSchema).convert(reviewRequest(r, '')),
    namespaceObject: namespace === undefined ? null : types.typeOf(namespaceSchema).convert(namespace),
    authorizer: authorizerValue(askerOf(requested, deps.authorize), r.user, own),
  };
}

/** Compiles the variables, too; what is wrong with them is in `errors`. */
export function createPolicyScope(deps: ExpressionDeps, options: ScopeOptions): PolicyScope {
  const Variables = variablesClass();
  const { scope: plain, types } = plainScope(deps.cel, options);
  const full = plain.clone();
  declareAuthorizer(full);
  const withVariables = (base: CelScope, fields: Readonly<Record<string, string>>): CelScope => {
    if (options.variables === undefined) return base;
    const scope = base.clone();
    scope.declareType('kubernetes.Variables', fields, Variables as never);
    scope.declareVariable('variables', 'kubernetes.Variables');
    return scope;
  };
  const { fields, programs, errors } = compileVariables(options, (known) => withVariables(full, known));
  const scope = withVariables(full, fields);
  let bare: CelScope | undefined;
  return {
    errors,
    compile: (expression, how = {}) => {
      if (how.plain !== true) return scope.compile(expression, how);
      bare ??= withVariables(plain, fields);
      return bare.compile(expression, how);
    },
    bind: (request, params) => {
      let budget = 0;
      const values = { ...visible(request, deps, types), params: params === undefined ? null : celAny(params) };
      const run = (program: Program): unknown => {
        const outcome = program.run(all);
        budget -= outcome.cost;
        if ('error' in outcome) throw outcome.error;
        return outcome.value;
      };
      const variables = new Variables((name) => {
        const program = programs.get(name);
        if (program === undefined) throw new Error(`composited variable ${JSON.stringify(name)} fails to compile`);
        return run(program);
      });
      const all: Record<string, unknown> = { ...values, variables };
      const asker = askerOf(request.requested, deps.authorize);
      return {
        refill: (units) => {
          budget = units;
        },
        evaluate: async (program) => {
          for (;;) {
            const before: number = budget;
            const outcome = attempt(() => run(program));
            const missing = asker.missing();
            if (missing === undefined) {
              if (budget < 0) throw new OutOfBudget();
              if ('value' in outcome) return outcome.value;
              throw outcome.error;
            }
            await missing;
            budget = before;
            variables.forget();
          }
        },
      };
    },
  };
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

function attempt(run: () => unknown): Outcome {
  try {
    return { value: run() };
  } catch (error) {
    return { error };
  }
}

export interface Condition {
  readonly name: string;
  readonly program: Program;
}

export type ConditionResult = { readonly matched: boolean } | { readonly error: string };

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Upstream's words for an expression that fails. */
export const evaluationError = (expression: string, error: unknown): string =>
  error instanceof OutOfBudget ? error.message : `expression '${expression}' resulted in error: ${messageOf(error)}`;

/** Match conditions: one that is false decides, whatever errors others give; with errors and no false one, the errors stand. */
export async function matchConditions(bound: Bound, conditions: readonly Condition[]): Promise<ConditionResult> {
  if (conditions.length === 0) return { matched: true };
  bound.refill(matchConditionsBudget);
  const errors: string[] = [];
  let matched = true;
  for (const c of conditions) {
    try {
      if ((await bound.evaluate(c.program)) !== true) matched = false;
    } catch (error) {
      if (error instanceof OutOfBudget) return { error: error.message };
      errors.push(evaluationError(c.program.expression, error));
    }
  }
  if (!matched) return { matched: false };
  if (errors.length === 0) return { matched: true };
  return { error: errors.length === 1 ? (errors[0] ?? '') : `[${[...new Set(errors)].join(', ')}]` };
}

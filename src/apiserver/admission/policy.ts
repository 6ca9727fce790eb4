/**
 * What validating and mutating admission policies share: which of them a request meets, under which bindings and with which
 * parameters (k8s.io/apiserver pkg/admission/plugin/policy/generic).
 */
import { CelCompileError } from '#kube/cel.ts';
import type { MatchCondition, Variable } from '#kube/generated/admissionregistration-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { KindDef } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { type ResourceRef, splitApiVersion } from '#kube/refs.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';
import type { AdmissionRequest, ObjectReader } from '../contract.ts';
import { namespaceOf } from './attributes.ts';
import { type Condition, createPolicyScope, type ExpressionDeps, type PolicyScope } from './expressions.ts';
import { type MatchResources, matchResources } from './match.ts';
import { inVersion, type VersionedRequest } from './versions.ts';

export interface PolicyDeps extends ExpressionDeps {
  readonly objects: Pick<ObjectReader, 'get' | 'list' | 'kindOf' | 'equivalents'>;
}

interface ParamKind {
  readonly apiVersion?: string;
  readonly kind?: string;
}

export interface ParamRef {
  readonly name?: string;
  readonly namespace?: string;
  readonly selector?: LabelSelector;
  readonly parameterNotFoundAction?: string;
}

/** What both kinds of policies have. */
export interface AnyPolicy extends KubeObject {
  readonly spec?: {
    readonly failurePolicy?: string;
    readonly paramKind?: ParamKind;
    readonly matchConstraints?: MatchResources;
    readonly matchConditions?: readonly MatchCondition[];
    readonly variables?: readonly Variable[];
  };
}

/** What both kinds of bindings have. */
export interface AnyBinding extends KubeObject {
  readonly spec?: { readonly policyName?: string; readonly paramRef?: ParamRef; readonly matchResources?: MatchResources };
}

/** A policy that a request meets, under one binding with one parameter. */
export interface Invocation<P extends KubeObject, B extends KubeObject, C> {
  readonly policy: Stored<P>;
  readonly binding: Stored<B>;
  readonly params: Stored | undefined;
  readonly compiled: C;
  /** The version of the request's resource that the policy names. */
  readonly def: KindDef;
}

/** A policy or binding that cannot be used as it is. */
export interface ConfigurationFault<P extends KubeObject, B extends KubeObject> {
  readonly policy: Stored<P>;
  readonly binding: Stored<B> | undefined;
  readonly fault: string;
}

export type Step<P extends KubeObject, B extends KubeObject, C> = Invocation<P, B, C> | ConfigurationFault<P, B>;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The parameters of a binding: one evaluation for each. `[undefined]`: the policy takes none. Throws Error. */
function parametersOf(
  deps: PolicyDeps,
  r: AdmissionRequest,
  kind: ParamKind | undefined,
  ref: ParamRef | undefined,
): readonly (Stored | undefined)[] {
  if (kind === undefined || ref === undefined) return [undefined];
  const def = paramDef(deps, kind);
  const { namespaced } = def.ref;
  const given = ref.namespace ?? '';
  if (!namespaced && given !== '') throw new Error('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  const namespace = namespaced ? given || namespaceOf(r) : '';
  if (namespaced && namespace === '')
    throw new Error('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  const found: readonly Stored[] =
    (ref.name ?? '') === ''
      ? deps.objects.list(def.ref, namespace).filter((o) => matchesLabels(fromLabelSelector(ref.selector), o.metadata.labels))
      : [deps.objects.get(def.ref, namespace, ref.name ?? '')].filter((o) => o !== undefined);
  if (found.length === 0 && ref.parameterNotFoundAction === 'Deny')
    throw new Error('no params found for policy binding with `Deny` parameterNotFoundAction');
  return found;
}

/** Throws Error. */
function paramDef({ objects }: PolicyDeps, kind: ParamKind): KindDef {
  const { group, version } = splitApiVersion(kind.apiVersion ?? '');
  const def = objects.kindOf(group, version, kind.kind ?? '');
  if (def === undefined) throw new Error(`failed to find resource referenced by paramKind: '${group}/${version}, Kind=${kind.kind ?? ''}'`);
  return def;
}

/** What is compiled of any policy. */
export interface CompiledPolicy {
  readonly scope: PolicyScope;
  readonly conditions: readonly Condition[];
}

/** Throws CelCompileError. `rewrite`: what is done to expressions before they are compiled. */
export function compilePolicy(deps: ExpressionDeps, policy: AnyPolicy, rewrite = (expression: string) => expression): CompiledPolicy {
  const { paramKind, variables = [], matchConditions = [] } = policy.spec ?? {};
  const scope = createPolicyScope(deps, {
    params: paramKind !== undefined,
    variables: variables.map((v) => ({ name: v.name, expression: rewrite(v.expression) })),
  });
  const [broken] = scope.errors.values();
  if (broken !== undefined) throw broken;
  return {
    scope,
    conditions: matchConditions.map((c) => ({ name: c.name, program: scope.compile(c.expression, { result: ['bool'], exact: true }) })),
  };
}

export interface PolicySource<P extends KubeObject, B extends KubeObject, C> {
  /** What a request meets, policy by policy and binding by binding, each in the order of their names. */
  readonly stepsFor: (r: AdmissionRequest) => readonly Step<P, B, C>[];
}

const byName = (a: Stored, b: Stored): number => (a.metadata.name < b.metadata.name ? -1 : 1);

/** The policies and bindings that are stored now. What is compiled of a policy is kept with it: stored objects never change. */
export function createPolicySource<P extends AnyPolicy, B extends AnyBinding, C extends CompiledPolicy>(
  deps: PolicyDeps,
  refs: { readonly policies: ResourceRef<P>; readonly bindings: ResourceRef<B> },
  compile: (policy: Stored<P>) => C,
): PolicySource<P, B, C> {
  const { objects } = deps;
  const known = new WeakMap<Stored<P>, C | CelCompileError>();
  const compiledOf = (policy: Stored<P>): C => {
    let found = known.get(policy);
    if (found === undefined) {
      try {
        found = compile(policy);
      } catch (error) {
        if (!(error instanceof CelCompileError)) throw error;
        found = error;
      }
      known.set(policy, found);
    }
    if (found instanceof CelCompileError) throw new Error(`compilation error: ${found.message}`);
    return found;
  };

  function stepsOfPolicy(r: AdmissionRequest, policy: Stored<P>, bindings: readonly Stored<B>[]): Step<P, B, C>[] {
    let def: KindDef | undefined;
    let compiled: C;
    try {
      def = matchResources(policy.spec?.matchConstraints ?? {}, r, objects);
      if (def === undefined) return [];
      if (policy.spec?.paramKind !== undefined) paramDef(deps, policy.spec.paramKind);
      compiled = compiledOf(policy);
    } catch (error) {
      return [{ policy, binding: undefined, fault: `failed to configure policy: ${messageOf(error)}` }];
    }
    const matched = def;
    return bindings.flatMap((binding): Step<P, B, C>[] => {
      try {
        const { matchResources: narrower, paramRef } = binding.spec ?? {};
        if (narrower !== undefined && matchResources(narrower, r, objects) === undefined) return [];
        const all = parametersOf(deps, r, policy.spec?.paramKind, paramRef);
        return all.map((params) => ({ policy, binding, params, compiled, def: matched }));
      } catch (error) {
        return [{ policy, binding, fault: `failed to configure binding: ${messageOf(error)}` }];
      }
    });
  }

  return {
    stepsFor: (r) => {
      const bindings = objects.list(refs.bindings, '');
      if (bindings.length === 0) return [];
      const ofPolicy = Map.groupBy([...bindings].sort(byName), (b) => b.spec?.policyName ?? '');
      return [...ofPolicy.keys()].sort().flatMap((name) => {
        const policy = objects.get(refs.policies, '', name);
        return policy === undefined ? [] : stepsOfPolicy(r, policy, ofPolicy.get(name) ?? []);
      });
    },
  };
}

/** The request in the versions that policies name, each made once. */
export function versionsOf(r: AdmissionRequest): (def: KindDef) => Promise<VersionedRequest> {
  const made = new Map<KindDef, Promise<VersionedRequest>>();
  return (def) => {
    let found = made.get(def);
    if (found === undefined) {
      found = inVersion(r, def);
      made.set(def, found);
    }
    return found;
  };
}

/** MutatingAdmissionPolicy (k8s.io/apiserver pkg/admission/plugin/policy/mutating). */
import { mergeObjects } from '#kube/apply-merge.ts';
import { CelCompileError, type Program } from '#kube/cel.ts';
import { celToJson, rewriteLiterals } from '#kube/cel-literals.ts';
import type { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding } from '#kube/generated/admissionregistration-v1.ts';
import { isObject, jsonEqual } from '#kube/json-value.ts';
import type { Stored } from '#kube/object.ts';
import { applyJsonPatch } from '#kube/patch-json.ts';
import { mutatingAdmissionPolicies, mutatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { draftOf } from '../codec.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { resolveDefinition } from '../managed-fields.ts';
import { become, denied } from './attributes.ts';
import {
  type Bound,
  type CompiledVariables,
  type Condition,
  createPolicyScope,
  type ExpressionDeps,
  matchConditions,
  type PolicyScope,
} from './expressions.ts';
import { isExempt, matchesResources } from './match.ts';
import { messageOf, PolicyConfigurationError, parametersOf } from './policy.ts';

type Policy = Stored<MutatingAdmissionPolicy>;
type Binding = Stored<MutatingAdmissionPolicyBinding>;

interface CompiledMutation {
  readonly kind: 'apply' | 'json';
  readonly program: Program;
}

interface Compiled {
  readonly scope: PolicyScope;
  readonly variables: CompiledVariables;
  readonly conditions: readonly Condition[];
  readonly mutations: readonly CompiledMutation[];
}

export interface MutatingPolicyDeps extends ExpressionDeps {
  readonly objects: Pick<ObjectReader, 'get' | 'list' | 'kindOf'>;
}

function compile(deps: ExpressionDeps, policy: Policy): Compiled {
  const spec = policy.spec ?? {};
  const scope = createPolicyScope(deps, spec.paramKind !== undefined);
  const variables = scope.declareVariables((spec.variables ?? []).map((v) => ({ ...v, expression: rewriteLiterals(v.expression) })));
  const mutation = (m: NonNullable<typeof spec.mutations>[number]): CompiledMutation => {
    const kind = m.patchType === 'JSONPatch' ? 'json' : 'apply';
    const expression = (kind === 'json' ? m.jsonPatch?.expression : m.applyConfiguration?.expression) ?? '';
    return { kind, program: scope.compile(rewriteLiterals(expression)) };
  };
  return {
    scope,
    variables,
    conditions: (spec.matchConditions ?? []).map((c) => ({ name: c.name, program: scope.compile(c.expression, { result: ['bool'] }) })),
    mutations: (spec.mutations ?? []).map(mutation),
  };
}

/** Changes the object of a request as one mutation says. */
function mutate(r: AdmissionRequest, bound: Bound, m: CompiledMutation): void {
  if (r.object === undefined) return;
  const result = celToJson(bound.evaluate(m.program));
  if (m.kind === 'apply' && !isObject(result)) throw new Error('type mismatch: apply configuration must be an object');
  const value = m.kind === 'json' ? applyJsonPatch(r.object, result) : mergeObjects(r.object, result, r.def.schema, resolveDefinition);
  if (jsonEqual(value, r.object)) return;
  become(r.object, draftOf(r.def, value, 'Ignore', []));
}

export function createMutatingAdmissionPolicy(deps: MutatingPolicyDeps): AdmissionPlugin {
  const { objects } = deps;
  // Stored objects never change, so what is made of one is kept with it.
  const known = new WeakMap<Policy, Compiled | CelCompileError>();
  const compiledOf = (policy: Policy): Compiled => {
    let found = known.get(policy);
    if (found === undefined) {
      try {
        found = compile(deps, policy);
      } catch (error) {
        if (!(error instanceof CelCompileError)) throw error;
        found = error;
      }
      known.set(policy, found);
    }
    if (found instanceof CelCompileError) throw new PolicyConfigurationError(found.message);
    return found;
  };

  function apply(r: AdmissionRequest, policy: Policy, binding: Binding): void {
    const compiled = compiledOf(policy);
    for (const params of parametersOf(objects, r, policy.spec?.paramKind, binding.spec?.paramRef)) {
      const matched = matchConditions(compiled.scope.bind(r, params, compiled.variables), compiled.conditions);
      if ('error' in matched) throw new Error(matched.error);
      if (!matched.matched) continue;
      // Each mutation sees what those before it made of the object.
      for (const m of compiled.mutations) mutate(r, compiled.scope.bind(r, params, compiled.variables), m);
    }
  }

  return {
    name: 'MutatingAdmissionPolicy',
    handles: (r) =>
      !isExempt(r) && r.object !== undefined && r.subresource === '' && (r.operation === 'CREATE' || r.operation === 'UPDATE'),
    admit: (r) => {
      for (const binding of objects.list(mutatingAdmissionPolicyBindings, '')) {
        const policy = objects.get(mutatingAdmissionPolicies, '', binding.spec?.policyName ?? '');
        if (policy === undefined || !matchesResources(policy.spec?.matchConstraints ?? {}, r, objects)) continue;
        if (binding.spec?.matchResources !== undefined && !matchesResources(binding.spec.matchResources, r, objects)) continue;
        try {
          apply(r, policy, binding);
        } catch (error) {
          if (policy.spec?.failurePolicy === 'Ignore') continue;
          const names = `MutatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
          throw denied(r, `${names} denied request: ${messageOf(error)}`);
        }
      }
    },
  };
}

/** MutatingAdmissionPolicy (k8s.io/apiserver pkg/admission/plugin/policy/mutating). */
import { rewriteLiterals } from '#kube/cel-literals.ts';
import type { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding } from '#kube/generated/admissionregistration-v1.ts';
import { isObject, jsonEqual } from '#kube/json-value.ts';
import { mutatingAdmissionPolicies, mutatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { StatusError, type StatusReason } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { AdmissionPlugin, MutatingRequest } from '../contract.ts';
import type { AdmissionMetrics, MutationOutcome } from './admission-metrics.ts';
import { become, denied } from './attributes.ts';
import { matchConditions, OutOfBudget } from './expressions.ts';
import { isExempt, isReview } from './match.ts';
import { type CompiledMutation, compileMutation, mutatedObject } from './mutations.ts';
import { type CompiledPolicy, compilePolicy, createPolicySource, type Invocation, messageOf, type PolicyDeps } from './policy.ts';
import { createHookRounds, type HookRounds } from './reinvocation.ts';
import { backFrom, decodedAs, inVersion, schemaOf } from './versions.ts';

type Policy = MutatingAdmissionPolicy;
type Binding = MutatingAdmissionPolicyBinding;

interface Compiled extends CompiledPolicy {
  readonly mutations: readonly CompiledMutation[];
}

export interface MutatingPolicyDeps extends PolicyDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly metrics: Pick<AdmissionMetrics, 'observeMutation'>;
}

type Mutating = Invocation<Policy, Binding, Compiled>;

/** Why a policy refuses a request. */
interface Refusal {
  readonly policy: { readonly metadata: { readonly name: string }; readonly spec?: { readonly failurePolicy?: string } };
  readonly binding: { readonly metadata: { readonly name: string } } | undefined;
  readonly message: string;
  readonly reason?: StatusReason;
}

/** Cost of all expressions of one mutation (RuntimeCELCostBudget). */
const mutationBudget = 10_000_000;

/** Changes the object of a request as one mutation says. Rejects with Error. */
async function mutate(r: MutatingRequest, i: Mutating, m: CompiledMutation): Promise<void> {
  if (r.object === undefined) return;
  // Each mutation sees what those before it made of the object.
  const v = await inVersion(r, i.def);
  if (v.object === undefined) return;
  const bound = i.compiled.scope.bind(v, i.params);
  bound.refill(mutationBudget);
  const value = await mutatedObject(bound, m, v.object, schemaOf(v.object, i.def));
  if (jsonEqual(value, v.object)) return;
  if (!isObject(value)) throw new Error('the mutation leaves no object');
  become(r.object, await backFrom(v, decodedAs(v, v.object, value)));
}

/** Runs the mutations of an invocation, all of them whatever becomes of each. True when the object has changed. */
async function mutateAll(deps: MutatingPolicyDeps, r: MutatingRequest, i: Mutating, refuse: (refusal: Refusal) => void): Promise<boolean> {
  const before = structuredClone(r.object);
  for (const m of i.compiled.mutations) {
    const start = deps.clock.monotonic();
    const count = (error: MutationOutcome['error']): void => {
      const seconds = (deps.clock.monotonic() - start) / 1000;
      deps.metrics.observeMutation({ policy: i.policy.metadata.name, binding: i.binding.metadata.name, error, seconds });
    };
    try {
      await mutate(r, i, m);
      count('no_error');
    } catch (error) {
      count(error instanceof Error && error.cause instanceof OutOfBudget ? 'out_of_budget' : 'invalid_error');
      if (error instanceof StatusError) throw error;
      refuse({ ...i, message: messageOf(error), reason: 'Invalid' });
    }
  }
  return !jsonEqual(before, r.object);
}

const keyOf = ({ policy, binding, params }: Mutating): string =>
  JSON.stringify([policy.metadata.name, binding.metadata.name, params?.metadata.namespace ?? '', params?.metadata.name ?? '']);

/** What the plugin keeps for all requests. */
interface Runner {
  readonly deps: MutatingPolicyDeps;
  readonly rounds: HookRounds;
}

async function invoke({ deps, rounds }: Runner, r: MutatingRequest, i: Mutating, refuse: (refusal: Refusal) => void): Promise<boolean> {
  const matched = await matchConditions(i.compiled.scope.bind(await inVersion(r, i.def), i.params), i.compiled.conditions);
  if ('error' in matched) refuse({ ...i, message: matched.error, reason: 'Invalid' });
  if (!('matched' in matched) || !matched.matched || !rounds.mayAsk(r, keyOf(i))) return false;
  const changed = await mutateAll(deps, r, i, refuse);
  if (changed) rounds.changed(r);
  rounds.asked(r, keyOf(i), i.policy.spec?.reinvocationPolicy === 'IfNeeded');
  return changed;
}

function refusalText({ policy, binding, message }: Refusal): string {
  const by =
    binding === undefined
      ? `policy ${JSON.stringify(policy.metadata.name)}`
      : `policy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
  return `${by} denied request: ${message}`;
}

/** The error of the first refusal, with all of them as causes; undefined: none counts. */
function refusalError(r: MutatingRequest, refusals: readonly Refusal[]): StatusError | undefined {
  const counting = refusals.filter((e) => e.policy.spec?.failurePolicy !== 'Ignore');
  const [first] = counting;
  if (first === undefined) return undefined;
  const { details } = denied(r, '');
  return new StatusError(first.reason ?? 'Forbidden', refusalText(first), {
    code: 403,
    details: { ...details, causes: counting.map((e) => ({ message: refusalText(e) })) },
  });
}

export function createMutatingAdmissionPolicy(deps: MutatingPolicyDeps): AdmissionPlugin {
  const rounds = createHookRounds();
  const source = createPolicySource<Policy, Binding, Compiled>(
    deps,
    { policies: mutatingAdmissionPolicies, bindings: mutatingAdmissionPolicyBindings },
    (policy) => {
      const compiled = compilePolicy(deps, policy, rewriteLiterals);
      return { ...compiled, mutations: (policy.spec?.mutations ?? []).map((m) => compileMutation(compiled.scope, m)) };
    },
  );
  return {
    name: 'MutatingAdmissionPolicy',
    handles: (r) => !isExempt(r) && !isReview(r) && r.object !== undefined && r.operation !== 'DELETE',
    admit: async (r) => {
      const steps = source.stepsFor(r);
      if (steps.length === 0) return;
      const refusals: Refusal[] = steps.flatMap((s) => ('fault' in s ? { ...s, message: s.fault } : []));
      rounds.begin(r);
      let changed = false;
      for (const step of steps) {
        if ('fault' in step) continue;
        if (await invoke({ deps, rounds }, r, step, (refusal) => refusals.push(refusal))) changed = true;
      }
      // As upstream, also the last that changed the object is asked again if it wants to be.
      if (changed) rounds.changed(r);
      rounds.end(r);
      const error = refusalError(r, refusals);
      if (error !== undefined) throw error;
    },
  };
}

/** ValidatingAdmissionPolicy (k8s.io/apiserver pkg/admission/plugin/policy/validating). */
import type { Program } from '#kube/cel.ts';
import type { ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, Validation } from '#kube/generated/admissionregistration-v1.ts';
import { validatingAdmissionPolicies, validatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { StatusError, type StatusReason, statusCodes } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../contract.ts';
import type { AdmissionMetrics, PolicyOutcome } from './admission-metrics.ts';
import { denied } from './attributes.ts';
import { type Bound, evaluationError, matchConditions, OutOfBudget } from './expressions.ts';
import { isExempt, isReview } from './match.ts';
import {
  type CompiledPolicy,
  compilePolicy,
  createPolicySource,
  type Invocation,
  type PolicyDeps,
  type Step,
  versionsOf,
} from './policy.ts';
import type { VersionedRequest } from './versions.ts';

type Policy = ValidatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding;

interface CompiledValidation {
  readonly validation: Validation;
  readonly program: Program;
  readonly message: Program | undefined;
}

interface Compiled extends CompiledPolicy {
  readonly validations: readonly CompiledValidation[];
  readonly annotations: readonly { readonly key: string; readonly program: Program }[];
}

type Validating = Invocation<Policy, Binding, Compiled>;

/** Something that a validation has against a request. */
interface Finding {
  readonly index: number;
  readonly message: string;
  readonly reason?: StatusReason;
  /** How its expression failed; absent: it did not. */
  readonly error?: 'invalid_error' | 'out_of_budget';
  /** A failure that the policy is to ignore: it is counted, and nothing else. */
  readonly ignored?: true;
  readonly seconds: number;
}
/** What is said of a validation before it is known how long it took. */
type Verdict = Omit<Finding, 'seconds'>;

interface Evaluated {
  readonly findings: readonly Finding[];
  /** Values of audit annotations, by key. */
  readonly annotations: readonly (readonly [key: string, value: string])[];
  /** Annotations that cannot be made refuse the request. */
  readonly annotationErrors: readonly string[];
}

const nothing: Evaluated = { findings: [], annotations: [], annotationErrors: [] };

/** RuntimeCELCostBudget: once for validations with their messages, once for audit annotations. */
const budget = 10_000_000;
/** MaxEvaluatedMessageExpressionSizeBytes. */
const maxMessageBytes = 5 * 1024;
const maxAnnotationBytes = 10 * 1024;

function compile(deps: PolicyDeps, policy: Policy): Compiled {
  const compiled = compilePolicy(deps, policy);
  const { scope } = compiled;
  return {
    ...compiled,
    validations: (policy.spec?.validations ?? []).map((validation) => ({
      validation,
      program: scope.compile(validation.expression, { result: ['bool'], exact: true }),
      message: validation.messageExpression
        ? scope.compile(validation.messageExpression, { result: ['string'], exact: true, plain: true })
        : undefined,
    })),
    annotations: (policy.spec?.auditAnnotations ?? []).map((a) => ({
      key: a.key,
      program: scope.compile(a.valueExpression, { result: ['string', 'null'], exact: true, plain: true }),
    })),
  };
}

/** Throws OutOfBudget. */
async function failureMessage(bound: Bound, v: CompiledValidation): Promise<string> {
  if (v.message !== undefined) {
    try {
      const text = await bound.evaluate(v.message);
      const usable = typeof text === 'string' && !text.trim().includes('\n') && Buffer.byteLength(text.trim()) <= maxMessageBytes;
      if (usable && text.trim() !== '') return text.trim();
    } catch (error) {
      if (error instanceof OutOfBudget) throw error;
      // The fixed message stands in for one that cannot be made.
    }
  }
  const fixed = v.validation.message?.trim() ?? '';
  return fixed === '' ? `failed expression: ${v.validation.expression.trim()}` : fixed;
}

const reasonOf = (text: string | undefined): StatusReason => {
  const known: readonly StatusReason[] = ['Unauthorized', 'Forbidden', 'Invalid', 'RequestEntityTooLarge'];
  return known.find((r) => r === text) ?? 'Invalid';
};

async function runValidation(bound: Bound, v: CompiledValidation, index: number): Promise<Verdict | undefined> {
  try {
    if ((await bound.evaluate(v.program)) === true) return undefined;
  } catch (error) {
    if (error instanceof OutOfBudget) throw error;
    return { index, message: evaluationError(v.validation.expression, error), error: 'invalid_error' };
  }
  try {
    return { index, message: await failureMessage(bound, v), reason: reasonOf(v.validation.reason) };
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    return { index, message: `failed messageExpression: ${error.message}`, error: 'out_of_budget' };
  }
}

const failsOpen = ({ policy }: Validating): boolean => policy.spec?.failurePolicy === 'Ignore';

/** A failure does what the policy says of failures. */
const found = (i: Validating, verdict: Verdict, seconds: number): Finding => ({
  ...verdict,
  ...(verdict.error !== undefined && failsOpen(i) ? { ignored: true } : {}),
  seconds,
});

/** Seconds since something began. */
type Stopwatch = () => number;

async function runValidations(bound: Bound, i: Validating, watch: () => Stopwatch): Promise<Finding[]> {
  const findings: Finding[] = [];
  const all = watch();
  bound.refill(budget);
  try {
    for (const [index, v] of i.compiled.validations.entries()) {
      const one = watch();
      const verdict = await runValidation(bound, v, index);
      if (verdict !== undefined) findings.push(found(i, verdict, one()));
    }
    return findings;
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    return [found(i, { index: 0, message: error.message, error: 'out_of_budget' }, all())];
  }
}

async function runAnnotations(bound: Bound, i: Validating): Promise<Omit<Evaluated, 'findings'>> {
  const annotations: (readonly [string, string])[] = [];
  const annotationErrors: string[] = [];
  bound.refill(budget);
  for (const a of i.compiled.annotations) {
    try {
      const value = await bound.evaluate(a.program);
      const text = typeof value === 'string' ? value.trim() : '';
      if (text !== '') annotations.push([a.key, Buffer.from(text).subarray(0, maxAnnotationBytes).toString('utf8')]);
    } catch (error) {
      if (!failsOpen(i)) annotationErrors.push(evaluationError(a.program.expression, error));
      if (error instanceof OutOfBudget) break;
    }
  }
  return { annotations, annotationErrors };
}

async function evaluate(v: VersionedRequest, i: Validating, watch: () => Stopwatch): Promise<Evaluated> {
  const began = watch();
  const bound = i.compiled.scope.bind(v, i.params);
  const matched = await matchConditions(bound, i.compiled.conditions);
  if ('error' in matched) {
    return { ...nothing, findings: [found(i, { index: 0, message: matched.error, error: 'invalid_error' }, began())] };
  }
  if (!matched.matched) return nothing;
  const findings = await runValidations(bound, i, watch);
  return { findings, ...(await runAnnotations(bound, i)) };
}

/** A refusal, under whose name and why. */
interface Denial {
  readonly by: Step<Policy, Binding, Compiled>;
  readonly message: string;
  readonly reason?: StatusReason;
}

function denialError(r: AdmissionRequest, { by, message, reason = 'Invalid' }: Denial): StatusError {
  const binding = by.binding === undefined ? '' : ` with binding '${by.binding.metadata.name}'`;
  const text = `ValidatingAdmissionPolicy '${by.policy.metadata.name}'${binding} denied request: ${message}`;
  const error = denied(r, text);
  return new StatusError(reason, error.message, {
    code: statusCodes[reason],
    details: { ...error.details, causes: [{ message: text }] },
  });
}

const outcomes: Readonly<Record<string, PolicyOutcome['action']>> = { Deny: 'deny', Warn: 'warn', Audit: 'audit' };

/** Does with a finding what the binding says; gives the refusal, if it is to be one. */
function enforce(r: AdmissionRequest, i: Validating, finding: Finding): Denial | undefined {
  const actions = i.binding.spec.validationActions;
  const policy = i.policy.metadata.name;
  const binding = i.binding.metadata.name;
  if (actions.includes('Warn'))
    r.warn(`Validation failed for ValidatingAdmissionPolicy '${policy}' with binding '${binding}': ${finding.message}`);
  if (actions.includes('Audit')) {
    const { message, index } = finding;
    const failure = { message, policy, binding, expressionIndex: index, validationActions: actions };
    r.audit('validation.policy.admission.k8s.io/validation_failure', JSON.stringify([failure]));
  }
  return actions.includes('Deny') ? { by: i, ...finding } : undefined;
}

/** Values of one policy's annotations from all its bindings: distinct ones are put together. */
function publish(r: AdmissionRequest, policy: string, annotations: readonly (readonly [string, string])[]): void {
  const values = new Map<string, Set<string>>();
  for (const [key, value] of annotations) values.set(key, (values.get(key) ?? new Set()).add(value));
  for (const [key, distinct] of values) r.audit(`${policy}/${key}`, [...distinct].join(', '));
}

export interface ValidatingPolicyDeps extends PolicyDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly metrics: Pick<AdmissionMetrics, 'observeValidation'>;
}

/** Counts findings, each under what its binding did about it. */
function count({ metrics }: ValidatingPolicyDeps, { policy, binding }: Validating, findings: readonly Finding[]): void {
  const names = { policy: policy.metadata.name, binding: binding.metadata.name };
  for (const { error = 'no_error', ignored = false, seconds } of findings) {
    const actions = ignored ? ['allow' as const] : binding.spec.validationActions.map((action) => outcomes[action] ?? 'allow');
    for (const action of actions) metrics.observeValidation({ ...names, action, error, seconds });
  }
}

export function createValidatingAdmissionPolicy(deps: ValidatingPolicyDeps): AdmissionPlugin {
  const source = createPolicySource<Policy, Binding, Compiled>(
    deps,
    { policies: validatingAdmissionPolicies, bindings: validatingAdmissionPolicyBindings },
    (policy) => compile(deps, policy),
  );
  const watch = (): Stopwatch => {
    const start = deps.clock.monotonic();
    return () => (deps.clock.monotonic() - start) / 1000;
  };
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: (r) => !isExempt(r) && !isReview(r),
    validate: async (r) => {
      const steps = source.stepsFor(r);
      if (steps.length === 0) return;
      const version = versionsOf(r);
      const denials: Denial[] = [];
      const annotations = new Map<string, (readonly [string, string])[]>();
      for (const step of steps) {
        if ('fault' in step) {
          if (step.policy.spec?.failurePolicy !== 'Ignore') denials.push({ by: step, message: step.fault });
          continue;
        }
        const result = await evaluate(await version(step.def), step, watch);
        count(deps, step, result.findings);
        denials.push(...result.findings.flatMap((f) => (f.ignored === true ? [] : (enforce(r, step, f) ?? []))));
        denials.push(...result.annotationErrors.map((message) => ({ by: step, message })));
        const { name } = step.policy.metadata;
        annotations.set(name, [...(annotations.get(name) ?? []), ...result.annotations]);
      }
      for (const [policy, values] of annotations) publish(r, policy, values);
      const [first] = denials;
      if (first !== undefined) throw denialError(r, first);
    },
  };
}

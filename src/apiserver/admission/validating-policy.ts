/** ValidatingAdmissionPolicy (k8s.io/apiserver pkg/admission/plugin/policy/validating). */
import { CelCompileError, type Program } from '#kube/cel.ts';
import type { ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, Validation } from '#kube/generated/admissionregistration-v1.ts';
import type { Stored } from '#kube/object.ts';
import { validatingAdmissionPolicies, validatingAdmissionPolicyBindings } from '#kube/refs.ts';
import { StatusError, type StatusReason, statusCodes } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied } from './attributes.ts';
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

type Policy = Stored<ValidatingAdmissionPolicy>;
type Binding = Stored<ValidatingAdmissionPolicyBinding>;

interface CompiledValidation {
  readonly validation: Validation;
  readonly program: Program;
  readonly message: Program | undefined;
}

interface Compiled {
  readonly scope: PolicyScope;
  readonly variables: CompiledVariables;
  readonly conditions: readonly Condition[];
  readonly validations: readonly CompiledValidation[];
  readonly annotations: readonly { readonly key: string; readonly program: Program }[];
}

interface Finding {
  readonly message: string;
  readonly reason: StatusReason;
  readonly index: number;
}

export interface ValidatingPolicyDeps extends ExpressionDeps {
  readonly objects: Pick<ObjectReader, 'get' | 'list' | 'kindOf'>;
}

function compile(deps: ExpressionDeps, policy: Policy): Compiled {
  const spec = policy.spec ?? {};
  const scope = createPolicyScope(deps, spec.paramKind !== undefined);
  const variables = scope.declareVariables(spec.variables ?? []);
  return {
    scope,
    variables,
    conditions: (spec.matchConditions ?? []).map((c) => ({ name: c.name, program: scope.compile(c.expression, { result: ['bool'] }) })),
    validations: (spec.validations ?? []).map((validation) => ({
      validation,
      program: scope.compile(validation.expression, { result: ['bool'] }),
      message: validation.messageExpression ? scope.compile(validation.messageExpression, { result: ['string'] }) : undefined,
    })),
    annotations: (spec.auditAnnotations ?? []).map((a) => ({
      key: a.key,
      program: scope.compile(a.valueExpression, { result: ['string', 'null'] }),
    })),
  };
}

function failureMessage(bound: Bound, v: CompiledValidation): string {
  if (v.message !== undefined) {
    try {
      const text = bound.evaluate(v.message);
      if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) return text.trim();
    } catch {
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

function runValidations(bound: Bound, compiled: Compiled, failClosed: boolean): Finding[] {
  const findings: Finding[] = [];
  for (const [index, v] of compiled.validations.entries()) {
    try {
      if (bound.evaluate(v.program) === true) continue;
      findings.push({ index, message: failureMessage(bound, v), reason: reasonOf(v.validation.reason) });
    } catch (error) {
      const message = `expression '${v.validation.expression.trim()}' resulted in error: ${messageOf(error)}`;
      if (failClosed) findings.push({ index, message, reason: 'Invalid' });
    }
  }
  return findings;
}

function annotate(r: AdmissionRequest, bound: Bound, policy: Policy, compiled: Compiled): void {
  for (const a of compiled.annotations) {
    try {
      const value = bound.evaluate(a.program);
      if (typeof value === 'string' && value !== '') r.audit(`${policy.metadata.name}/${a.key}`, value);
    } catch {
      // An annotation that cannot be made is left out.
    }
  }
}

function refusal(r: AdmissionRequest, policy: Policy, binding: Binding, finding: Finding): StatusError {
  const message = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}' denied request: ${finding.message}`;
  const error = denied(r, message);
  return new StatusError(finding.reason, error.message, {
    code: statusCodes[finding.reason],
    details: { ...error.details, causes: [{ message }] },
  });
}

function enforce(r: AdmissionRequest, policy: Policy, binding: Binding, findings: readonly Finding[]): StatusError | undefined {
  const actions = binding.spec.validationActions;
  for (const finding of findings) {
    if (actions.includes('Warn')) {
      r.warn(
        `Validation failed for ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}': ${finding.message}`,
      );
    }
  }
  if (actions.includes('Audit') && findings.length > 0) {
    const failures = findings.map((f) => ({
      message: f.message,
      policy: policy.metadata.name,
      binding: binding.metadata.name,
      expressionIndex: f.index,
      validationActions: actions,
    }));
    r.audit('validation.policy.admission.k8s.io/validation_failure', JSON.stringify(failures));
  }
  const [first] = findings;
  return first !== undefined && actions.includes('Deny') ? refusal(r, policy, binding, first) : undefined;
}

export function createValidatingAdmissionPolicy(deps: ValidatingPolicyDeps): AdmissionPlugin {
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

  /** What one binding of a policy finds. */
  function evaluate(r: AdmissionRequest, policy: Policy, binding: Binding): Finding[] {
    const failClosed = policy.spec?.failurePolicy !== 'Ignore';
    try {
      const compiled = compiledOf(policy);
      return parametersOf(objects, r, policy.spec?.paramKind, binding.spec.paramRef).flatMap((params) => {
        const bound = compiled.scope.bind(r, params, compiled.variables);
        const matched = matchConditions(bound, compiled.conditions);
        if ('error' in matched)
          return failClosed ? [{ index: 0, message: `match condition error: ${matched.error}`, reason: 'Invalid' as const }] : [];
        if (!matched.matched) return [];
        const findings = runValidations(bound, compiled, failClosed);
        annotate(r, bound, policy, compiled);
        return findings;
      });
    } catch (error) {
      if (!(error instanceof PolicyConfigurationError)) throw error;
      return failClosed ? [{ index: 0, message: `failed to configure binding: ${error.message}`, reason: 'Invalid' }] : [];
    }
  }

  return {
    name: 'ValidatingAdmissionPolicy',
    handles: (r) => !isExempt(r),
    validate: (r) => {
      const bindings = objects.list(validatingAdmissionPolicyBindings, '');
      for (const binding of bindings) {
        const policy = objects.get(validatingAdmissionPolicies, '', binding.spec.policyName);
        if (policy === undefined || !matchesResources(policy.spec?.matchConstraints ?? {}, r, objects)) continue;
        if (binding.spec.matchResources !== undefined && !matchesResources(binding.spec.matchResources, r, objects)) continue;
        const refused = enforce(r, policy, binding, evaluate(r, policy, binding));
        if (refused !== undefined) throw refused;
      }
    },
  };
}

/**
 * Refuses admission policies and webhooks whose expressions do not compile, when they are written rather than when they are first needed
 * (k8s.io/kubernetes pkg/apis/admissionregistration/validation).
 */
import { CelCompileError } from '#kube/cel.ts';
import { rewriteLiterals } from '#kube/cel-literals.ts';
import type { MatchCondition, Variable } from '#kube/generated/admissionregistration-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import { type FieldError, invalid } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../contract.ts';
import { objectAs } from './attributes.ts';
import { createPolicyScope, type ExpressionDeps, type PolicyScope } from './expressions.ts';

interface Expression {
  readonly field: string;
  readonly text: string;
  readonly result?: readonly string[];
}

interface AnyPolicy {
  readonly spec?: {
    readonly paramKind?: object;
    readonly variables?: readonly Variable[];
    readonly matchConditions?: readonly MatchCondition[];
    readonly validations?: readonly { readonly expression: string; readonly messageExpression?: string }[];
    readonly auditAnnotations?: readonly { readonly valueExpression: string }[];
    readonly mutations?: readonly {
      readonly applyConfiguration?: { readonly expression?: string };
      readonly jsonPatch?: { readonly expression?: string };
    }[];
  };
  readonly webhooks?: readonly { readonly matchConditions?: readonly MatchCondition[] }[];
}

const conditions = (prefix: string, list: readonly MatchCondition[] | undefined): Expression[] =>
  (list ?? []).map((c, i) => ({ field: `${prefix}matchConditions[${i}].expression`, text: c.expression, result: ['bool'] }));

function expressionsOf({ spec, webhooks }: AnyPolicy): Expression[] {
  return [
    ...conditions('spec.', spec?.matchConditions),
    ...(spec?.validations ?? []).flatMap((v, i): Expression[] => [
      { field: `spec.validations[${i}].expression`, text: v.expression, result: ['bool'] },
      ...(v.messageExpression
        ? [{ field: `spec.validations[${i}].messageExpression`, text: v.messageExpression, result: ['string'] }]
        : []),
    ]),
    ...(spec?.auditAnnotations ?? []).map((a, i) => ({
      field: `spec.auditAnnotations[${i}].valueExpression`,
      text: a.valueExpression,
      result: ['string', 'null'],
    })),
    ...(spec?.mutations ?? []).flatMap((m, i): Expression[] => [
      ...(m.applyConfiguration?.expression
        ? [{ field: `spec.mutations[${i}].applyConfiguration.expression`, text: m.applyConfiguration.expression }]
        : []),
      ...(m.jsonPatch?.expression ? [{ field: `spec.mutations[${i}].jsonPatch.expression`, text: m.jsonPatch.expression }] : []),
    ]),
    ...(webhooks ?? []).flatMap((w, i) => conditions(`webhooks[${i}].`, w.matchConditions)),
  ];
}

const fieldError = (field: string, text: string, error: unknown): FieldError => {
  if (!(error instanceof CelCompileError)) throw error;
  return { field, type: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(text)}: ${error.message}` };
};

/** The scope of a policy, or what is wrong with the first of its variables that does not compile. */
function scopeOf(deps: ExpressionDeps, policy: AnyPolicy): PolicyScope | FieldError {
  const variables = (policy.spec?.variables ?? []).map((v) => ({ ...v, expression: rewriteLiterals(v.expression) }));
  const fresh = (): PolicyScope => createPolicyScope(deps, policy.spec?.paramKind !== undefined);
  const scope = fresh();
  try {
    scope.declareVariables(variables);
    return scope;
  } catch (error) {
    // One by one, to find which it is; those behind it are known by name only.
    for (const [i, v] of variables.entries()) {
      const known = variables.map((o, j) => (j === i ? o : { ...o, expression: 'dyn(null)' }));
      try {
        fresh().declareVariables(known);
      } catch (own) {
        return fieldError(`spec.variables[${i}].expression`, v.expression, own);
      }
    }
    return fieldError('spec.variables', '', error);
  }
}

function check(deps: ExpressionDeps, r: AdmissionRequest): void {
  const policy = objectAs<AnyPolicy>(r);
  const scope = scopeOf(deps, policy);
  const errors: FieldError[] = [];
  if ('field' in scope) errors.push(scope);
  else {
    for (const e of expressionsOf(policy)) {
      try {
        scope.compile(rewriteLiterals(e.text), e.result === undefined ? {} : { result: e.result });
      } catch (error) {
        errors.push(fieldError(e.field, e.text, error));
      }
    }
  }
  if (errors.length > 0) throw invalid(r.def.ref, r.name, errors);
}

const kinds = new Set([
  'validatingadmissionpolicies',
  'mutatingadmissionpolicies',
  'validatingwebhookconfigurations',
  'mutatingwebhookconfigurations',
]);

export function createPolicyExpressions(deps: ExpressionDeps): AdmissionPlugin {
  return {
    name: 'PolicyExpressions',
    handles: (r) =>
      r.def.ref.group === 'admissionregistration.k8s.io' &&
      kinds.has(r.def.ref.plural) &&
      r.subresource === '' &&
      (r.operation === 'CREATE' || r.operation === 'UPDATE'),
    validate: (r) => {
      const { spec, webhooks } = objectAs<AnyPolicy>(r);
      const old = r.oldObject as AnyPolicy | undefined;
      // What was accepted once stays as it is, so that it can still be changed elsewhere.
      if (old !== undefined && jsonEqual([old.spec, old.webhooks], [spec, webhooks])) return;
      check(deps, r);
    },
  };
}

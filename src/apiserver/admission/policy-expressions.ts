/**
 * Refuses admission policies and webhooks whose expressions do not compile, when they are written rather than when they are first needed
 * (k8s.io/kubernetes pkg/apis/admissionregistration/validation).
 */
import { CelCompileError, type CompileOptions } from '#kube/cel.ts';
import { rewriteLiterals } from '#kube/cel-literals.ts';
import type { MatchCondition, Mutation, Variable } from '#kube/generated/admissionregistration-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import { type FieldError, invalid } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../contract.ts';
import { objectAs } from './attributes.ts';
import { createPolicyScope, type ExpressionDeps, type PolicyScope } from './expressions.ts';
import { compileMutation, mutationExpression } from './mutations.ts';

interface AnyPolicy {
  readonly spec?: {
    readonly paramKind?: object;
    readonly variables?: readonly Variable[];
    readonly matchConditions?: readonly MatchCondition[];
    readonly validations?: readonly { readonly expression: string; readonly messageExpression?: string }[];
    readonly auditAnnotations?: readonly { readonly valueExpression: string }[];
    readonly mutations?: readonly Mutation[];
  };
  readonly webhooks?: readonly { readonly matchConditions?: readonly MatchCondition[] }[];
}

/** Something to compile, and the field that it stands in. */
interface Expression {
  readonly field: string;
  readonly text: string;
  readonly compile: () => unknown;
}

const conditions = (prefix: string, list: readonly MatchCondition[] | undefined, scope: PolicyScope): Expression[] =>
  (list ?? []).map((c, i) => ({
    field: `${prefix}matchConditions[${i}].expression`,
    text: c.expression.trim(),
    compile: () => scope.compile(c.expression.trim(), { result: ['bool'], exact: true }),
  }));

function expressionsOf({ spec = {}, webhooks = [] }: AnyPolicy, scope: PolicyScope, conditionScope: PolicyScope): Expression[] {
  const plain = (field: string, text: string, options: CompileOptions & { readonly plain?: boolean }): Expression => ({
    field,
    text,
    compile: () => scope.compile(text, { exact: true, ...options }),
  });
  return [
    ...conditions('spec.', spec.matchConditions, conditionScope),
    ...(spec.validations ?? []).flatMap((v, i): Expression[] => [
      plain(`spec.validations[${i}].expression`, v.expression, { result: ['bool'] }),
      ...(v.messageExpression
        ? [plain(`spec.validations[${i}].messageExpression`, v.messageExpression, { result: ['string'], plain: true })]
        : []),
    ]),
    ...(spec.auditAnnotations ?? []).map((a, i) =>
      plain(`spec.auditAnnotations[${i}].valueExpression`, a.valueExpression.trim(), { result: ['string', 'null'] }),
    ),
    ...(spec.mutations ?? []).map((m, i) => ({
      field: `spec.mutations[${i}].${m.patchType === 'JSONPatch' ? 'jsonPatch' : 'applyConfiguration'}.expression`,
      text: mutationExpression(m),
      compile: () => compileMutation(scope, m),
    })),
    ...webhooks.flatMap((w, i) => conditions(`webhooks[${i}].`, w.matchConditions, conditionScope)),
  ];
}

const fieldError = (field: string, text: string, error: CelCompileError): FieldError => ({
  field,
  type: 'FieldValueInvalid',
  message: `Invalid value: ${JSON.stringify(text)}: ${error.message}`,
});

/** What does not compile. Empty texts are told by validation. */
function errorsOf(deps: ExpressionDeps, policy: AnyPolicy): FieldError[] {
  const { paramKind, variables = [], mutations } = policy.spec ?? {};
  const rewrite = mutations === undefined ? (text: string) => text : rewriteLiterals;
  const params = paramKind !== undefined;
  const scope = createPolicyScope(deps, {
    params,
    variables: variables.map((v) => ({ name: v.name, expression: rewrite(v.expression) })),
  });
  const errors: FieldError[] = [];
  for (const [i, error] of scope.errors) errors.push(fieldError(`spec.variables[${i}].expression`, variables[i]?.expression ?? '', error));
  // Match conditions come before variables and cannot use them.
  for (const e of expressionsOf(policy, scope, createPolicyScope(deps, { params }))) {
    if (e.text.trim() === '') continue;
    try {
      e.compile();
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      errors.push(fieldError(e.field, e.text, error));
    }
  }
  return errors;
}

const kinds = new Set([
  'validatingadmissionpolicies',
  'mutatingadmissionpolicies',
  'validatingwebhookconfigurations',
  'mutatingwebhookconfigurations',
]);

const handles = (r: AdmissionRequest): boolean =>
  r.def.ref.group === 'admissionregistration.k8s.io' &&
  kinds.has(r.def.ref.plural) &&
  r.subresource === '' &&
  (r.operation === 'CREATE' || r.operation === 'UPDATE');

export function createPolicyExpressions(deps: ExpressionDeps): AdmissionPlugin {
  return {
    name: 'PolicyExpressions',
    handles,
    validate: (r) => {
      const { spec, webhooks } = objectAs<AnyPolicy>(r);
      const old = r.oldObject as AnyPolicy | undefined;
      // What was accepted once stays as it is, so that it can still be changed elsewhere.
      if (old !== undefined && jsonEqual([old.spec, old.webhooks], [spec, webhooks])) return;
      const errors = errorsOf(deps, { ...(spec === undefined ? {} : { spec }), ...(webhooks === undefined ? {} : { webhooks }) });
      if (errors.length > 0) throw invalid(r.def.ref, r.name, errors);
    },
  };
}

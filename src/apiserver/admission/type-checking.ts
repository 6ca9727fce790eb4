/**
 * Checks the expressions of a ValidatingAdmissionPolicy against the types of what it matches, for its status
 * (k8s.io/apiserver pkg/admission/plugin/policy/validating/typechecking.go).
 */
import { setImmediate } from 'node:timers/promises';
import { CelCompileError } from '#kube/cel.ts';
import type { ExpressionWarning, ValidatingAdmissionPolicy } from '#kube/generated/admissionregistration-v1.ts';
import type { KindDef } from '#kube/kind.ts';
import { splitApiVersion } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { objectMetaName } from '#kube/schema-registry.ts';
import type { ObjectReader } from '../contract.ts';
import { createPolicyScope, type ExpressionDeps, type PolicyScope } from './expressions.ts';
import type { MatchRule } from './match.ts';

export interface TypeCheckDeps extends ExpressionDeps {
  readonly objects: Pick<ObjectReader, 'get' | 'kindOf' | 'resourceOf'>;
}

const maxTypes = 10;

/** The kinds that a rule names without wildcards, in order. */
function kindsOfRule(deps: TypeCheckDeps, rule: MatchRule): KindDef[] {
  const { apiGroups = [], apiVersions = [], resources = [] } = rule;
  if ([...apiGroups, ...apiVersions].some((name) => name.includes('*'))) return [];
  const plain = resources.filter((name) => !/[*/]/.test(name));
  return [...apiGroups]
    .sort()
    .flatMap((group) =>
      [...apiVersions]
        .sort()
        .flatMap((version) => [...plain].sort().flatMap((plural) => deps.objects.resourceOf(group, version, plural) ?? [])),
    );
}

const gvkText = ({ ref }: KindDef): string => `${ref.group}/${ref.version}, Kind=${ref.kind}`;

function kindsToCheck(deps: TypeCheckDeps, rules: readonly MatchRule[] | undefined): KindDef[] {
  const found = new Set((rules ?? []).flatMap((rule) => kindsOfRule(deps, rule)));
  return [...found].slice(0, maxTypes).sort((a, b) => (gvkText(a) < gvkText(b) ? -1 : 1));
}

/** The schema of a kind whose metadata has all its fields, also where a custom resource's schema leaves them out. */
function whole({ schema }: KindDef): Schema {
  return {
    ...schema,
    properties: { ...schema.properties, apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { ref: objectMetaName } },
  };
}

/** What is wrong with an expression for each kind; '' where nothing is. */
function check(scopes: readonly (readonly [KindDef, PolicyScope])[], expression: string): string {
  const warnings = scopes.flatMap(([def, scope]) => {
    try {
      scope.compile(expression);
      return [];
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      return [`${gvkText(def)}: ${error.message.replace(/^compilation failed: /, '')}\n`];
    }
  });
  return warnings.join('\n');
}

/** What the status of a policy is to warn of. Types are many: between one kind and the next, others have their turn. */
export async function typeWarnings(deps: TypeCheckDeps, { spec = {} }: ValidatingAdmissionPolicy): Promise<ExpressionWarning[]> {
  const { group, version } = splitApiVersion(spec.paramKind?.apiVersion ?? '');
  const params = spec.paramKind === undefined ? undefined : deps.objects.kindOf(group, version, spec.paramKind.kind ?? '');
  const scopes: [KindDef, PolicyScope][] = [];
  for (const def of kindsToCheck(deps, spec.matchConstraints?.resourceRules)) {
    const types = { object: whole(def), ...(params === undefined ? {} : { params: whole(params) }) };
    scopes.push([def, createPolicyScope(deps, { params: spec.paramKind !== undefined, variables: spec.variables ?? [], types })]);
    await setImmediate();
  }
  return (spec.validations ?? []).flatMap((v, i) =>
    (['expression', 'messageExpression'] as const).flatMap((field) => {
      const warning = check(scopes, v[field] || 'true');
      return warning === '' ? [] : [{ fieldRef: `spec.validations[${i}].${field}`, warning }];
    }),
  );
}

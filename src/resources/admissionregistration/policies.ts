/** Admission policies and their bindings, but for their expressions: pkg/apis/admissionregistration/validation. */
import type { MatchCondition, MatchResources, Mutation, ParamRef, Validation, Variable } from '#kube/generated/admissionregistration-v1.ts';
import { isDns1035Label, isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldProblems,
  fieldRequired,
  fieldTooMany,
} from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { pathSegmentProblems, qualifiedName } from '#kube/validation/values.ts';
import { ruleErrors } from './rules.ts';

const blank = (text: string | undefined): boolean => (text ?? '').trim() === '';

function oneOf(field: string, value: string | undefined, supported: readonly string[]): FieldError[] {
  if (value === undefined || value === '') return [fieldRequired(field)];
  return supported.includes(value) ? [] : [fieldNotSupported(field, value, supported)];
}

const duplicates = (field: (i: number) => string, values: readonly string[]): FieldError[] =>
  values.flatMap((value, i) => (value !== '' && values.indexOf(value) < i ? [fieldDuplicate(field(i), value)] : []));

const maxConditions = 64;

/** Match conditions of policies and webhooks. */
export function conditionErrors(field: string, conditions: readonly MatchCondition[] | undefined): FieldError[] {
  const list = conditions ?? [];
  const errors = list.length > maxConditions ? [fieldTooMany(field, list.length, maxConditions)] : [];
  for (const [i, c] of list.entries()) {
    if (blank(c.expression)) errors.push(fieldRequired(`${field}[${i}].expression`));
    errors.push(...(c.name === '' ? [fieldRequired(`${field}[${i}].name`)] : qualifiedName(`${field}[${i}].name`, c.name)));
  }
  return [
    ...errors,
    ...duplicates(
      (i) => `${field}[${i}].name`,
      list.map((c) => c.name),
    ),
  ];
}

function paramKindErrors(field: string, kind: { readonly apiVersion?: string; readonly kind?: string } | undefined): FieldError[] {
  if (kind === undefined) return [];
  const { apiVersion = '', kind: name = '' } = kind;
  const errors: FieldError[] = [];
  const parts = apiVersion.split('/');
  const version = parts.at(-1) ?? '';
  const group = parts.length > 1 ? (parts[0] ?? '') : '';
  if (apiVersion === '') errors.push(fieldRequired(`${field}.apiVersion`));
  else if (parts.length > 2) errors.push(fieldInvalid(`${field}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  else {
    if (group !== '') errors.push(...fieldProblems(`${field}.apiVersion`, group, isDns1123Subdomain(group)));
    if (version === '') errors.push(fieldInvalid(`${field}.apiVersion`, apiVersion, 'version must be specified'));
    else errors.push(...fieldProblems(`${field}.apiVersion`, version, isDns1035Label(version)));
  }
  if (name === '') errors.push(fieldRequired(`${field}.kind`));
  else {
    const problems = isDns1035Label(name.toLowerCase());
    if (problems.length > 0)
      errors.push(fieldInvalid(`${field}.kind`, name, `may have mixed case, but should otherwise match: ${problems.join(',')}`));
  }
  return errors;
}

function matchErrors(field: string, match: MatchResources | undefined): FieldError[] {
  if (match === undefined) return [];
  const errors = [
    ...oneOf(`${field}.matchPolicy`, match.matchPolicy, ['Equivalent', 'Exact']),
    ...labelSelector(`${field}.namespaceSelector`, match.namespaceSelector),
    ...labelSelector(`${field}.objectSelector`, match.objectSelector),
  ];
  for (const part of ['resourceRules', 'excludeResourceRules'] as const) {
    for (const [i, rule] of (match[part] ?? []).entries()) {
      const at = `${field}.${part}[${i}]`;
      const names = rule.resourceNames ?? [];
      for (const [j, name] of names.entries()) {
        errors.push(...fieldProblems(`${at}.resourceNames[${j}]`, name, pathSegmentProblems(name)));
      }
      errors.push(...duplicates((j) => `${at}.resourceNames[${j}]`, names), ...ruleErrors(at, rule));
    }
  }
  return errors;
}

const celReserved = new Set(
  'in as break const continue else for function if import let loop package namespace return var void while true false null'.split(' '),
);
const isIdentifier = (name: string): boolean => /^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) && !celReserved.has(name);

function variableErrors(field: string, variables: readonly Variable[] | undefined): FieldError[] {
  return (variables ?? []).flatMap((v, i) => [
    ...(blank(v.name)
      ? [fieldRequired(`${field}[${i}].name`, 'name is not specified')]
      : isIdentifier(v.name)
        ? []
        : [fieldInvalid(`${field}[${i}].name`, v.name, 'name is not a valid CEL identifier')]),
    ...(blank(v.expression) ? [fieldRequired(`${field}[${i}].expression`, 'expression is not specified')] : []),
  ]);
}

interface CommonSpec {
  readonly failurePolicy?: string;
  readonly paramKind?: { readonly apiVersion?: string; readonly kind?: string };
  readonly matchConstraints?: MatchResources;
  readonly matchConditions?: readonly MatchCondition[];
  readonly variables?: readonly Variable[];
}

function commonErrors(spec: CommonSpec): FieldError[] {
  const constraints = spec.matchConstraints;
  return [
    ...oneOf('spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore']),
    ...paramKindErrors('spec.paramKind', spec.paramKind),
    ...(constraints === undefined ? [fieldRequired('spec.matchConstraints')] : matchErrors('spec.matchConstraints', constraints)),
    ...(constraints !== undefined && (constraints.resourceRules ?? []).length === 0
      ? [fieldRequired('spec.matchConstraints.resourceRules')]
      : []),
    ...conditionErrors('spec.matchConditions', spec.matchConditions),
    ...variableErrors('spec.variables', spec.variables),
  ];
}

const hasNewlines = (text: string): boolean => /[\n\r]/.test(text);

function validationErrors(field: string, v: Validation): FieldError[] {
  const errors: FieldError[] = [];
  if (blank(v.expression)) errors.push(fieldRequired(`${field}.expression`, 'expression is not specified'));
  if (v.messageExpression !== undefined && v.messageExpression !== '' && blank(v.messageExpression))
    errors.push(fieldInvalid(`${field}.messageExpression`, v.messageExpression, 'must be non-empty if specified'));
  if (v.message !== undefined && v.message !== '' && blank(v.message))
    errors.push(fieldInvalid(`${field}.message`, v.message, 'message must be non-empty if specified'));
  else if (hasNewlines((v.message ?? '').trim()))
    errors.push(fieldInvalid(`${field}.message`, v.message, 'message must not contain line breaks'));
  const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];
  if (v.reason !== undefined && !reasons.includes(v.reason)) errors.push(fieldNotSupported(`${field}.reason`, v.reason, reasons));
  return errors;
}

const maxAnnotations = 20;
const maxAnnotationExpression = 5 * 1024;

interface ValidatingPolicy {
  readonly metadata: { readonly name?: string };
  readonly spec?: CommonSpec & {
    readonly validations?: readonly Validation[];
    readonly auditAnnotations?: readonly { readonly key: string; readonly valueExpression: string }[];
  };
}

function annotationErrors({ metadata, spec }: ValidatingPolicy): FieldError[] {
  const field = 'spec.auditAnnotations';
  const list = spec?.auditAnnotations ?? [];
  const errors =
    list.length > maxAnnotations ? [fieldInvalid(field, list, `must not have more than ${maxAnnotations} auditAnnotations`)] : [];
  for (const [i, a] of list.entries()) {
    const { name = '' } = metadata;
    if (name === '') errors.push(fieldInvalid(`${field}[${i}].key`, a.key, 'requires metadata.name be non-empty'));
    else errors.push(...qualifiedName(`${field}[${i}].key`, `${name}/${a.key}`));
    if (blank(a.valueExpression)) errors.push(fieldRequired(`${field}[${i}].valueExpression`, 'valueExpression is not specified'));
    else if (Buffer.byteLength(a.valueExpression.trim()) > maxAnnotationExpression)
      errors.push(fieldRequired(`${field}[${i}].valueExpression`, `must not exceed ${maxAnnotationExpression} bytes in length`));
  }
  return [
    ...errors,
    ...duplicates(
      (i) => `${field}[${i}].key`,
      list.map((a) => a.key),
    ),
  ];
}

/** A ValidatingAdmissionPolicy matches something and checks or notes something. */
export function validateValidatingPolicy(object: ValidatingPolicy): FieldError[] {
  const spec = object.spec ?? {};
  const errors = commonErrors(spec);
  const { validations = [], auditAnnotations = [] } = spec;
  if (validations.length === 0 && auditAnnotations.length === 0) {
    const why = 'validations or auditAnnotations must contain at least one item';
    return [...errors, fieldRequired('spec.validations', why), fieldRequired('spec.auditAnnotations', why)];
  }
  return [...errors, ...validations.flatMap((v, i) => validationErrors(`spec.validations[${i}]`, v)), ...annotationErrors(object)];
}

function mutationErrors(field: string, m: Mutation): FieldError[] {
  const parts = { ApplyConfiguration: 'applyConfiguration', JSONPatch: 'jsonPatch' } as const;
  if (m.patchType !== 'ApplyConfiguration' && m.patchType !== 'JSONPatch')
    return oneOf(`${field}.patchType`, m.patchType, ['ApplyConfiguration', 'JSONPatch']);
  const own = parts[m.patchType];
  const other = own === 'jsonPatch' ? 'applyConfiguration' : 'jsonPatch';
  const errors: FieldError[] = [];
  if (m[own] === undefined) errors.push(fieldRequired(`${field}.${own}`, `must be specified when patchType is ${m.patchType}`));
  else if (blank(m[own].expression)) errors.push(fieldRequired(`${field}.${own}.expression`, 'expression is not specified'));
  if (m[other] !== undefined)
    errors.push(fieldInvalid(`${field}.${other}`, `{${other}}`, `must not be specified when patchType is ${m.patchType}`));
  return errors;
}

/** A MutatingAdmissionPolicy matches something and changes it. */
export function validateMutatingPolicy(object: {
  readonly spec?: CommonSpec & { readonly mutations?: readonly Mutation[]; readonly reinvocationPolicy?: string };
}): FieldError[] {
  const spec = object.spec ?? {};
  const { mutations = [] } = spec;
  return [
    ...commonErrors(spec),
    ...(mutations.length === 0 ? [fieldRequired('spec.mutations', 'mutations must contain at least one item')] : []),
    ...mutations.flatMap((m, i) => mutationErrors(`spec.mutations[${i}]`, m)),
    ...oneOf('spec.reinvocationPolicy', spec.reinvocationPolicy, ['IfNeeded', 'Never']),
  ];
}

function paramRefErrors(field: string, ref: ParamRef | undefined): FieldError[] {
  if (ref === undefined) return [];
  const { name = '', selector } = ref;
  const errors: FieldError[] = [];
  errors.push(...fieldProblems(`${field}.name`, name, pathSegmentProblems(name)));
  const exclusive = 'name and selector are mutually exclusive';
  if (name !== '' && selector !== undefined)
    errors.push(fieldForbidden(`${field}.name`, exclusive), fieldForbidden(`${field}.selector`, exclusive));
  errors.push(...labelSelector(`${field}.selector`, selector));
  if (name === '' && selector === undefined) errors.push(fieldRequired(field, 'one of name or selector must be specified'));
  return [...errors, ...oneOf(`${field}.parameterNotFoundAction`, ref.parameterNotFoundAction, ['Deny', 'Allow'])];
}

interface Binding {
  readonly spec?: {
    readonly policyName?: string;
    readonly paramRef?: ParamRef;
    readonly matchResources?: MatchResources;
    readonly validationActions?: readonly string[];
  };
}

export function validatePolicyBinding({ spec = {} }: Binding): FieldError[] {
  const name = spec.policyName ?? '';
  return [
    ...(name === '' ? [fieldRequired('spec.policyName')] : fieldProblems('spec.policyName', name, isDns1123Subdomain(name))),
    ...paramRefErrors('spec.paramRef', spec.paramRef),
    // The field's name is misspelt upstream.
    ...matchErrors('spec.matchResouces', spec.matchResources),
  ];
}

const bothActions =
  'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';

/** A binding of a ValidatingAdmissionPolicy also says what happens. */
export function validateValidatingBinding(object: Binding): FieldError[] {
  const field = 'spec.validationActions';
  const actions = object.spec?.validationActions ?? [];
  const known = ['Audit', 'Deny', 'Warn'];
  return [
    ...validatePolicyBinding(object),
    ...actions.flatMap((action, i) => (known.includes(action) ? [] : [fieldNotSupported(`${field}[${i}]`, action, known)])),
    ...duplicates((i) => `${field}[${i}]`, actions),
    ...(actions.includes('Deny') && actions.includes('Warn') ? [fieldInvalid(field, actions, bothActions)] : []),
    ...(actions.length === 0 ? [fieldRequired(field, 'at least one validation action is required')] : []),
  ];
}

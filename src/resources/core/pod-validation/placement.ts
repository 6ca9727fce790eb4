/** Where a pod may run: node selectors, affinity, tolerations, spreading. */
import type {
  Affinity,
  NodeSelector,
  NodeSelectorRequirement,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { isLabelValue, isQualifiedName } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldProblems,
  fieldRequired,
} from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { dnsLabel, dnsSubdomain, optionalOneOf, positive, qualifiedName } from '#kube/validation/values.ts';

function requirement(field: string, r: NodeSelectorRequirement): FieldError[] {
  const count = r.values?.length ?? 0;
  const errors: FieldError[] = [];
  if (r.operator === 'In' || r.operator === 'NotIn') {
    if (count === 0) errors.push(fieldRequired(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (r.operator === 'Exists' || r.operator === 'DoesNotExist') {
    if (count > 0) errors.push(fieldForbidden(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  } else if (r.operator === 'Gt' || r.operator === 'Lt') {
    if (count !== 1) errors.push(fieldRequired(`${field}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  } else errors.push(fieldInvalid(`${field}.operator`, r.operator, 'not a valid selector operator'));
  return [...errors, ...qualifiedName(`${field}.key`, r.key)];
}

type Term = NodeSelector['nodeSelectorTerms'][number];

/** `anyValue`: values that no label can have are taken: where the term is a preference. */
function nodeTerm(field: string, term: Term, anyValue: boolean): FieldError[] {
  const expressions = (term.matchExpressions ?? []).flatMap((r, i) => {
    const at = `${field}.matchExpressions[${i}]`;
    const values = anyValue ? [] : (r.values ?? []).flatMap((v, j) => fieldProblems(`${at}.values[${j}]`, v, isLabelValue(v)));
    return [...requirement(at, r), ...values];
  });
  const fields = (term.matchFields ?? []).flatMap((r, i) => {
    const at = `${field}.matchFields[${i}]`;
    const errors: FieldError[] = [];
    if (r.operator === 'In' || r.operator === 'NotIn') {
      if (r.values?.length !== 1)
        errors.push(fieldRequired(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
    } else errors.push(fieldInvalid(`${at}.operator`, r.operator, 'not a valid selector operator'));
    if (r.key !== 'metadata.name') errors.push(fieldInvalid(`${at}.key`, r.key, 'not a valid field selector key'));
    else for (const [j, name] of (r.values ?? []).entries()) errors.push(...dnsSubdomain(`${at}.values[${j}]`, name));
    return errors;
  });
  return [...expressions, ...fields];
}

/** A NodeSelector: at least one term. */
export function nodeSelector(field: string, selector: NodeSelector): FieldError[] {
  if (selector.nodeSelectorTerms.length === 0)
    return [fieldRequired(`${field}.nodeSelectorTerms`, 'must have at least one node selector term')];
  return selector.nodeSelectorTerms.flatMap((term, i) => nodeTerm(`${field}.nodeSelectorTerms[${i}]`, term, false));
}

const weightOf = (field: string, weight: number): FieldError[] =>
  weight >= 1 && weight <= 100 ? [] : [fieldInvalid(`${field}.weight`, weight, 'must be in the range 1-100')];

function podTerm(field: string, term: PodAffinityTerm): FieldError[] {
  const errors = [
    ...labelSelector(`${field}.labelSelector`, term.labelSelector),
    ...labelSelector(`${field}.namespaceSelector`, term.namespaceSelector),
  ];
  for (const namespace of term.namespaces ?? []) errors.push(...dnsLabel(`${field}.namespace`, namespace));
  errors.push(...labelKeys(field, term));
  if (term.topologyKey === '') errors.push(fieldRequired(`${field}.topologyKey`, 'can not be empty'));
  return [...errors, ...qualifiedName(`${field}.topologyKey`, term.topologyKey)];
}

interface KeyedTerm {
  readonly labelSelector?: LabelSelector;
  readonly matchLabelKeys?: readonly string[];
  readonly mismatchLabelKeys?: readonly string[];
}

/** Keys of labels whose values the pod itself gives: validateMatchLabelKeysAndMismatchLabelKeys. */
function labelKeys(field: string, { labelSelector: selector, matchLabelKeys = [], mismatchLabelKeys = [] }: KeyedTerm): FieldError[] {
  const errors: FieldError[] = [];
  for (const [part, keys] of [
    ['matchLabelKeys', matchLabelKeys],
    ['mismatchLabelKeys', mismatchLabelKeys],
  ] as const) {
    const at = `${field}.${part}`;
    if (keys.length === 0) continue;
    if (selector === undefined) errors.push(fieldForbidden(at, 'must not be specified when labelSelector is not set'));
    else for (const [i, key] of keys.entries()) errors.push(...qualifiedName(`${at}[${i}]`, key));
  }
  // What the keys stand for has been added to the selector: a key that is there besides was there before.
  const seen = new Set(Object.keys(selector?.matchLabels ?? {}));
  for (const { key } of selector?.matchExpressions ?? []) {
    const i = matchLabelKeys.lastIndexOf(key);
    if (i >= 0 && seen.has(key)) errors.push(fieldInvalid(`${field}[${i}]`, key, 'exists in both matchLabelKeys and labelSelector'));
    seen.add(key);
  }
  for (const [i, key] of matchLabelKeys.entries())
    if (mismatchLabelKeys.includes(key))
      errors.push(fieldInvalid(`${field}.matchLabelKeys[${i}]`, key, 'exists in both matchLabelKeys and mismatchLabelKeys'));
  return errors;
}

export function affinity(field: string, value: Affinity | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const node = value?.nodeAffinity;
  const required = node?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required !== undefined)
    errors.push(...nodeSelector(`${field}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`, required));
  for (const [i, term] of (node?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${field}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
    errors.push(...weightOf(at, term.weight), ...nodeTerm(`${at}.preference`, term.preference, true));
  }
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    const terms = value?.[kind];
    for (const [i, term] of (terms?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      errors.push(...podTerm(`${field}.${kind}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`, term));
    }
    for (const [i, term] of (terms?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const at = `${field}.${kind}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      errors.push(...weightOf(at, term.weight), ...podTerm(`${at}.podAffinityTerm`, term.podAffinityTerm));
    }
  }
  return errors;
}

export const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function toleration(field: string, t: Toleration): FieldError[] {
  const errors: FieldError[] = [];
  const { key = '', operator = '', effect = '', value = '' } = t;
  if (key !== '') errors.push(...fieldProblems(`${field}.key`, key, isQualifiedName(key)));
  else if (operator !== 'Exists') {
    errors.push(
      fieldInvalid(
        `${field}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ),
    );
  }
  if (t.tolerationSeconds !== undefined && effect !== 'NoExecute') {
    errors.push(fieldInvalid(`${field}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
  }
  if (operator === '' || operator === 'Equal') {
    const problems = isLabelValue(value);
    if (problems.length > 0) errors.push(fieldInvalid(`${field}.operator`, value, problems.join(';')));
  } else if (operator === 'Exists') {
    if (value !== '') errors.push(fieldInvalid(`${field}.operator`, value, "value must be empty when `operator` is 'Exists'"));
  } else errors.push(fieldNotSupported(`${field}.operator`, operator, ['Equal', 'Exists']));
  if (effect !== '' && !taintEffects.includes(effect)) errors.push(fieldNotSupported(`${field}.effect`, effect, taintEffects));
  return errors;
}

export const tolerations = (field: string, list: readonly Toleration[] | undefined): FieldError[] =>
  (list ?? []).flatMap((t, i) => toleration(`${field}[${i}]`, t));

function minDomains(field: string, { minDomains: least, whenUnsatisfiable: action }: TopologySpreadConstraint): FieldError[] {
  if (least === undefined) return [];
  const errors = positive(field, least);
  if (action === 'DoNotSchedule') return errors;
  return [...errors, fieldInvalid(field, least, `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`)];
}

export function spreadConstraints(field: string, list: readonly TopologySpreadConstraint[] | undefined): FieldError[] {
  const pairs = (list ?? []).map((c) => `{${c.topologyKey}, ${c.whenUnsatisfiable}}`);
  return (list ?? []).flatMap((c, i) => {
    const at = `${field}[${i}]`;
    const pair = pairs[i] ?? '';
    const action = ['DoNotSchedule', 'ScheduleAnyway'].includes(c.whenUnsatisfiable);
    return [
      ...positive(`${at}.maxSkew`, c.maxSkew),
      ...(c.topologyKey === '' ? [fieldRequired(`${at}.topologyKey`, 'can not be empty')] : []),
      ...(action ? [] : [fieldNotSupported(`${at}.whenUnsatisfiable`, c.whenUnsatisfiable, ['DoNotSchedule', 'ScheduleAnyway'])]),
      // The first of two that are the same is told of.
      ...(pairs.indexOf(pair, i + 1) < 0 ? [] : [fieldDuplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair)]),
      ...minDomains(`${at}.minDomains`, c),
      ...optionalOneOf(`${at}.nodeAffinityPolicy`, c.nodeAffinityPolicy, ['Honor', 'Ignore']),
      ...optionalOneOf(`${at}.nodeTaintsPolicy`, c.nodeTaintsPolicy, ['Honor', 'Ignore']),
      ...labelKeys(at, c),
      ...labelSelector(`${at}.labelSelector`, c.labelSelector),
    ];
  });
}

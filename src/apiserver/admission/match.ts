/**
 * Which requests webhooks and admission policies are about: rules, selectors, exemptions
 * (k8s.io/apiserver pkg/admission/plugin/webhook/predicates).
 */
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { namespaces } from '#kube/refs.ts';
import { fromLabelSelector, type Labels, matchesLabels } from '#kube/selector.ts';
import { notFound } from '#kube/status-error.ts';
import type { AdmissionRequest, ObjectReader } from '../contract.ts';

export interface MatchRule {
  readonly operations?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly resources?: readonly string[];
  readonly scope?: string;
  readonly resourceNames?: readonly string[];
}

/** What admission itself is configured with is never subject to it: a bad webhook must stay removable. */
const exempt = new Set([
  'validatingwebhookconfigurations',
  'mutatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
]);

export const isExempt = (r: AdmissionRequest): boolean =>
  r.def.ref.group === 'admissionregistration.k8s.io' && exempt.has(r.def.ref.plural);

const has = (list: readonly string[] | undefined, value: string): boolean => list?.some((v) => v === '*' || v === value) ?? false;

function matchesResource(rule: MatchRule, r: AdmissionRequest): boolean {
  return (rule.resources ?? []).some((text) => {
    const [resource = '', sub = ''] = text.split('/', 2);
    return (resource === '*' || resource === r.def.ref.plural) && (sub === '*' || sub === r.subresource);
  });
}

function matchesScope(rule: MatchRule, r: AdmissionRequest): boolean {
  if (rule.scope === undefined || rule.scope === '' || rule.scope === '*') return true;
  return (rule.scope === 'Namespaced') === r.def.ref.namespaced;
}

/**
 * Whether a rule names a request. With `equivalent` (matchPolicy Equivalent) its version is not held against it: the versions of a
 * resource are one resource.
 */
export function matchesRule(rule: MatchRule, r: AdmissionRequest, equivalent: boolean): boolean {
  return (
    matchesScope(rule, r) &&
    has(rule.operations, r.operation) &&
    has(rule.apiGroups, r.def.ref.group) &&
    (equivalent || has(rule.apiVersions, r.def.ref.version)) &&
    matchesResource(rule, r) &&
    ((rule.resourceNames ?? []).length === 0 || (rule.resourceNames ?? []).includes(r.name))
  );
}

const labelsOf = (object: { readonly metadata: { readonly labels?: Labels } } | undefined): Labels => object?.metadata.labels;

/** The labels of the namespace that a request is in or about. */
function namespaceLabels(r: AdmissionRequest, objects: Pick<ObjectReader, 'get'>): Labels {
  if (r.def.ref.group === '' && r.def.ref.plural === 'namespaces' && r.object !== undefined && r.subresource === '')
    return labelsOf(r.object);
  const name = r.def.ref.plural === 'namespaces' && r.def.ref.group === '' ? r.name : r.namespace;
  const namespace = objects.get(namespaces, '', name);
  if (namespace === undefined) throw notFound(namespaces, name);
  return namespace.metadata.labels;
}

export interface Selectors {
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
}

const isEverything = (selector: LabelSelector | undefined): boolean =>
  selector === undefined || (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0);

/** Whether the selectors choose a request. An object is chosen when it or its former self is. */
export function matchesSelectors(s: Selectors, r: AdmissionRequest, objects: Pick<ObjectReader, 'get'>): boolean {
  const isNamespace = r.def.ref.group === '' && r.def.ref.plural === 'namespaces';
  if (!isEverything(s.namespaceSelector) && (r.def.ref.namespaced || isNamespace)) {
    if (!matchesLabels(fromLabelSelector(s.namespaceSelector), namespaceLabels(r, objects))) return false;
  }
  if (isEverything(s.objectSelector)) return true;
  const selector = fromLabelSelector(s.objectSelector);
  const matches = (object: Parameters<typeof labelsOf>[0]): boolean => object !== undefined && matchesLabels(selector, labelsOf(object));
  return matches(r.object) || matches(r.oldObject);
}

export interface MatchResources extends Selectors {
  readonly resourceRules?: readonly MatchRule[];
  readonly excludeResourceRules?: readonly MatchRule[];
  readonly matchPolicy?: string;
}

/** Whether a policy's constraints choose a request. */
export function matchesResources(m: MatchResources, r: AdmissionRequest, objects: Pick<ObjectReader, 'get'>): boolean {
  const equivalent = m.matchPolicy !== 'Exact';
  const some = (rules: readonly MatchRule[] | undefined): boolean => rules?.some((rule) => matchesRule(rule, r, equivalent)) ?? false;
  if ((m.resourceRules ?? []).length > 0 && !some(m.resourceRules)) return false;
  return !some(m.excludeResourceRules) && matchesSelectors(m, r, objects);
}

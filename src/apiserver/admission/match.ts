/**
 * Which requests webhooks and admission policies are about: rules, selectors, exemptions
 * (k8s.io/apiserver pkg/admission/plugin/webhook/predicates, policy/matching).
 */
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { KindDef } from '#kube/kind.ts';
import { namespaces } from '#kube/refs.ts';
import { fromLabelSelector, type Labels, matchesLabels } from '#kube/selector.ts';
import { notFound } from '#kube/status-error.ts';
import type { AdmissionRequest, ObjectReader } from '../contract.ts';
import { isNamespace, namespaceOf } from './attributes.ts';

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

const reviewKinds: Readonly<Record<string, readonly string[]>> = {
  'authentication.k8s.io': ['selfsubjectreviews', 'tokenreviews'],
  'authorization.k8s.io': ['localsubjectaccessreviews', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'subjectaccessreviews'],
};

/**
 * What policies are never about, but webhooks may be: questions that are answered and not stored, and on whose answers the cluster
 * depends (k8s.io/kubernetes pkg/kubeapiserver/admission/exclusion).
 */
export const isReview = ({ def: { ref } }: AdmissionRequest): boolean => reviewKinds[ref.group]?.includes(ref.plural) === true;

const has = (list: readonly string[] | undefined, value: string): boolean => list?.some((v) => v === '*' || v === value) ?? false;

function matchesResource(rule: MatchRule, r: AdmissionRequest, plural: string): boolean {
  return (rule.resources ?? []).some((text) => {
    const [resource = '', sub = ''] = text.split('/', 2);
    return (resource === '*' || resource === plural) && (sub === '*' || sub === r.subresource);
  });
}

function matchesScope(rule: MatchRule, r: AdmissionRequest): boolean {
  if (rule.scope === undefined || rule.scope === '' || rule.scope === '*') return true;
  return (rule.scope === 'Namespaced') === r.def.ref.namespaced;
}

/** Whether a rule names a request, taken for one about `def`: that of the request, or another version of its resource. */
export function matchesRule(rule: MatchRule, r: AdmissionRequest, def: KindDef): boolean {
  const { group, version, plural } = def.ref;
  return (
    matchesScope(rule, r) &&
    has(rule.operations, r.operation) &&
    has(rule.apiGroups, group) &&
    has(rule.apiVersions, version) &&
    matchesResource(rule, r, plural) &&
    ((rule.resourceNames ?? []).length === 0 || (rule.resourceNames ?? []).includes(r.name))
  );
}

type Objects = Pick<ObjectReader, 'get' | 'equivalents'>;

/**
 * The version in which a request is named by one of the rules: its own if a rule has it, else, unless the match is to be exact,
 * the first that a rule has. Undefined: none names it.
 */
export function matchingVersion(
  rules: readonly MatchRule[] | undefined,
  policy: string | undefined,
  r: AdmissionRequest,
  objects: Objects,
): KindDef | undefined {
  if (rules === undefined) return undefined;
  if (rules.some((rule) => matchesRule(rule, r, r.def))) return r.def;
  if (policy === 'Exact') return undefined;
  const others = objects.equivalents(r.def);
  if (others.length === 0) return undefined;
  for (const rule of rules) {
    const found = others.find((def) => matchesRule(rule, r, def));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The options of a connection have no metadata. */
const labelsOf = (object: { readonly metadata?: { readonly labels?: Labels } } | undefined): Labels => object?.metadata?.labels;

/** The labels of the namespace that a request is in or about. Throws StatusError NotFound. */
function namespaceLabels(r: AdmissionRequest, objects: Objects): Labels {
  if (isNamespace(r) && r.subresource === '' && (r.operation === 'CREATE' || r.operation === 'UPDATE')) return labelsOf(r.object);
  const name = namespaceOf(r);
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

/** Whether the selectors choose a request. An object is chosen when it or its former self is. Throws StatusError NotFound. */
export function matchesSelectors(s: Selectors, r: AdmissionRequest, objects: Objects): boolean {
  if (!isEverything(s.namespaceSelector) && (r.def.ref.namespaced || isNamespace(r))) {
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

/** The version in which a policy's constraints choose a request, or undefined. Throws StatusError NotFound. */
export function matchResources(m: MatchResources, r: AdmissionRequest, objects: Objects): KindDef | undefined {
  if (matchingVersion(m.excludeResourceRules, m.matchPolicy, r, objects) !== undefined) return undefined;
  const all = (m.resourceRules ?? []).length === 0;
  const def = all ? r.def : matchingVersion(m.resourceRules, m.matchPolicy, r, objects);
  return def !== undefined && matchesSelectors(m, r, objects) ? def : undefined;
}

/**
 * The status of a CustomResourceDefinition: which names are accepted, and its conditions. k8s.io/apiextensions-apiserver
 * pkg/controller/{status,establish,apiapproval}.
 */

import { approvalOf } from '#kube/crd/approval.ts';
import type {
  CustomResourceDefinitionCondition as Condition,
  CustomResourceDefinition,
  CustomResourceDefinitionNames as Names,
  CustomResourceDefinitionStatus as Status,
} from '#kube/generated/apiextensions-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';

/** Names that others of the group have: of resources (plural, singular, short) and of kinds. */
export interface TakenNames {
  readonly resources: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

export const isTrue = (status: Status | undefined, type: string): boolean =>
  status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;

/** The conditions with one set; its time moves when its status does. The very list where nothing changes. */
export function withCondition(conditions: readonly Condition[], condition: Condition, now: string): readonly Condition[] {
  const before = conditions.find((c) => c.type === condition.type);
  const lastTransitionTime = before?.status === condition.status ? (before.lastTransitionTime ?? now) : now;
  const made = { ...condition, lastTransitionTime };
  if (jsonEqual(before, made)) return conditions;
  return before === undefined ? [...conditions, made] : conditions.map((c) => (c === before ? made : c));
}

interface NamesDecision {
  readonly accepted: Names;
  readonly problem: { readonly reason: string; readonly message: string } | undefined;
}

/** Takes each name that is free or had already; the last one that is not says why. */
function decideNames(wanted: Names, had: Names | undefined, taken: TakenNames): NamesDecision {
  let problem: NamesDecision['problem'];
  const accepted: { -readonly [K in keyof Names]: Names[K] } = { ...(had ?? { plural: '', kind: '' }) };
  const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`;
  const take = (field: 'plural' | 'singular' | 'kind' | 'listKind', pool: ReadonlySet<string>, reason: string): void => {
    const name = wanted[field] ?? '';
    if (name !== (had?.[field] ?? '') && pool.has(name)) problem = { reason, message: inUse(name) };
    else accepted[field] = name;
  };
  take('plural', taken.resources, 'PluralConflict');
  take('singular', taken.resources, 'SingularConflict');
  const conflicts = (wanted.shortNames ?? []).filter((n) => had?.shortNames?.includes(n) !== true && taken.resources.has(n)).map(inUse);
  if (conflicts.length > 0)
    problem = { reason: 'ShortNamesConflict', message: conflicts.length === 1 ? (conflicts[0] ?? '') : `[${conflicts.join(', ')}]` };
  else if (wanted.shortNames === undefined) delete accepted.shortNames;
  else accepted.shortNames = wanted.shortNames;
  take('kind', taken.kinds, 'KindConflict');
  take('listKind', taken.kinds, 'ListKindConflict');
  if (wanted.categories === undefined) delete accepted.categories;
  else accepted.categories = wanted.categories;
  return { accepted, problem };
}

function approvalCondition(crd: CustomResourceDefinition): Condition | undefined {
  const approval = approvalOf(crd);
  if (approval === undefined) return undefined;
  const type = 'KubernetesAPIApprovalPolicyConformant';
  const { state, message } = approval;
  return { type, status: state === 'Approved' ? 'True' : 'False', reason: `${state}Annotation`, message };
}

/** The status of a definition whose names are held against those of others: established as soon as all its names are accepted. */
export function statusFor(crd: CustomResourceDefinition, taken: TakenNames, now: string): Status {
  const before: Status = crd.status ?? {};
  const { accepted, problem } = decideNames(crd.spec.names, before.acceptedNames, taken);
  let conditions = before.conditions ?? [];
  const set = (type: string, status: string, reason: string, message: string): void => {
    conditions = withCondition(conditions, { type, status, reason, message }, now);
  };
  if (problem === undefined) set('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found');
  else set('NamesAccepted', 'False', problem.reason, problem.message);
  if (problem === undefined && !isTrue(before, 'Established'))
    set('Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted');
  else if (!isTrue(before, 'Established')) set('Established', 'False', 'NotAccepted', 'not all names are accepted');
  const approval = approvalCondition(crd);
  if (approval !== undefined) conditions = withCondition(conditions, approval, now);
  return { ...before, conditions, acceptedNames: accepted };
}

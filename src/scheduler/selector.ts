import type { NodeSelector, NodeSelectorRequirement, NodeSelectorTerm } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { fromLabelSelector, type LabelOperator, type LabelRequirement, matchesLabels } from '#kube/selector.ts';
import type { Labels, NodeInfo, Selector } from './framework.ts';

/** What an absent label selector means inside an affinity term or a spread constraint. */
export const nothing: Selector = { key: 'null', matches: () => false };

/** A label selector as a function. An invalid one (which the API server admits none of) matches nothing. */
export function compileSelector(selector: LabelSelector): Selector {
  try {
    const parsed = fromLabelSelector(selector);
    return { key: JSON.stringify(parsed), matches: (labels) => matchesLabels(parsed, labels) };
  } catch {
    return nothing;
  }
}

const operators: Readonly<Record<string, LabelOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
  Gt: 'gt',
  Lt: 'lt',
};

function compileRequirements(list: readonly NodeSelectorRequirement[]): (labels: Labels) => boolean {
  const requirements: LabelRequirement[] = [];
  for (const { key, operator, values = [] } of list) {
    const known = operators[operator];
    if (known === undefined) return () => false;
    requirements.push({ key, operator: known, values });
  }
  return (labels) => matchesLabels(requirements, labels);
}

/** One term of a node selector; an empty term matches no node, and metadata.name is the only field. */
export function compileNodeTerm(term: NodeSelectorTerm): (node: NodeInfo) => boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return () => false;
  const labels = compileRequirements(expressions);
  const named = compileRequirements(fields);
  return (node) => labels(node.labels) && (fields.length === 0 || named({ 'metadata.name': node.name }));
}

/** Terms are alternatives. */
export function compileNodeSelector(selector: NodeSelector): (node: NodeInfo) => boolean {
  const terms = selector.nodeSelectorTerms.map(compileNodeTerm);
  return (node) => terms.some((t) => t(node));
}

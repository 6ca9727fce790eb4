/** Node selectors as functions: k8s.io/component-helpers scheduling/corev1/nodeaffinity. */
import type { NodeSelector, NodeSelectorRequirement, NodeSelectorTerm } from './generated/core-v1.ts';
import { type LabelOperator, type LabelRequirement, type Labels, matchesLabels } from './selector.ts';

/** What selectors see of a node. */
export interface NodeNames {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
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
export function compileNodeTerm(term: NodeSelectorTerm): (node: NodeNames) => boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return () => false;
  const labels = compileRequirements(expressions);
  const named = compileRequirements(fields);
  return (node) => labels(node.labels) && (fields.length === 0 || named({ 'metadata.name': node.name }));
}

/** Terms are alternatives. */
export function compileNodeSelector(selector: NodeSelector): (node: NodeNames) => boolean {
  const terms = selector.nodeSelectorTerms.map(compileNodeTerm);
  return (node) => terms.some((t) => t(node));
}

import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';
import type { Selector } from './framework.ts';

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

export { compileNodeSelector, compileNodeTerm } from '#kube/node-selector.ts';

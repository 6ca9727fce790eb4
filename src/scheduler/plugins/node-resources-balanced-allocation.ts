import type { NodeInfo, Plugin } from '../framework.ts';
import { maxScore } from '../framework.ts';

const resources = ['cpu', 'memory'];

/** 100 when cpu and memory are used in equal shares, less the further the shares lie apart. */
function balance(node: NodeInfo, extra: ReadonlyMap<string, number>): number {
  const shares = resources
    .map((r) => ({ total: node.allocatable.get(r) ?? 0, used: (node.requested.get(r) ?? 0) + (extra.get(r) ?? 0) }))
    .filter((s) => s.total > 0)
    .map((s) => Math.min(1, s.used / s.total));
  const [a, b] = shares;
  const deviation = a === undefined || b === undefined ? 0 : Math.abs(a - b) / 2;
  return Math.trunc((1 - deviation) * maxScore);
}

const none: ReadonlyMap<string, number> = new Map();

/** Prefers nodes whose balance between cpu and memory the pod betters (or worsens least). */
export const nodeResourcesBalancedAllocation: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  prepareScore: (pod) => {
    if (!resources.some((r) => (pod.requests.get(r) ?? 0) > 0)) return undefined;
    const half = maxScore / 2;
    return { score: (node) => Math.trunc(half + (half + balance(node, pod.requests) - balance(node, none)) / 2) };
  },
  wakesOn: () => false,
};

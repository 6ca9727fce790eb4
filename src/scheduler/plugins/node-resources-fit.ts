import type { NodeInfo, Plugin, PodInfo } from '../framework.ts';
import { maxScore, reject } from '../framework.ts';

interface Shortage {
  readonly reason: string;
  /** More than the node has in all. */
  readonly hopeless: boolean;
}

/** What the node lacks for the pod. */
function shortages(pod: PodInfo, node: NodeInfo): Shortage[] {
  const result: Shortage[] = [];
  const slots = node.allocatable.get('pods') ?? 0;
  if (node.pods.size + 1 > slots) result.push({ reason: 'Too many pods', hopeless: false });
  for (const [name, wanted] of pod.requests) {
    if (wanted === 0 || name === 'pods') continue;
    const total = node.allocatable.get(name) ?? 0;
    if (wanted > total - (node.requested.get(name) ?? 0)) result.push({ reason: `Insufficient ${name}`, hopeless: wanted > total });
  }
  return result;
}

/** Share of a resource that stays free, in hundredths. */
function freeShare(requested: number, total: number): number {
  return total === 0 || requested > total ? 0 : Math.trunc(((total - requested) * maxScore) / total);
}

/** Room for the pod's requests; prefers the node with most room left (LeastAllocated, cpu and memory alike). */
export const nodeResourcesFit: Plugin = {
  name: 'NodeResourcesFit',
  prepareFilter: (pod) => ({
    verdict: 'filter',
    filter: (node) => {
      const lacking = shortages(pod, node);
      if (lacking.length === 0) return undefined;
      return reject(
        'NodeResourcesFit',
        lacking.some((s) => s.hopeless),
        ...lacking.map((s) => s.reason),
      );
    },
  }),
  prepareScore: (pod) => ({
    score: (node) => {
      const cpu = node.allocatable.get('cpu') ?? 0;
      const memory = node.allocatable.get('memory') ?? 0;
      const shares: number[] = [];
      if (cpu > 0) shares.push(freeShare(node.nonZeroCpu + pod.nonZeroCpu, cpu));
      if (memory > 0) shares.push(freeShare(node.nonZeroMemory + pod.nonZeroMemory, memory));
      return shares.length === 0 ? 0 : Math.trunc(shares.reduce((a, b) => a + b, 0) / shares.length);
    },
  }),
  wakesOn: (event, pod) =>
    event.on === 'self' ||
    (event.on === 'pod' &&
      event.what === 'delete' &&
      [...pod.requests.keys(), 'pods'].some((r) => r === 'pods' || event.pod.requests.has(r))) ||
    (event.on === 'pod' && event.what === 'update') ||
    (event.on === 'node' && (event.what === 'add' || event.what === 'allocatable') && shortages(pod, event.node).length === 0),
};

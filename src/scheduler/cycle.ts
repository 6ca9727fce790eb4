/** One scheduling decision: which node for this pod, or why none. Synchronous and pure but for the tie-break. */
import type { ClusterView, Failure, NodeInfo, Plugin, PodInfo, PreparedFilter } from './framework.ts';
import { pretend } from './view.ts';

/** Pods that have been promised room on a node by preemption, by node. */
export type Nominations = (node: string) => readonly PodInfo[];

export interface CycleOptions {
  readonly plugins: readonly Plugin[];
  readonly nominated: Nominations;
  /** A number in [0, 1): breaks ties between equally good nodes. */
  readonly fraction: () => number;
  /** Where to begin looking, so that in large clusters all nodes get their turn. */
  readonly startAt: number;
}

export interface Diagnosis {
  readonly totalNodes: number;
  /** Why each node was refused. */
  readonly failures: ReadonlyMap<string, Failure>;
  /** A refusal that concerns no node in particular. */
  readonly general: Failure | undefined;
  /** Nodes left out because a plugin named the only possible ones, and which plugins did. */
  readonly leftOut: number;
  readonly leftOutBy: readonly string[];
}

export type Decision =
  | { readonly fits: true; readonly node: NodeInfo; readonly evaluated: number }
  | { readonly fits: false; readonly diagnosis: Diagnosis };

/** Upstream's adaptive limit: in clusters of 100 nodes and more, enough is enough. */
export function nodesToFind(total: number): number {
  const least = 100;
  if (total < least) return total;
  const percentage = Math.max(5, 50 - Math.trunc(total / 125));
  return Math.max(least, Math.trunc((total * percentage) / 100));
}

type Filter = (node: NodeInfo) => Failure | undefined;

interface Prepared {
  readonly filters: readonly Filter[];
  readonly only: ReadonlySet<string> | undefined;
  readonly onlyBy: readonly string[];
  readonly rejected: Failure | undefined;
}

function prepare(pod: PodInfo, view: ClusterView, plugins: readonly Plugin[]): Prepared {
  const filters: Filter[] = [];
  const onlyBy: string[] = [];
  let only: ReadonlySet<string> | undefined;
  for (const plugin of plugins) {
    const prepared: PreparedFilter = plugin.prepareFilter?.(pod, view) ?? { verdict: 'skip' };
    if (prepared.verdict === 'reject') return { filters: [], only, onlyBy, rejected: prepared.failure };
    if (prepared.verdict === 'skip') continue;
    filters.push(prepared.filter);
    if (prepared.only === undefined) continue;
    only = only === undefined ? prepared.only : only.intersection(prepared.only);
    onlyBy.push(plugin.name);
  }
  return { filters, only, onlyBy, rejected: undefined };
}

const firstFailure = (filters: readonly Filter[], node: NodeInfo): Failure | undefined => {
  for (const filter of filters) {
    const failure = filter(node);
    if (failure !== undefined) return failure;
  }
  return undefined;
};

/** Runs every filter for one node in a given view; undefined when the pod fits. */
export function fitsNode(pod: PodInfo, view: ClusterView, node: NodeInfo, plugins: readonly Plugin[]): Failure | undefined {
  const prepared = prepare(pod, view, plugins);
  return prepared.rejected ?? firstFailure(prepared.filters, node);
}

/**
 * Chooses a node. A node to which pods of the same or higher priority are nominated must suit both with them and
 * without them (their coming must neither be obstructed nor relied upon).
 */
export function schedule(pod: PodInfo, view: ClusterView, options: CycleOptions): Decision {
  const { plugins } = options;
  const total = view.nodes.length;
  const prepared = prepare(pod, view, plugins);
  const failures = new Map<string, Failure>();
  if (prepared.rejected !== undefined) {
    return { fits: false, diagnosis: { totalNodes: total, failures, general: prepared.rejected, leftOut: 0, leftOutBy: [] } };
  }
  const candidates =
    prepared.only === undefined
      ? view.nodes
      : [...prepared.only].map((name) => view.node(name)).filter((n): n is NodeInfo => n !== undefined);
  const check = (node: NodeInfo): Failure | undefined => {
    const promised = options.nominated(node.name).filter((p) => p.uid !== pod.uid && p.priority >= pod.priority);
    if (promised.length > 0) {
      const world = pretend(view, node, { added: promised });
      const failure = fitsNode(pod, world.view, world.node, plugins);
      if (failure !== undefined) return failure;
    }
    return firstFailure(prepared.filters, node);
  };

  const nominated = pod.pod.status?.nominatedNodeName;
  const promisedNode = nominated === undefined ? undefined : candidates.find((n) => n.name === nominated);
  if (promisedNode !== undefined && check(promisedNode) === undefined) return { fits: true, node: promisedNode, evaluated: 1 };

  const suitable: NodeInfo[] = [];
  const enough = nodesToFind(candidates.length);
  let evaluated = 0;
  for (; evaluated < candidates.length && suitable.length < enough; evaluated++) {
    const node = candidates[(options.startAt + evaluated) % candidates.length];
    if (node === undefined) continue;
    const failure = check(node);
    if (failure === undefined) suitable.push(node);
    else failures.set(node.name, failure);
  }
  const best = pick(pod, view, suitable, options);
  if (best !== undefined) return { fits: true, node: best, evaluated };
  const leftOut = total - candidates.length;
  return { fits: false, diagnosis: { totalNodes: total, failures, general: undefined, leftOut, leftOutBy: prepared.onlyBy } };
}

function pick(pod: PodInfo, view: ClusterView, nodes: readonly NodeInfo[], options: CycleOptions): NodeInfo | undefined {
  if (nodes.length <= 1) return nodes[0];
  const totals = scores(pod, view, nodes, options.plugins);
  const top = Math.max(...totals);
  const best = nodes.filter((_, i) => totals[i] === top);
  return best[Math.floor(options.fraction() * best.length)];
}

/** The weighted sum of all plugins' scores for each node. */
export function scores(pod: PodInfo, view: ClusterView, nodes: readonly NodeInfo[], plugins: readonly Plugin[]): number[] {
  const totals = nodes.map(() => 0);
  for (const plugin of plugins) {
    const prepared = plugin.prepareScore?.(pod, view, nodes);
    if (prepared === undefined) continue;
    const raw = nodes.map((n) => prepared.score(n));
    const normal = prepared.normalize?.(raw, nodes) ?? raw;
    for (const [i, s] of normal.entries()) totals[i] = (totals[i] ?? 0) + s * (plugin.weight ?? 1);
  }
  return totals;
}

/** Reasons counted, sorted by their text, as upstream's FitError prints them. */
function histogram(diagnosis: Diagnosis): string {
  const reasons = new Map<string, number>();
  const count = (reason: string, by: number) => reasons.set(reason, (reasons.get(reason) ?? 0) + by);
  for (const failure of diagnosis.failures.values()) for (const reason of failure.reasons) count(reason, 1);
  if (diagnosis.leftOut > 0) count(`node(s) didn't satisfy plugin(s) [${diagnosis.leftOutBy.join(' ')}]`, diagnosis.leftOut);
  return [...reasons]
    .map(([reason, n]) => `${n} ${reason}`)
    .sort()
    .join(', ');
}

/** "0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods." plus what preemption found. */
export function explain(diagnosis: Diagnosis, preemption: string | undefined): string {
  if (diagnosis.totalNodes === 0) return 'no nodes available to schedule pods';
  const why = diagnosis.general?.reasons.join(', ') ?? histogram(diagnosis);
  const head = `0/${diagnosis.totalNodes} nodes are available:`;
  return [head, ...(why === '' ? [] : [`${why}.`]), ...(preemption === undefined ? [] : [preemption])].join(' ');
}

/**
 * Finds lower-priority pods whose removal makes room (upstream's DefaultPreemption). Pure: says which node and whom;
 * scheduler.ts does the deleting.
 */
import type { PodDisruptionBudget } from '#kube/generated/policy-v1.ts';
import type { Stored } from '#kube/object.ts';
import { type Diagnosis, explain, fitsNode } from './cycle.ts';
import type { ClusterView, Failure, NodeInfo, Plugin, PodInfo } from './framework.ts';
import { reject } from './framework.ts';
import { compileSelector } from './selector.ts';
import { pretend } from './view.ts';

export interface PreemptionOptions {
  readonly plugins: readonly Plugin[];
  readonly budgets: (namespace: string) => readonly Stored<PodDisruptionBudget>[];
  /** A number in [0, 1): where among the candidate nodes to begin. */
  readonly fraction: () => number;
}

export type PreemptionResult =
  | { readonly node: string; readonly victims: readonly PodInfo[] }
  /** Upstream's text for FailedScheduling, beginning with "preemption:". */
  | { readonly node: undefined; readonly message: string };

interface Candidate {
  readonly node: string;
  /** Most important first. */
  readonly victims: readonly PodInfo[];
  readonly violations: number;
}

const nowhere = (message: string): PreemptionResult => ({ node: undefined, message: `preemption: ${message}` });

const startOf = (p: PodInfo): number => Date.parse(p.pod.status?.startTime ?? p.pod.metadata.creationTimestamp);

/** Higher priority first; among equals, the one that has run longer. */
const byImportance = (a: PodInfo, b: PodInfo): number => b.priority - a.priority || startOf(a) - startOf(b);

export function preempt(pod: PodInfo, view: ClusterView, diagnosis: Diagnosis, options: PreemptionOptions): PreemptionResult {
  if (pod.pod.spec?.preemptionPolicy === 'Never') return nowhere('not eligible due to preemptionPolicy=Never.');
  if (leavingAlready(pod, view)) return nowhere('not eligible due to a terminating pod on the nominated node.');
  const failures = new Map<string, Failure>();
  const hopeless = reject('DefaultPreemption', true, 'Preemption is not helpful for scheduling');
  const potential: NodeInfo[] = [];
  for (const node of view.nodes) {
    const failure = diagnosis.failures.get(node.name);
    if (failure === undefined || failure.unresolvable) failures.set(node.name, hopeless);
    else potential.push(node);
  }
  const candidates: Candidate[] = [];
  // Upstream's share of nodes to dry-run: a tenth, at least 100.
  const enough = Math.max(100, Math.trunc(view.nodes.length / 10));
  const start = Math.floor(options.fraction() * potential.length);
  for (let i = 0; i < potential.length && candidates.length < enough; i++) {
    const node = potential[(start + i) % potential.length] as NodeInfo;
    const found = victimsOn(node, pod, view, options);
    if ('plugin' in found) failures.set(node.name, found);
    else candidates.push(found);
  }
  const best = candidates.reduce<Candidate | undefined>((a, b) => (a === undefined || better(b, a) ? b : a), undefined);
  if (best !== undefined) return { node: best.node, victims: best.victims };
  const why = explain({ totalNodes: view.nodes.length, failures, general: undefined, leftOut: 0, leftOutBy: [] }, undefined);
  return nowhere(why);
}

/** Room is already being made: a pod that was preempted for this one is still ending. */
function leavingAlready(pod: PodInfo, view: ClusterView): boolean {
  const nominated = pod.pod.status?.nominatedNodeName;
  const node = nominated === undefined ? undefined : view.node(nominated);
  for (const p of node?.pods.values() ?? []) {
    const preempted = p.pod.status?.conditions?.some(
      (c) => c.type === 'DisruptionTarget' && c.status === 'True' && c.reason === 'PreemptionByScheduler',
    );
    if (p.priority < pod.priority && p.pod.metadata.deletionTimestamp !== undefined && preempted === true) return true;
  }
  return false;
}

/** The fewest, least important pods to remove from the node; those protected by a budget go last. */
function victimsOn(node: NodeInfo, pod: PodInfo, view: ClusterView, options: PreemptionOptions): Candidate | Failure {
  const lower = [...node.pods.values()].filter((p) => p.priority < pod.priority).sort(byImportance);
  if (lower.length === 0) return reject('DefaultPreemption', true, 'No preemption victims found for incoming pod');
  const removed = new Set(lower);
  const fits = (): Failure | undefined => {
    const world = pretend(view, node, { removed: [...removed] });
    return fitsNode(pod, world.view, world.node, options.plugins);
  };
  const failure = fits();
  if (failure !== undefined) return failure;
  const { violating, others } = splitByBudget(lower, options);
  let violations = 0;
  const reprieve = (p: PodInfo): boolean => {
    removed.delete(p);
    if (fits() === undefined) return true;
    removed.add(p);
    return false;
  };
  for (const p of violating) if (!reprieve(p)) violations++;
  for (const p of others) reprieve(p);
  return { node: node.name, victims: lower.filter((p) => removed.has(p)), violations };
}

/** Pods whose removal would take a disruption budget below zero, in order of importance, and the rest. */
function splitByBudget(pods: readonly PodInfo[], options: PreemptionOptions): { violating: PodInfo[]; others: PodInfo[] } {
  const left = new Map<Stored<PodDisruptionBudget>, number>();
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const pod of pods) {
    let violates = false;
    for (const budget of options.budgets(pod.namespace)) {
      const selector = budget.spec?.selector;
      if (selector === undefined || Object.keys(pod.labels).length === 0 || !compileSelector(selector).matches(pod.labels)) continue;
      if (budget.status?.disruptedPods?.[pod.pod.metadata.name] !== undefined) continue;
      const allowed = (left.get(budget) ?? budget.status?.disruptionsAllowed ?? 0) - 1;
      left.set(budget, allowed);
      if (allowed < 0) violates = true;
    }
    (violates ? violating : others).push(pod);
  }
  return { violating, others };
}

/** Upstream's order of preference among nodes (pickOneNodeForPreemption). */
function better(a: Candidate, b: Candidate): boolean {
  const keys = (c: Candidate): readonly number[] => {
    const highest = c.victims[0]?.priority ?? Number.NEGATIVE_INFINITY;
    // Priorities may be negative: shifted so that more victims never look better.
    const sum = c.victims.reduce((s, p) => s + p.priority + 2 ** 31, 0);
    const earliest = Math.min(...c.victims.filter((p) => p.priority === highest).map(startOf));
    return [c.violations, highest, sum, c.victims.length, -earliest];
  };
  const [x, y] = [keys(a), keys(b)];
  for (const [i, v] of x.entries()) {
    const w = y[i] ?? 0;
    if (v !== w) return v < w;
  }
  return false;
}

/** What a DaemonSet has to make and delete, as pure functions: k8s.io/kubernetes pkg/controller/daemon manage and rollingUpdate. */

import { type NodeVerdict, type StoredDaemonSet, type StoredNode, verdictFor } from './daemon-set-nodes.ts';
import { scaledValue } from './int-or-string.ts';
import { isAvailable, type StoredPod } from './pods.ts';
import { revisionHashLabel } from './revisions.ts';

export interface DaemonView {
  readonly ds: StoredDaemonSet;
  readonly nodes: readonly StoredNode[];
  readonly podsOn: ReadonlyMap<string, readonly StoredPod[]>;
  readonly hash: string;
  readonly nowMs: number;
}

export interface DaemonSteps {
  readonly create: string[];
  readonly remove: StoredPod[];
}

const oldestFirst = (pods: readonly StoredPod[]): readonly StoredPod[] =>
  [...pods].sort(
    (a, b) =>
      Number((b.spec?.nodeName ?? '') !== '') - Number((a.spec?.nodeName ?? '') !== '') ||
      (a.metadata.creationTimestamp < b.metadata.creationTimestamp
        ? -1
        : a.metadata.creationTimestamp > b.metadata.creationTimestamp
          ? 1
          : 0),
  );

export const isUpdated = (pod: StoredPod, hash: string): boolean => pod.metadata.labels?.[revisionHashLabel] === hash;

const available = (v: DaemonView, pod: StoredPod): boolean => isAvailable(pod, v.ds.spec?.minReadySeconds ?? 0, v.nowMs);

const isRolling = (ds: StoredDaemonSet): boolean => ds.spec?.updateStrategy?.type !== 'OnDelete';

/** maxSurge and maxUnavailable for the number of nodes wanted. */
export function daemonBounds(ds: StoredDaemonSet, wanted: number): { readonly maxSurge: number; readonly maxUnavailable: number } {
  if (!isRolling(ds)) return { maxSurge: 0, maxUnavailable: 0 };
  const rolling = ds.spec?.updateStrategy?.rollingUpdate;
  const maxSurge = scaledValue(rolling?.maxSurge, wanted, 'up');
  const maxUnavailable = scaledValue(rolling?.maxUnavailable ?? 1, wanted, 'up');
  return { maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable };
}

/** One pod on every node that wants one, none elsewhere. `held`: true for a failed pod that is to be left for a while. */
export function manageSteps(v: DaemonView, held: (pod: StoredPod) => boolean): DaemonSteps {
  const steps: DaemonSteps = { create: [], remove: [] };
  const known = new Set<string>();
  const verdicts = new Map(v.nodes.map((node) => [node.metadata.name, verdictFor(v.ds, node)]));
  const wanted = [...verdicts.values()].filter((x) => x.shouldRun).length;
  const surge = daemonBounds(v.ds, wanted).maxSurge > 0;
  for (const [name, verdict] of verdicts) {
    known.add(name);
    manageNode(v, name, verdict, surge, held, steps);
  }
  // Not scheduled yet and meant for a node that is gone: nobody else removes these.
  for (const [name, pods] of v.podsOn)
    if (!known.has(name))
      steps.remove.push(...pods.filter((p) => (p.spec?.nodeName ?? '') === '' && p.metadata.deletionTimestamp === undefined));
  return steps;
}

function manageNode(
  v: DaemonView,
  node: string,
  verdict: NodeVerdict,
  surge: boolean,
  held: (pod: StoredPod) => boolean,
  steps: DaemonSteps,
): void {
  const pods = v.podsOn.get(node) ?? [];
  if (pods.length === 0) {
    if (verdict.shouldRun) steps.create.push(node);
    return;
  }
  if (!verdict.mayStay) {
    steps.remove.push(...pods.filter((p) => p.metadata.deletionTimestamp === undefined));
    return;
  }
  const running: StoredPod[] = [];
  for (const pod of pods) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    const { phase } = pod.status ?? {};
    if (phase === 'Failed') {
      if (!held(pod)) steps.remove.push(pod);
    } else if (phase === 'Succeeded') steps.remove.push(pod);
    else running.push(pod);
  }
  if (running.length <= 1) return;
  if (!surge) {
    steps.remove.push(...oldestFirst(running).slice(1));
    return;
  }
  steps.remove.push(...surplusOfSurge(v, running));
}

/** With surge one old and one new pod may be there; the old one goes when the new one is available. */
function surplusOfSurge(v: DaemonView, running: readonly StoredPod[]): readonly StoredPod[] {
  const [oldPod, ...olderRest] = oldestFirst(running.filter((p) => !isUpdated(p, v.hash)));
  const [newPod, ...newRest] = oldestFirst(running.filter((p) => isUpdated(p, v.hash)));
  const surplus = [...olderRest, ...newRest];
  if (oldPod !== undefined && newPod !== undefined && available(v, newPod)) surplus.push(oldPod);
  return surplus;
}

interface NodePods {
  readonly newPod: StoredPod | undefined;
  readonly oldPod: StoredPod | undefined;
}

/** Undefined when the node is not as it should be yet: manageSteps sees to it first. */
function podsByRevision(v: DaemonView, node: string): NodePods | undefined {
  let newPod: StoredPod | undefined;
  let oldPod: StoredPod | undefined;
  for (const pod of v.podsOn.get(node) ?? []) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    if (isUpdated(pod, v.hash)) {
      if (newPod !== undefined) return undefined;
      newPod = pod;
    } else {
      if (oldPod !== undefined) return undefined;
      oldPod = pod;
    }
  }
  return { newPod, oldPod };
}

/** The next step from old pods to new ones. */
export function rollingSteps(v: DaemonView): DaemonSteps {
  if (!isRolling(v.ds)) return { create: [], remove: [] };
  const targets = v.nodes.filter((node) => verdictFor(v.ds, node).shouldRun).map((node) => node.metadata.name);
  const { maxSurge, maxUnavailable } = daemonBounds(v.ds, targets.length);
  return maxSurge === 0 ? replaceSteps(v, targets, maxUnavailable) : surgeSteps(v, targets, maxSurge);
}

function replaceSteps(v: DaemonView, targets: readonly string[], maxUnavailable: number): DaemonSteps {
  let unavailable = 0;
  const broken: StoredPod[] = [];
  const candidates: StoredPod[] = [];
  for (const node of targets) {
    const found = podsByRevision(v, node);
    const { newPod, oldPod } = found ?? {};
    if (found === undefined || (newPod === undefined) === (oldPod === undefined)) unavailable++;
    else if (newPod !== undefined) {
      if (!available(v, newPod)) unavailable++;
    } else if (oldPod !== undefined) {
      if (available(v, oldPod)) candidates.push(oldPod);
      else {
        // Replacing what does not work costs nothing.
        broken.push(oldPod);
        unavailable++;
      }
    }
  }
  const room = Math.max(0, maxUnavailable - unavailable);
  return { create: [], remove: [...broken, ...candidates.slice(0, room)] };
}

function surgeSteps(v: DaemonView, targets: readonly string[], maxSurge: number): DaemonSteps {
  let surging = 0;
  const free: string[] = [];
  const candidates: string[] = [];
  const remove: StoredPod[] = [];
  for (const node of targets) {
    const found = podsByRevision(v, node);
    if (found?.oldPod === undefined) continue;
    const { newPod, oldPod } = found;
    if (newPod === undefined) {
      if (available(v, oldPod)) candidates.push(node);
      else free.push(node);
    } else if (available(v, newPod)) remove.push(oldPod);
    else surging++;
  }
  return { create: [...free, ...candidates.slice(0, Math.max(0, maxSurge - surging))], remove };
}

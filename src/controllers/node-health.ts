/** What a node's conditions say, as taints and conditions: k8s.io/kubernetes pkg/controller/nodelifecycle, the pure part. */
import type { Node, NodeCondition, Taint } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { isoTime } from './times.ts';

export type StoredNode = Stored<Node>;

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';

/** Condition type → status → key of the NoSchedule taint. */
const conditionTaints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: notReadyTaint, Unknown: unreachableTaint },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
};
const unschedulableTaint = 'node.kubernetes.io/unschedulable';
const managedNoSchedule: ReadonlySet<string> = new Set([
  ...Object.values(conditionTaints).flatMap((byStatus) => Object.values(byStatus)),
  unschedulableTaint,
]);

/** What the lifecycle controller expects a kubelet to report. */
const monitored = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

export const nodeReady = (node: StoredNode): NodeCondition | undefined => node.status?.conditions?.find((c) => c.type === 'Ready');

/** True, False or Unknown; undefined where the kubelet has not reported yet. */
export const readyStatus = (node: StoredNode): string | undefined => nodeReady(node)?.status;

function wantedNoSchedule(node: StoredNode): readonly string[] {
  const keys = (node.status?.conditions ?? []).flatMap((c) => conditionTaints[c.type]?.[c.status] ?? []);
  return node.spec?.unschedulable === true ? [...keys, unschedulableTaint] : keys;
}

/** The taint with effect NoExecute that the node's readiness calls for. */
export function wantedNoExecute(node: StoredNode): string | undefined {
  const status = readyStatus(node);
  return status === 'False' ? notReadyTaint : status === 'Unknown' ? unreachableTaint : undefined;
}

/**
 * The node's taints as they ought to be. `evict` says whether pods may be evicted now (no: NoExecute taints that are
 * not there are not added). Undefined when nothing changes.
 */
export function wantedTaints(node: StoredNode, evict: boolean, nowMs: number): readonly Taint[] | undefined {
  const taints = node.spec?.taints ?? [];
  const noSchedule = wantedNoSchedule(node);
  const noExecute = wantedNoExecute(node);
  const kept = taints.filter((t) => {
    if (t.effect === 'NoSchedule' && managedNoSchedule.has(t.key)) return noSchedule.includes(t.key);
    if (t.effect === 'NoExecute' && (t.key === notReadyTaint || t.key === unreachableTaint)) return t.key === noExecute;
    return true;
  });
  const has = (key: string, effect: string): boolean => kept.some((t) => t.key === key && t.effect === effect);
  const timeAdded = isoTime(nowMs);
  const added: Taint[] = noSchedule.filter((key) => !has(key, 'NoSchedule')).map((key) => ({ key, effect: 'NoSchedule', timeAdded }));
  if (noExecute !== undefined && evict && !has(noExecute, 'NoExecute')) added.push({ key: noExecute, effect: 'NoExecute', timeAdded });
  return added.length === 0 && kept.length === taints.length ? undefined : [...kept, ...added];
}

/** Without the taints that evict because of readiness. */
export const withoutEviction = (node: StoredNode): readonly Taint[] | undefined => {
  const taints = node.spec?.taints ?? [];
  const kept = taints.filter((t) => t.effect !== 'NoExecute' || (t.key !== notReadyTaint && t.key !== unreachableTaint));
  return kept.length === taints.length ? undefined : kept;
};

/** The conditions of a node that has fallen silent. */
export function silentConditions(node: StoredNode, nowMs: number): readonly NodeCondition[] {
  const conditions = node.status?.conditions ?? [];
  const at = isoTime(nowMs);
  const known = conditions.map((c): NodeCondition => {
    if (!monitored.includes(c.type) || c.status === 'Unknown') return c;
    const message = 'Kubelet stopped posting node status.';
    return { ...c, status: 'Unknown', reason: 'NodeStatusUnknown', message, lastTransitionTime: at };
  });
  const missing = monitored
    .filter((type) => !conditions.some((c) => c.type === type))
    .map(
      (type): NodeCondition => ({
        type,
        status: 'Unknown',
        reason: 'NodeStatusNeverUpdated',
        message: 'Kubelet never posted node status.',
        lastHeartbeatTime: node.metadata.creationTimestamp,
        lastTransitionTime: at,
      }),
    );
  return [...known, ...missing];
}

const regionLabel = 'topology.kubernetes.io/region';
const zoneLabel = 'topology.kubernetes.io/zone';

export const zoneKey = (node: StoredNode): string =>
  `${node.metadata.labels?.[regionLabel] ?? ''}/${node.metadata.labels?.[zoneLabel] ?? ''}`;

export type ZoneState = 'Normal' | 'FullDisruption' | 'PartialDisruption';

/** --unhealthy-zone-threshold 0.55: with so many nodes down it is rather the network than the nodes. */
export function zoneState(nodes: readonly StoredNode[]): ZoneState {
  const bad = nodes.filter((n) => readyStatus(n) !== 'True').length;
  const good = nodes.length - bad;
  if (good === 0 && bad > 0) return 'FullDisruption';
  if (bad > 2 && bad / nodes.length >= 0.55) return 'PartialDisruption';
  return 'Normal';
}

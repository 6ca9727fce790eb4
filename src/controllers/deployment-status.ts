/** Status and conditions of Deployments: k8s.io/kubernetes pkg/controller/deployment/progress.go and sync.go. */
import type { DeploymentCondition, DeploymentStatus } from '#kube/generated/apps-v1.ts';
import { getCondition, removeCondition, setCondition } from './conditions.ts';
import {
  fenceposts,
  hasProgressDeadline,
  replicasOf,
  type StoredDeployment,
  type StoredReplicaSet,
  specTotal,
  statusTotal,
} from './deployment-model.ts';
import { isoTime, msOf } from './times.ts';

export const newSetAvailable = 'NewReplicaSetAvailable';
const timedOutReason = 'ProgressDeadlineExceeded';
export const pausedReason = 'DeploymentPaused';

export function deploymentCondition(type: string, status: string, reason: string, message: string, nowMs: number): DeploymentCondition {
  const at = isoTime(nowMs);
  return { type, status, lastUpdateTime: at, lastTransitionTime: at, reason, message };
}

export const progressing = (d: StoredDeployment): DeploymentCondition | undefined => getCondition(d.status?.conditions, 'Progressing');

export function isComplete(d: StoredDeployment, status: DeploymentStatus): boolean {
  const wanted = replicasOf(d);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (d.metadata.generation ?? 0)
  );
}

function madeProgress(d: StoredDeployment, next: DeploymentStatus): boolean {
  const old = d.status ?? {};
  const outdated = (s: DeploymentStatus): number => (s.replicas ?? 0) - (s.updatedReplicas ?? 0);
  return (
    (next.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    outdated(next) < outdated(old) ||
    (next.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function hasTimedOut(d: StoredDeployment, next: DeploymentStatus, nowMs: number): boolean {
  const condition = getCondition(next.conditions, 'Progressing');
  if (!hasProgressDeadline(d) || condition === undefined || condition.reason === newSetAvailable) return false;
  if (condition.reason === timedOutReason) return true;
  const since = msOf(condition.lastUpdateTime ?? '');
  return since + (d.spec?.progressDeadlineSeconds ?? 0) * 1000 < nowMs;
}

/** The counts and the Available condition. */
export function calculateStatus(
  d: StoredDeployment,
  all: readonly StoredReplicaSet[],
  newSet: StoredReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const available = statusTotal(all, 'availableReplicas');
  const counts = {
    replicas: statusTotal(all, 'replicas'),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: statusTotal(all, 'readyReplicas'),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, specTotal(all) - available),
  };
  const enough = available >= replicasOf(d) - fenceposts(d).maxUnavailable;
  const condition = enough
    ? deploymentCondition('Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.', nowMs)
    : deploymentCondition('Available', 'False', 'MinimumReplicasUnavailable', 'Deployment does not have minimum availability.', nowMs);
  return {
    ...Object.fromEntries(Object.entries(counts).filter(([, n]) => n !== 0)),
    terminatingReplicas: statusTotal(all, 'terminatingReplicas'),
    ...(d.metadata.generation === undefined ? {} : { observedGeneration: d.metadata.generation }),
    ...(d.status?.collisionCount === undefined ? {} : { collisionCount: d.status.collisionCount }),
    conditions: setCondition(d.status?.conditions, condition),
  };
}

const ready = (d: StoredDeployment, newSet: StoredReplicaSet | undefined): string =>
  newSet === undefined ? `Deployment "${d.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`;

/** The status after a step of a rollout, with the conditions Progressing and ReplicaFailure. */
export function rolloutStatus(
  d: StoredDeployment,
  all: readonly StoredReplicaSet[],
  newSet: StoredReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const status = calculateStatus(d, all, newSet, nowMs);
  let conditions: readonly DeploymentCondition[] = status.conditions ?? [];
  const current = progressing(d);
  const wasComplete = (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === newSetAvailable;
  if (!hasProgressDeadline(d)) conditions = removeCondition(conditions, 'Progressing');
  else if (!wasComplete) {
    const subject = ready(d, newSet);
    if (isComplete(d, status)) {
      const message = `${subject} has successfully progressed.`;
      conditions = setCondition(conditions, deploymentCondition('Progressing', 'True', newSetAvailable, message, nowMs));
    } else if (madeProgress(d, status)) {
      const fresh = deploymentCondition('Progressing', 'True', 'ReplicaSetUpdated', `${subject} is progressing.`, nowMs);
      const kept = current?.status === 'True' ? current.lastTransitionTime : undefined;
      // Set anew even when nothing but the time changes: the deadline counts from the last update.
      conditions = [...removeCondition(conditions, 'Progressing'), kept === undefined ? fresh : { ...fresh, lastTransitionTime: kept }];
    } else if (hasTimedOut(d, status, nowMs)) {
      const message = `${subject} has timed out progressing.`;
      conditions = setCondition(conditions, deploymentCondition('Progressing', 'False', timedOutReason, message, nowMs));
    }
  }
  const failure = replicaFailure(newSet === undefined ? [] : [newSet]) ?? replicaFailure(all);
  conditions = failure === undefined ? removeCondition(conditions, 'ReplicaFailure') : setCondition(conditions, failure);
  return { ...status, conditions };
}

function replicaFailure(sets: readonly StoredReplicaSet[]): DeploymentCondition | undefined {
  for (const rs of sets) {
    const c = getCondition(rs.status?.conditions, 'ReplicaFailure');
    if (c === undefined) continue;
    return {
      type: 'ReplicaFailure',
      status: c.status,
      ...(c.lastTransitionTime === undefined ? {} : { lastTransitionTime: c.lastTransitionTime, lastUpdateTime: c.lastTransitionTime }),
      ...(c.reason === undefined ? {} : { reason: c.reason }),
      ...(c.message === undefined ? {} : { message: c.message }),
    };
  }
  return undefined;
}

/** Milliseconds until the progress deadline is to be checked, or undefined. */
export function deadlineCheck(d: StoredDeployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const current = getCondition(status.conditions, 'Progressing');
  if (!hasProgressDeadline(d) || current === undefined) return undefined;
  if (isComplete(d, status) || current.reason === timedOutReason) return undefined;
  const due = msOf(current.lastUpdateTime ?? '') + (d.spec?.progressDeadlineSeconds ?? 0) * 1000 - nowMs;
  return Math.max(due, 0) + 1000;
}

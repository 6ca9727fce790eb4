/** Steps of a Deployment's rollout: k8s.io/kubernetes pkg/controller/deployment rolling.go, recreate.go and sync.go. */
import type { DeploymentCondition, DeploymentStatus, ReplicaSet } from '#kube/generated/apps-v1.ts';
import type { PodTemplateSpec } from '#kube/generated/core-v1.ts';
import { controllerOf, type Stored } from '#kube/object.ts';
import { deployments, replicaSets } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { setCondition } from './conditions.ts';
import type { ControllerDeps } from './controller.ts';
import {
  activeOrLatest,
  activeSets,
  annotationsForNew,
  desiredReplicasAnnotation,
  fenceposts,
  findNewReplicaSet,
  hasHistoryLimit,
  hashLabel,
  hasProgressDeadline,
  isRollingUpdate,
  isSaturated,
  maxReplicasAnnotation,
  newReplicas,
  oldestFirst,
  proportionalSizes,
  replicaAnnotations,
  replicasOf,
  revisionAnnotation,
  revisionOf,
  type StoredDeployment,
  type StoredReplicaSet,
  sameTemplate,
  specTotal,
  statusTotal,
} from './deployment-model.ts';
import { calculateStatus, deadlineCheck, deploymentCondition, isComplete, progressing, rolloutStatus } from './deployment-status.ts';
import { controllerRef } from './ownership.ts';
import { isNamespaceTerminating, textOf } from './pod-control.ts';
import type { StoredPod } from './pods.ts';
import { sameStatus } from './same-status.ts';
import { templateHash } from './template-hash.ts';

/** One sync of one Deployment: what it has to act on, kept current as writes come back. */
export interface Rollout {
  readonly deps: ControllerDeps;
  readonly signal: AbortSignal;
  d: StoredDeployment;
  /** Every ReplicaSet of the Deployment. */
  sets: readonly StoredReplicaSet[];
  readonly podsOf: (set: StoredReplicaSet) => readonly StoredPod[];
}

interface Sets {
  readonly all: readonly StoredReplicaSet[];
  readonly old: readonly StoredReplicaSet[];
  readonly newSet: StoredReplicaSet | undefined;
}

const atOf = (o: Stored): { name: string; namespace: string } => ({ name: o.metadata.name, namespace: o.metadata.namespace ?? '' });

function setsOf(r: Rollout): Sets {
  const newSet = findNewReplicaSet(r.d, r.sets);
  return { all: r.sets, newSet, old: r.sets.filter((rs) => rs.metadata.uid !== newSet?.metadata.uid) };
}

function replaceSet(r: Rollout, next: StoredReplicaSet): void {
  const others = r.sets.filter((rs) => rs.metadata.uid !== next.metadata.uid);
  r.sets = [...others, next];
}

export async function writeStatus(r: Rollout, status: DeploymentStatus): Promise<void> {
  if (sameStatus(status, r.d.status)) return;
  r.d = await r.deps.client.update(deployments, { ...r.d, status }, { subresource: 'status', signal: r.signal });
}

const withCondition = (d: StoredDeployment, condition: DeploymentCondition): DeploymentStatus => ({
  ...d.status,
  conditions: setCondition(d.status?.conditions, condition),
});

/** Finds the ReplicaSet of the current template, makes it when told to, and brings revisions up to date. */
async function syncRevision(r: Rollout, create: boolean): Promise<Sets> {
  const { newSet, old } = setsOf(r);
  const revision = old.reduce((most, rs) => Math.max(most, revisionOf(rs)), 0) + 1;
  if (newSet !== undefined) await adjustNewSet(r, newSet, revision);
  else if (create) await createNewSet(r, old, revision);
  return setsOf(r);
}

async function adjustNewSet(r: Rollout, set: StoredReplicaSet, revision: number): Promise<void> {
  const { client, clock } = r.deps;
  const annotations = annotationsForNew(r.d, set.metadata.annotations, revision, true);
  const minReadySeconds = r.d.spec?.minReadySeconds ?? 0;
  let current = set;
  if (annotations !== undefined || minReadySeconds !== (set.spec?.minReadySeconds ?? 0)) {
    const next = {
      ...set,
      metadata: { ...set.metadata, annotations: annotations ?? set.metadata.annotations ?? {} },
      spec: { ...set.spec, minReadySeconds } as ReplicaSet['spec'] & object,
    };
    current = await client.update(replicaSets, next, { signal: r.signal });
    replaceSet(r, current);
  }
  await setRevision(r, current.metadata.annotations?.[revisionAnnotation]);
  if (hasProgressDeadline(r.d) && progressing(r.d) === undefined) {
    const message = `Found new replica set "${set.metadata.name}"`;
    await writeStatus(r, withCondition(r.d, deploymentCondition('Progressing', 'True', 'FoundNewReplicaSet', message, clock.now())));
  }
}

async function setRevision(r: Rollout, revision: string | undefined): Promise<void> {
  if (revision === undefined || r.d.metadata.annotations?.[revisionAnnotation] === revision) return;
  const metadata = { ...r.d.metadata, annotations: { ...r.d.metadata.annotations, [revisionAnnotation]: revision } };
  r.d = await r.deps.client.update(deployments, { ...r.d, metadata }, { signal: r.signal });
}

async function createNewSet(r: Rollout, old: readonly StoredReplicaSet[], revision: number): Promise<void> {
  const { deps, signal } = r;
  const set = newReplicaSet(r.d, old, revision);
  const name = set.metadata.name ?? '';
  let made: StoredReplicaSet;
  let existed = false;
  try {
    made = await deps.client.create(replicaSets, set, { signal });
  } catch (error) {
    if (isStatus(error, 'AlreadyExists')) {
      made = await settleCollision(r, name, error);
      existed = true;
    } else {
      if (!isNamespaceTerminating(error) && !signal.aborted) await reportFailedCreate(r, name, error);
      throw error;
    }
  }
  replaceSet(r, made);
  const size = replicasOf(made);
  if (!existed && size > 0) deps.recorder.event(r.d, 'Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} from 0 to ${size}`);
  await setRevision(r, String(revision));
  if (!existed && hasProgressDeadline(r.d)) {
    const condition = deploymentCondition(
      'Progressing',
      'True',
      'NewReplicaSetCreated',
      `Created new replica set "${name}"`,
      deps.clock.now(),
    );
    await writeStatus(r, withCondition(r.d, condition));
  }
}

function newReplicaSet(d: StoredDeployment, old: readonly StoredReplicaSet[], revision: number): ReplicaSet {
  const template: PodTemplateSpec = d.spec?.template ?? {};
  const hash = templateHash(template, d.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const selector = d.spec?.selector ?? {};
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${d.metadata.name}-${hash}`,
      namespace: d.metadata.namespace ?? '',
      labels,
      annotations: annotationsForNew(d, undefined, revision, false) ?? {},
      ownerReferences: [controllerRef(deployments, d)],
    },
    spec: {
      replicas: newReplicas(d, old, 0),
      minReadySeconds: d.spec?.minReadySeconds ?? 0,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

/** The name is taken: by ourselves (the informer lags) or by a stranger, after which another hash is tried. */
async function settleCollision(r: Rollout, name: string, error: unknown): Promise<StoredReplicaSet> {
  const there = await r.deps.client.get(replicaSets, { ...atOf(r.d), name }, { signal: r.signal });
  if (controllerOf(there)?.uid === r.d.metadata.uid && sameTemplate(there.spec?.template, r.d.spec?.template)) return there;
  await writeStatus(r, { ...r.d.status, collisionCount: (r.d.status?.collisionCount ?? 0) + 1 });
  throw error;
}

async function reportFailedCreate(r: Rollout, name: string, error: unknown): Promise<void> {
  const message = `Failed to create new replica set "${name}": ${textOf(error)}`;
  if (hasProgressDeadline(r.d)) {
    const condition = deploymentCondition('Progressing', 'False', 'ReplicaSetCreateError', message, r.deps.clock.now());
    await writeStatus(r, withCondition(r.d, condition));
  }
  r.deps.recorder.event(r.d, 'Warning', 'ReplicaSetCreateError', message);
}

/** Resizes a set and keeps its annotations of the Deployment's size; true when the size changed. */
async function scaleSet(r: Rollout, set: StoredReplicaSet, size: number): Promise<boolean> {
  const from = replicasOf(set);
  const wanted = replicaAnnotations(r.d);
  const annotated = [desiredReplicasAnnotation, maxReplicasAnnotation].every((a) => set.metadata.annotations?.[a] === wanted[a]);
  if (from === size && annotated) return false;
  const next = {
    ...set,
    metadata: { ...set.metadata, annotations: { ...set.metadata.annotations, ...wanted } },
    spec: { ...set.spec, replicas: size } as ReplicaSet['spec'] & object,
  };
  replaceSet(r, await r.deps.client.update(replicaSets, next, { signal: r.signal }));
  if (from === size) return false;
  const message = `Scaled ${from < size ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${size}`;
  r.deps.recorder.event(r.d, 'Normal', 'ScalingReplicaSet', message);
  return true;
}

const resize = async (r: Rollout, set: StoredReplicaSet, size: number): Promise<boolean> =>
  replicasOf(set) === size ? false : scaleSet(r, set, size);

/** Only sizes, no rollout: for paused Deployments and changes of spec.replicas. */
export async function syncScale(r: Rollout): Promise<number | undefined> {
  const { newSet, old } = await syncRevision(r, false);
  const single = activeOrLatest(newSet, old);
  if (single !== undefined) await resize(r, single, replicasOf(r.d));
  else if (isSaturated(r.d, newSet)) for (const set of activeSets(old)) await resize(r, set, 0);
  else if (isRollingUpdate(r.d)) {
    const active = activeSets(r.sets);
    const sizes = proportionalSizes(r.d, active);
    for (const set of active) await scaleSet(r, set, sizes.get(set.metadata.name) ?? replicasOf(set));
  }
  if (r.d.spec?.paused === true) await removeOld(r);
  const after = setsOf(r);
  await writeStatus(r, calculateStatus(r.d, after.all, after.newSet, r.deps.clock.now()));
  return undefined;
}

export async function syncStatusOnly(r: Rollout): Promise<void> {
  const { all, newSet } = setsOf(r);
  await writeStatus(r, calculateStatus(r.d, all, newSet, r.deps.clock.now()));
}

async function finishStep(r: Rollout): Promise<number | undefined> {
  const { all, newSet } = setsOf(r);
  const now = r.deps.clock.now();
  const status = rolloutStatus(r.d, all, newSet, now);
  await writeStatus(r, status);
  return deadlineCheck(r.d, status, now);
}

export async function rollingUpdate(r: Rollout): Promise<number | undefined> {
  const { newSet, all } = await syncRevision(r, true);
  if (newSet === undefined) return undefined;
  const wanted = replicasOf(r.d);
  if (replicasOf(newSet) !== wanted) {
    const size = replicasOf(newSet) > wanted ? wanted : newReplicas(r.d, all, replicasOf(newSet));
    if (await resize(r, newSet, size)) return finishStep(r);
  }
  if (await shrinkOldSets(r)) return finishStep(r);
  if (isComplete(r.d, r.d.status ?? {})) await removeOld(r);
  return finishStep(r);
}

/** Takes from the old sets what may go: first what is not available anyway, then what availability allows. */
async function shrinkOldSets(r: Rollout): Promise<boolean> {
  const { newSet, old, all } = setsOf(r);
  if (newSet === undefined || specTotal(old) === 0) return false;
  const minAvailable = replicasOf(r.d) - fenceposts(r.d).maxUnavailable;
  const newUnavailable = replicasOf(newSet) - (newSet.status?.availableReplicas ?? 0);
  const most = specTotal(all) - minAvailable - newUnavailable;
  if (most <= 0) return false;
  const unhealthy = await shrinkUnhealthy(r, activeSets(old), most);
  const spare = await shrinkAvailable(r, minAvailable);
  return unhealthy || spare;
}

async function shrinkUnhealthy(r: Rollout, old: readonly StoredReplicaSet[], most: number): Promise<boolean> {
  let total = 0;
  for (const set of oldestFirst(old)) {
    if (total >= most) break;
    const size = replicasOf(set);
    const unavailable = size - (set.status?.availableReplicas ?? 0);
    if (size === 0 || unavailable <= 0) continue;
    const count = Math.min(most - total, unavailable);
    await resize(r, set, size - count);
    total += count;
  }
  return total > 0;
}

async function shrinkAvailable(r: Rollout, minAvailable: number): Promise<boolean> {
  const { all, old } = setsOf(r);
  const most = statusTotal(all, 'availableReplicas') - minAvailable;
  let total = 0;
  for (const set of oldestFirst(activeSets(old))) {
    if (total >= most) break;
    const count = Math.min(replicasOf(set), most - total);
    await resize(r, set, replicasOf(set) - count);
    total += count;
  }
  return total > 0;
}

export async function recreate(r: Rollout): Promise<number | undefined> {
  const { old, newSet } = await syncRevision(r, false);
  let scaled = false;
  for (const set of activeSets(old)) scaled = (await resize(r, set, 0)) || scaled;
  if (scaled || oldPodsRun(r, old, newSet)) return finishStep(r);
  const made = newSet ?? (await syncRevision(r, true)).newSet;
  if (made !== undefined) await resize(r, made, replicasOf(r.d));
  if (isComplete(r.d, r.d.status ?? {})) await removeOld(r);
  return finishStep(r);
}

function oldPodsRun(r: Rollout, old: readonly StoredReplicaSet[], newSet: StoredReplicaSet | undefined): boolean {
  if (statusTotal(old, 'replicas') > 0) return true;
  return r.sets.some(
    (set) =>
      set.metadata.uid !== newSet?.metadata.uid &&
      r.podsOf(set).some((pod) => pod.status?.phase !== 'Failed' && pod.status?.phase !== 'Succeeded'),
  );
}

/** Deletes the oldest of the sets beyond the history limit. */
async function removeOld(r: Rollout): Promise<void> {
  if (!hasHistoryLimit(r.d)) return;
  const old = setsOf(r).old.filter((rs) => rs.metadata.deletionTimestamp === undefined);
  const excess = old.length - (r.d.spec?.revisionHistoryLimit ?? 10);
  if (excess <= 0) return;
  const sorted = [...old].sort((a, b) => revisionOf(a) - revisionOf(b));
  for (const set of sorted.slice(0, excess)) {
    const observed = (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0);
    if ((set.status?.replicas ?? 0) !== 0 || replicasOf(set) !== 0 || !observed) continue;
    try {
      await r.deps.client.delete(replicaSets, atOf(set), undefined, { signal: r.signal });
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error;
    }
    r.sets = r.sets.filter((rs) => rs.metadata.uid !== set.metadata.uid);
  }
}

/** Pods with names and storage of their own, made and replaced in order: k8s.io/kubernetes pkg/controller/statefulset. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { StatefulSetStatus } from '#kube/generated/apps-v1.ts';
import { objectKey } from '#kube/object.ts';
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from '#kube/refs.ts';
import { fromLabelSelector } from '#kube/selector.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { candidatesFor, indexByController } from './controller-index.ts';
import { scaledValue } from './int-or-string.ts';
import { followPods } from './owned-pods.ts';
import { claim } from './ownership.ts';
import { isNamespaceTerminating, textOf } from './pod-control.ts';
import { isAvailable, nextAvailability, type StoredPod } from './pods.ts';
import { type StoredRevision, syncHistory, trimHistory } from './revisions.ts';
import { sameStatus } from './same-status.ts';
import { syncClaimOwners } from './stateful-set-claims.ts';
import {
  claimsFor,
  identityLabels,
  identityMatches,
  isEnded,
  isHealthy,
  isRunningAndReady,
  isTerminating,
  ordinalOf,
  podFor,
  podNameOf,
  replicasOf,
  revisionNameOf,
  type StoredStatefulSet,
  startOrdinal,
} from './stateful-set-pods.ts';

const name = 'statefulset-controller';

/** What a sync works on. */
interface Turn {
  readonly set: StoredStatefulSet;
  readonly current: StoredRevision;
  readonly update: StoredRevision;
  /** By ordinal. */
  readonly pods: ReadonlyMap<number, StoredPod>;
  readonly signal: AbortSignal;
}

function create(deps: ControllerDeps) {
  const { client, informers, recorder, clock } = deps;
  const owners = informers.informer(statefulSets);
  const allPods = informers.informer(pods);
  const claims = informers.informer(persistentVolumeClaims);
  const revisions = informers.informer(controllerRevisions);
  indexByController(allPods);
  indexByController(revisions);

  const report = (set: StoredStatefulSet, verb: 'create' | 'delete' | 'update', what: string, error?: unknown): void => {
    const done = { create: 'SuccessfulCreate', delete: 'SuccessfulDelete', update: 'SuccessfulUpdate' }[verb];
    const failed = { create: 'FailedCreate', delete: 'FailedDelete', update: 'FailedUpdate' }[verb];
    if (error === undefined) recorder.event(set, 'Normal', done, `${verb} ${what} in StatefulSet ${set.metadata.name} successful`);
    else if (!isNamespaceTerminating(error))
      recorder.event(set, 'Warning', failed, `${verb} ${what} in StatefulSet ${set.metadata.name} failed error: ${textOf(error)}`);
  };

  const createClaims = async (t: Turn, ordinal: number): Promise<void> => {
    for (const wanted of claimsFor(t.set, ordinal)) {
      const key = objectKey(wanted);
      if (claims.get(key) !== undefined) continue;
      const what = `Claim ${wanted.metadata.name} Pod ${podNameOf(t.set, ordinal)}`;
      try {
        const made = await client.create(persistentVolumeClaims, wanted, { signal: t.signal });
        await claims.reached(made.metadata.resourceVersion, t.signal);
        report(t.set, 'create', what);
      } catch (error) {
        if (isStatus(error, 'AlreadyExists')) continue;
        report(t.set, 'create', what, error);
        throw error;
      }
    }
  };

  const createPod = async (t: Turn, ordinal: number): Promise<void> => {
    const revision = wantsCurrent(t, ordinal) ? t.current : t.update;
    await createClaims(t, ordinal);
    const pod = podFor(t.set, revision, ordinal);
    try {
      const made = await client.create(pods, pod, { signal: t.signal });
      await allPods.reached(made.metadata.resourceVersion, t.signal);
      report(t.set, 'create', `Pod ${pod.metadata.name}`);
    } catch (error) {
      if (isStatus(error, 'AlreadyExists')) return;
      report(t.set, 'create', `Pod ${pod.metadata.name}`, error);
      throw error;
    }
  };

  const deletePod = async (t: Turn, pod: StoredPod): Promise<void> => {
    const { namespace = '', name: podName, uid } = pod.metadata;
    try {
      await client.delete(pods, { namespace, name: podName }, { preconditions: { uid } }, { signal: t.signal });
      report(t.set, 'delete', `Pod ${podName}`);
    } catch (error) {
      if (isStatus(error, 'NotFound')) return;
      report(t.set, 'delete', `Pod ${podName}`, error);
      throw error;
    }
  };

  /** Makes what is missing, lowest ordinal first. False: wait for what is under way before going on. */
  const fill = async (t: Turn, ordered: boolean): Promise<boolean> => {
    const start = startOrdinal(t.set);
    for (let ordinal = start; ordinal < start + replicasOf(t.set); ordinal++) {
      const pod = t.pods.get(ordinal);
      if (pod === undefined) {
        await createPod(t, ordinal);
        if (ordered) return false;
      } else if (isEnded(pod) && !isTerminating(pod)) {
        const failed = pod.status?.phase === 'Failed';
        const text = `StatefulSet ${objectKey(t.set)} is recreating ${failed ? 'failed' : 'terminated'} Pod ${pod.metadata.name}`;
        recorder.event(t.set, failed ? 'Warning' : 'Normal', failed ? 'RecreatingFailedPod' : 'RecreatingTerminatedPod', text);
        await deletePod(t, pod);
        if (ordered) return false;
      } else {
        if (pod.status?.phase === 'Pending' && !isTerminating(pod)) await createClaims(t, ordinal);
        if (ordered && (isTerminating(pod) || !isRunningAndReady(pod) || !available(t, pod))) return false;
        if (!identityMatches(t.set, pod)) await restoreIdentity(t, pod);
      }
    }
    return true;
  };
  const available = (t: Turn, pod: StoredPod): boolean => isAvailable(pod, t.set.spec?.minReadySeconds ?? 0, clock.now());
  const restoreIdentity = async (t: Turn, pod: StoredPod): Promise<void> => {
    const metadata = { ...pod.metadata, labels: { ...pod.metadata.labels, ...identityLabels(t.set, pod) } };
    await client.update(pods, { ...pod, metadata }, { signal: t.signal });
    report(t.set, 'update', `Pod ${pod.metadata.name}`);
  };

  /** Removes pods beyond spec.replicas, highest ordinal first. */
  const shrink = async (t: Turn, ordered: boolean): Promise<boolean> => {
    const condemned = condemnedOf(t).reverse();
    const unhealthy = firstUnhealthy(t);
    for (const pod of condemned) {
      if (isTerminating(pod)) {
        if (ordered) return false;
        continue;
      }
      if (ordered && (!isRunningAndReady(pod) || !available(t, pod)) && pod !== unhealthy) return false;
      await deletePod(t, pod);
      if (ordered) return false;
    }
    return true;
  };

  /** Deletes pods of other revisions from the highest ordinal down; each comes back in the new revision. */
  const roll = async (t: Turn): Promise<void> => {
    if (t.set.spec?.updateStrategy?.type === 'OnDelete') return;
    const start = startOrdinal(t.set);
    const rolling = t.set.spec?.updateStrategy?.rollingUpdate;
    const least = start + (rolling?.partition ?? 0);
    const room = Math.max(1, scaledValue(rolling?.maxUnavailable ?? 1, replicasOf(t.set), 'up'));
    let unavailable = 0;
    for (let ordinal = start; ordinal < start + replicasOf(t.set); ordinal++) {
      const pod = t.pods.get(ordinal);
      if (pod === undefined || !isHealthy(pod) || !available(t, pod)) unavailable++;
    }
    for (let ordinal = start + replicasOf(t.set) - 1; ordinal >= least; ordinal--) {
      const pod = t.pods.get(ordinal);
      if (pod === undefined) return;
      const outdated = revisionNameOf(pod) !== t.update.metadata.name;
      const healthy = isHealthy(pod) && available(t, pod);
      if (outdated && !isTerminating(pod)) {
        if (healthy && unavailable >= room) return;
        await deletePod(t, pod);
        if (healthy) unavailable++;
        if (unavailable >= room) return;
      } else if (!healthy && unavailable >= room) return;
    }
  };

  const run = async (t: Turn): Promise<void> => {
    if (t.set.metadata.deletionTimestamp !== undefined) return;
    await syncClaimOwners(deps, claims, t.set, t.pods, t.signal);
    const ordered = t.set.spec?.podManagementPolicy !== 'Parallel';
    if (!(await fill(t, ordered))) return;
    if (!(await shrink(t, ordered))) return;
    await roll(t);
  };

  const claimPods = (set: StoredStatefulSet, signal: AbortSignal) =>
    claim({
      client,
      ownerResource: statefulSets,
      owner: set,
      resource: pods,
      selector: fromLabelSelector(set.spec?.selector),
      candidates: candidatesFor(allPods, set),
      filter: (pod) => ordinalOf(set, pod) !== undefined,
      signal,
    });

  const historyOf = async (set: StoredStatefulSet, signal: AbortSignal) => {
    const owned = await claim({
      client,
      ownerResource: statefulSets,
      owner: set,
      resource: controllerRevisions,
      selector: fromLabelSelector(set.spec?.selector),
      candidates: candidatesFor(revisions, set),
      signal,
    });
    const onCollision = async (collisionCount: number): Promise<void> => {
      const status = { replicas: 0, ...set.status, collisionCount };
      await client.update(statefulSets, { ...set, status }, { subresource: 'status', signal });
    };
    const template = set.spec?.template ?? {};
    const common = { client, revisions, resource: statefulSets, owner: set, template, onCollision, signal };
    const history = await syncHistory({ ...common, collisionCount: set.status?.collisionCount }, owned);
    const all = [...history.old, history.current];
    const current = all.find((r) => r.metadata.name === set.status?.currentRevision) ?? history.current;
    return { update: history.current, current, old: history.old };
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const set = owners.get(key);
    if (set === undefined) return undefined;
    const { update, current, old } = await historyOf(set, signal);
    const mine = await claimPods(set, signal);
    const turn = { set, current, update, signal, pods: byOrdinal(set, mine) };
    let failure: unknown;
    try {
      await run(turn);
    } catch (error) {
      failure = error;
    }
    // What was just made or deleted counts already.
    const after = { ...turn, pods: byOrdinal(set, await claimPods(set, signal)) };
    const status = statusOf(after, clock.now());
    if (!sameStatus(status, set.status)) {
      const written = await client.update(statefulSets, { ...set, status }, { subresource: 'status', signal });
      await owners.reached(written.metadata.resourceVersion, signal);
    }
    if (failure !== undefined) throw failure;
    const inUse = new Set([...mine.map(revisionNameOf), current.metadata.name, update.metadata.name]);
    await trimHistory(client, old, set.spec?.revisionHistoryLimit ?? 10, inUse, signal);
    return nextAvailability([...after.pods.values()], set.spec?.minReadySeconds ?? 0, clock.now());
  };

  const reconciler = createReconciler(deps, { name, sources: [owners, allPods, claims, revisions], reconcile, keys: () => owners.keys() });
  const { queue } = reconciler;
  owners.addHandler({ added: (s) => queue.add(objectKey(s)), updated: (s) => queue.add(objectKey(s)) });
  followPods({
    resource: statefulSets,
    owners,
    pods: allPods,
    selectorOf: (set) => fromLabelSelector(set.spec?.selector),
    enqueue: (set) => queue.add(objectKey(set)),
  });
  return [reconciler];
}

function byOrdinal(set: StoredStatefulSet, mine: readonly StoredPod[]): ReadonlyMap<number, StoredPod> {
  const out = new Map<number, StoredPod>();
  for (const pod of mine) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal !== undefined) out.set(ordinal, pod);
  }
  return out;
}

/** Pods outside the wanted range, lowest ordinal first. */
function condemnedOf(t: Turn): StoredPod[] {
  const start = startOrdinal(t.set);
  return [...t.pods]
    .filter(([ordinal]) => ordinal < start || ordinal >= start + replicasOf(t.set))
    .sort(([a], [b]) => a - b)
    .map(([, pod]) => pod);
}

function firstUnhealthy(t: Turn): StoredPod | undefined {
  const start = startOrdinal(t.set);
  for (let ordinal = start; ordinal < start + replicasOf(t.set); ordinal++) {
    const pod = t.pods.get(ordinal);
    if (pod !== undefined && !isHealthy(pod)) return pod;
  }
  return condemnedOf(t)
    .reverse()
    .find((pod) => !isHealthy(pod));
}

/** Whether an ordinal that is to be made gets the old revision: those below the partition, and those not yet rolled. */
function wantsCurrent(t: Turn, ordinal: number): boolean {
  const strategy = t.set.spec?.updateStrategy;
  if (strategy?.type === 'OnDelete') return false;
  const start = startOrdinal(t.set);
  const partition = strategy?.rollingUpdate?.partition;
  return ordinal < start + (partition ?? t.set.status?.currentReplicas ?? 0);
}

function statusOf(t: Turn, nowMs: number): StatefulSetStatus {
  const { set } = t;
  const n = { replicas: 0, ready: 0, available: 0, current: 0, updated: 0 };
  for (const pod of t.pods.values()) {
    n.replicas++;
    if (isRunningAndReady(pod)) {
      n.ready++;
      if (isAvailable(pod, set.spec?.minReadySeconds ?? 0, nowMs)) n.available++;
    }
    if (isTerminating(pod)) continue;
    if (revisionNameOf(pod) === t.current.metadata.name) n.current++;
    if (revisionNameOf(pod) === t.update.metadata.name) n.updated++;
  }
  let currentRevision = t.current.metadata.name;
  const rolling = set.spec?.updateStrategy?.type !== 'OnDelete';
  if (rolling && n.updated === n.replicas && n.ready === n.replicas && n.updated === replicasOf(set)) {
    n.current = n.updated;
    currentRevision = t.update.metadata.name;
  }
  return {
    replicas: n.replicas,
    ...(n.ready === 0 ? {} : { readyReplicas: n.ready }),
    availableReplicas: n.available,
    ...(n.current === 0 ? {} : { currentReplicas: n.current }),
    ...(n.updated === 0 ? {} : { updatedReplicas: n.updated }),
    currentRevision,
    updateRevision: t.update.metadata.name,
    collisionCount: set.status?.collisionCount ?? 0,
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    ...(set.status?.conditions === undefined ? {} : { conditions: set.status.conditions }),
  };
}

export const statefulSetController: ControllerDef = { name, create };

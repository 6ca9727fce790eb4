/** Keeps as many pods as spec.replicas says: k8s.io/kubernetes pkg/controller/replicaset, for ReplicaSets and ReplicationControllers. */
import type { Informer } from '#client/informer.ts';
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from '#kube/generated/apps-v1.ts';
import type { Pod, ReplicationController } from '#kube/generated/core-v1.ts';
import { controllerOf, objectKey, type Stored } from '#kube/object.ts';
import { pods, type ResourceRef, replicaSets, replicationControllers } from '#kube/refs.ts';
import { fromLabelSelector, matchesLabels, type ParsedLabelSelector, selectorFromLabels } from '#kube/selector.ts';
import { isStatus } from '#kube/status-error.ts';
import { getCondition, removeCondition, setCondition } from './conditions.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { candidatesFor, controlledBy, indexByController } from './controller-index.ts';
import { createExpectations } from './expectations.ts';
import { followPods } from './owned-pods.ts';
import { claim, controllerRef } from './ownership.ts';
import { createPodControl, isNamespaceTerminating, slowStartBatch, textOf } from './pod-control.ts';
import { isActive, isAvailable, isReady, isTerminating, nextAvailability, type StoredPod } from './pods.ts';
import { rankForDeletion } from './replica-ranking.ts';
import { sameStatus } from './same-status.ts';
import { isoTime } from './times.ts';

type Replicated = ReplicaSet | ReplicationController;

interface ReplicatedKind<T extends Replicated> {
  readonly resource: ResourceRef<T>;
  readonly selectorOf: (object: Stored<T>) => ParsedLabelSelector | undefined;
}

/** At most so many pods are made or deleted in one go. */
const burstReplicas = 500;

function replicatedController<T extends Replicated>(kind: ReplicatedKind<T>, name: string, deps: ControllerDeps) {
  const { client, clock, informers } = deps;
  const owners: Informer<T> = informers.informer(kind.resource);
  const podInformer: Informer<Pod> = informers.informer(pods);
  indexByController(podInformer);
  indexByController(owners);
  const expectations = createExpectations(clock);
  const control = createPodControl(client, deps.recorder);

  const scaleUp = async (rs: Stored<T>, key: string, count: number, signal: AbortSignal): Promise<unknown> => {
    const template = rs.spec?.template ?? {};
    const ref = controllerRef(kind.resource, rs);
    expectations.expectCreations(key, count);
    const { done, failure } = await slowStartBatch(count, async () => {
      try {
        await control.create({ owner: rs, ref, template }, signal);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
        // Nothing can be made there any more; its deletion is on the way.
        expectations.creationObserved(key);
      }
    });
    for (let i = done; i < count; i++) expectations.creationObserved(key);
    return failure;
  };

  const scaleDown = async (
    rs: Stored<T>,
    key: string,
    active: readonly StoredPod[],
    count: number,
    signal: AbortSignal,
  ): Promise<unknown> => {
    const victims = count < active.length ? rankForDeletion(active, rankByNode(rs), clock.now()).slice(0, count) : active;
    expectations.expectDeletions(key, victims.map(objectKey));
    const results = await Promise.allSettled(
      victims.map(async (pod) => {
        try {
          await control.remove(pod, rs, signal);
        } catch (error) {
          expectations.deletionObserved(key, objectKey(pod));
          if (!isStatus(error, 'NotFound')) throw error;
        }
      }),
    );
    return results.find((r) => r.status === 'rejected')?.reason;
  };

  /** Pods of ReplicaSets of the same owner that share a node with the pod, itself included. */
  const rankByNode = (rs: Stored<T>): ((pod: StoredPod) => number) => {
    const parent = controllerOf(rs);
    const related = parent === undefined ? [rs] : controlledBy(owners, parent.uid);
    const perNode = new Map<string, number>();
    for (const one of related)
      for (const pod of controlledBy(podInformer, one.metadata.uid)) {
        const node = pod.spec?.nodeName ?? '';
        if (isActive(pod) && node !== '') perNode.set(node, (perNode.get(node) ?? 0) + 1);
      }
    return (pod) => perNode.get(pod.spec?.nodeName ?? '') ?? 0;
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const rs = owners.get(key);
    if (rs === undefined) {
      expectations.forget(key);
      return undefined;
    }
    const settled = expectations.satisfied(key);
    const claimed = await claim({
      client,
      ownerResource: kind.resource,
      owner: rs,
      resource: pods,
      selector: kind.selectorOf(rs),
      candidates: candidatesFor(podInformer, rs).filter((pod) => isActive(pod) || controllerOf(pod) !== undefined),
      signal,
    });
    const active = claimed.filter(isActive);
    let failure: unknown;
    const wanted = rs.spec?.replicas ?? 1;
    const difference = active.length - wanted;
    if (settled && rs.metadata.deletionTimestamp === undefined && difference !== 0) {
      const count = Math.min(Math.abs(difference), burstReplicas);
      failure = difference < 0 ? await scaleUp(rs, key, count, signal) : await scaleDown(rs, key, active, count, signal);
    }
    await updateStatus(rs, active, claimed.filter(isTerminating).length, failure, signal);
    if (failure !== undefined) throw failure;
    return nextAvailability(active, rs.spec?.minReadySeconds ?? 0, clock.now());
  };

  const updateStatus = async (
    rs: Stored<T>,
    active: readonly StoredPod[],
    terminating: number,
    failure: unknown,
    signal: AbortSignal,
  ): Promise<void> => {
    const status = statusOf(rs as unknown as Stored<Replicated>, active, terminating, failure, clock.now());
    if (sameStatus(status, rs.status)) return;
    const { resource } = kind;
    try {
      await client.update<Replicated>(resource as ResourceRef<Replicated>, { ...rs, status } as Replicated, {
        subresource: 'status',
        signal,
      });
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error;
    }
  };

  const reconciler = createReconciler(deps, {
    name,
    sources: [owners, podInformer],
    reconcile,
    keys: () => owners.keys(),
  });
  owners.addHandler({
    added: (rs) => reconciler.queue.add(objectKey(rs)),
    updated: (rs) => reconciler.queue.add(objectKey(rs)),
    deleted: (rs) => {
      expectations.forget(objectKey(rs));
      reconciler.queue.add(objectKey(rs));
    },
  });
  followPods({
    resource: kind.resource,
    owners,
    pods: podInformer,
    selectorOf: kind.selectorOf,
    expectations,
    enqueue: (owner) => reconciler.queue.add(objectKey(owner)),
  });
  return [reconciler];
}

function statusOf(
  rs: Stored<Replicated>,
  active: readonly StoredPod[],
  terminating: number,
  failure: unknown,
  nowMs: number,
): ReplicaSetStatus {
  const template = selectorFromLabels(rs.spec?.template?.metadata?.labels);
  const minReadySeconds = rs.spec?.minReadySeconds ?? 0;
  const counts = { fully: 0, ready: 0, available: 0 };
  for (const pod of active) {
    if (matchesLabels(template, pod.metadata.labels)) counts.fully++;
    if (isReady(pod)) counts.ready++;
    if (isAvailable(pod, minReadySeconds, nowMs)) counts.available++;
  }
  let conditions = rs.status?.conditions ?? [];
  const failed = getCondition(conditions, 'ReplicaFailure');
  if (failure !== undefined && failed === undefined) {
    const condition: ReplicaSetCondition = {
      type: 'ReplicaFailure',
      status: 'True',
      lastTransitionTime: isoTime(nowMs),
      reason: active.length < (rs.spec?.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete',
      message: textOf(failure),
    };
    conditions = setCondition(conditions, condition);
  } else if (failure === undefined && failed !== undefined) conditions = removeCondition(conditions, 'ReplicaFailure');
  return {
    replicas: active.length,
    ...(counts.fully === 0 ? {} : { fullyLabeledReplicas: counts.fully }),
    ...(counts.ready === 0 ? {} : { readyReplicas: counts.ready }),
    ...(counts.available === 0 ? {} : { availableReplicas: counts.available }),
    ...('selector' in (rs.spec ?? {}) && rs.kind === 'ReplicaSet' ? { terminatingReplicas: terminating } : {}),
    ...(rs.metadata.generation === undefined ? {} : { observedGeneration: rs.metadata.generation }),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
}

export const replicaSetController: ControllerDef = {
  name: 'replicaset-controller',
  create: (deps) =>
    replicatedController(
      { resource: replicaSets, selectorOf: (rs) => fromLabelSelector(rs.spec?.selector) },
      'replicaset-controller',
      deps,
    ),
};

export const replicationController: ControllerDef = {
  name: 'replication-controller',
  create: (deps) =>
    replicatedController(
      { resource: replicationControllers, selectorOf: (rc) => selectorFromLabels(rc.spec?.selector) },
      'replication-controller',
      deps,
    ),
};

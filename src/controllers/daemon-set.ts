/** One pod on every matching node: k8s.io/kubernetes pkg/controller/daemon. */
import { isDeepStrictEqual } from 'node:util';
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { DaemonSetStatus } from '#kube/generated/apps-v1.ts';
import { controllerOf, objectKey } from '#kube/object.ts';
import { controllerRevisions, daemonSets, nodes, pods } from '#kube/refs.ts';
import { fromLabelSelector } from '#kube/selector.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { candidatesFor, indexByController } from './controller-index.ts';
import { nodeOf, type StoredDaemonSet, type StoredNode, templateFor, verdictFor } from './daemon-set-nodes.ts';
import { type DaemonSteps, type DaemonView, isUpdated, manageSteps, rollingSteps } from './daemon-set-update.ts';
import { createExpectations } from './expectations.ts';
import { followPods, ownerOf } from './owned-pods.ts';
import { claim, controllerRef } from './ownership.ts';
import { createPodControl, isNamespaceTerminating, slowStartBatch } from './pod-control.ts';
import { isAvailable, isReady, nextAvailability, type StoredPod } from './pods.ts';
import { type History, revisionHashLabel, syncHistory, trimHistory } from './revisions.ts';
import { sameStatus } from './same-status.ts';

const name = 'daemonset-controller';
const burst = 250;
const failedBackoff = { baseMs: 1000, maxMs: 900_000 };
const maxFailures = 10_000;

function create(deps: ControllerDeps) {
  const { client, informers, recorder, clock } = deps;
  const owners = informers.informer(daemonSets);
  const allPods = informers.informer(pods);
  const allNodes = informers.informer(nodes);
  const revisions = informers.informer(controllerRevisions);
  indexByController(allPods);
  indexByController(revisions);
  const expectations = createExpectations(clock);
  const control = createPodControl(client, recorder);
  /** Failed pods of a DaemonSet on a node: they are replaced with growing delays. */
  const failures = new Map<string, { count: number; uid: string; readonly untilMs: number }>();

  const waitsAfterFailure = (ds: StoredDaemonSet, pod: StoredPod, again: (ms: number) => void): boolean => {
    const key = `${ds.metadata.uid}/${nodeOf(pod)}`;
    const known = failures.get(key);
    const now = clock.monotonic();
    if (known !== undefined && known.untilMs > now && known.uid !== pod.metadata.uid) {
      again(known.untilMs - now);
      return true;
    }
    if (known?.uid !== pod.metadata.uid) {
      const count = known === undefined || now - known.untilMs > 2 * failedBackoff.maxMs ? 1 : known.count + 1;
      failures.set(key, { count, uid: pod.metadata.uid, untilMs: now + backoffMs(count, failedBackoff) });
      if (failures.size > maxFailures) failures.delete(failures.keys().next().value as string);
    }
    const text = `Found failed daemon pod ${objectKey(pod)} on node ${nodeOf(pod)}, will try to kill it`;
    recorder.event(ds, 'Warning', 'FailedDaemonPod', text);
    return false;
  };

  const viewOf = async (ds: StoredDaemonSet, hash: string, signal: AbortSignal): Promise<DaemonView> => {
    const claimed = await claim({
      client,
      ownerResource: daemonSets,
      owner: ds,
      resource: pods,
      selector: fromLabelSelector(ds.spec?.selector),
      candidates: candidatesFor(allPods, ds),
      signal,
    });
    const podsOn = new Map<string, StoredPod[]>();
    for (const pod of claimed) {
      const node = nodeOf(pod);
      if (node === undefined) continue;
      const list = podsOn.get(node);
      if (list === undefined) podsOn.set(node, [pod]);
      else list.push(pod);
    }
    return { ds, nodes: allNodes.list(), podsOn, hash, nowMs: clock.now() };
  };

  const historyOf = async (ds: StoredDaemonSet, signal: AbortSignal): Promise<History> => {
    const owned = await claim({
      client,
      ownerResource: daemonSets,
      owner: ds,
      resource: controllerRevisions,
      selector: fromLabelSelector(ds.spec?.selector),
      candidates: candidatesFor(revisions, ds),
      signal,
    });
    const onCollision = async (collisionCount: number): Promise<void> => {
      const status = { ...emptyStatus, ...ds.status, collisionCount };
      await client.update(daemonSets, { ...ds, status }, { subresource: 'status', signal });
    };
    const template = ds.spec?.template ?? {};
    const common = { client, revisions, resource: daemonSets, owner: ds, template, onCollision, signal };
    return syncHistory({ ...common, collisionCount: ds.status?.collisionCount }, owned);
  };

  const carryOut = async (ds: StoredDaemonSet, key: string, steps: DaemonSteps, hash: string, signal: AbortSignal): Promise<void> => {
    const create = steps.create.slice(0, burst);
    const remove = steps.remove.slice(0, burst);
    if (create.length === 0 && remove.length === 0) return;
    expectations.expectCreations(key, create.length);
    expectations.expectDeletions(key, remove.map(objectKey));
    const ref = controllerRef(daemonSets, ds);
    const made = await slowStartBatch(create.length, async (i) => {
      try {
        await control.create({ owner: ds, ref, template: templateFor(ds, create[i] ?? '', hash) }, signal);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
        expectations.creationObserved(key);
      }
    });
    for (let i = made.done; i < create.length; i++) expectations.creationObserved(key);
    const removed = await Promise.allSettled(
      remove.map(async (pod) => {
        try {
          await control.remove(pod, ds, signal);
        } catch (error) {
          expectations.deletionObserved(key, objectKey(pod));
          if (!isStatus(error, 'NotFound')) throw error;
        }
      }),
    );
    if (made.failure !== undefined) throw made.failure;
    const failed = removed.find((r) => r.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };

  const updateStatus = async (view: DaemonView, observed: boolean, signal: AbortSignal): Promise<void> => {
    const status = statusOf(view, observed);
    if (sameStatus(status, view.ds.status)) return;
    await client.update(daemonSets, { ...view.ds, status }, { subresource: 'status', signal });
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const ds = owners.get(key);
    if (ds === undefined) {
      expectations.forget(key);
      return undefined;
    }
    if (Object.keys(ds.spec?.selector.matchLabels ?? {}).length === 0 && (ds.spec?.selector.matchExpressions ?? []).length === 0) {
      recorder.event(ds, 'Warning', 'SelectingAll', 'This daemon set is selecting all pods. A non-empty selector is required.');
      return undefined;
    }
    if (ds.metadata.deletionTimestamp !== undefined) return undefined;
    const history = await historyOf(ds, signal);
    const hash = history.current.metadata.labels?.[revisionHashLabel] ?? '';
    const view = await viewOf(ds, hash, signal);
    if (!expectations.satisfied(key)) {
      await updateStatus(view, false, signal);
      return undefined;
    }
    let wait: number | undefined;
    const again = (ms: number): void => {
      wait = Math.min(wait ?? ms, ms);
    };
    let failure: unknown;
    try {
      await carryOut(
        ds,
        key,
        manageSteps(view, (pod) => waitsAfterFailure(ds, pod, again)),
        hash,
        signal,
      );
      if (expectations.satisfied(key)) await carryOut(ds, key, rollingSteps(view), hash, signal);
    } catch (error) {
      failure = error;
    }
    await updateStatus(view, true, signal);
    if (failure !== undefined) throw failure;
    const inUse = new Set([...view.podsOn.values()].flat().map((pod) => pod.metadata.labels?.[revisionHashLabel] ?? ''));
    await trimHistory(client, history.old, ds.spec?.revisionHistoryLimit ?? 10, inUse, signal);
    const next = nextAvailability([...view.podsOn.values()].flat(), ds.spec?.minReadySeconds ?? 0, clock.now());
    if (next !== undefined) again(next);
    return wait;
  };

  const reconciler = createReconciler(deps, {
    name,
    sources: [owners, allPods, allNodes, revisions],
    workers: 2,
    reconcile,
    keys: () => owners.keys(),
  });
  const { queue } = reconciler;
  owners.addHandler({
    added: (ds) => queue.add(objectKey(ds)),
    updated: (ds) => queue.add(objectKey(ds)),
    deleted: (ds) => {
      expectations.forget(objectKey(ds));
      queue.add(objectKey(ds));
    },
  });
  followPods({
    resource: daemonSets,
    owners,
    pods: allPods,
    selectorOf: (ds) => fromLabelSelector(ds.spec?.selector),
    expectations,
    enqueue: (ds) => queue.add(objectKey(ds)),
  });
  revisions.addHandler({
    deleted: (revision) => {
      const ds = ownerOf(daemonSets, owners, revision.metadata.namespace, controllerOf(revision));
      if (ds !== undefined) queue.add(objectKey(ds));
    },
  });
  const everyOwner = (): void => {
    for (const key of owners.keys()) queue.add(key);
  };
  allNodes.addHandler({
    added: everyOwner,
    deleted: everyOwner,
    updated: (node, old) => {
      if (isDeepStrictEqual(node.metadata.labels, old.metadata.labels) && isDeepStrictEqual(node.spec?.taints, old.spec?.taints)) return;
      for (const ds of owners.list()) if (!isDeepStrictEqual(verdictFor(ds, node), verdictFor(ds, old))) queue.add(objectKey(ds));
    },
  });
  return [reconciler];
}

const emptyStatus: DaemonSetStatus = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };

function statusOf(view: DaemonView, observed: boolean): DaemonSetStatus {
  const { ds } = view;
  const n = { desired: 0, current: 0, misscheduled: 0, ready: 0, updated: 0, available: 0 };
  for (const node of view.nodes) countNode(view, node, n);
  const unavailable = n.desired - n.available;
  const generation = observed ? ds.metadata.generation : ds.status?.observedGeneration;
  return {
    currentNumberScheduled: n.current,
    desiredNumberScheduled: n.desired,
    numberMisscheduled: n.misscheduled,
    numberReady: n.ready,
    ...(n.updated === 0 ? {} : { updatedNumberScheduled: n.updated }),
    ...(n.available === 0 ? {} : { numberAvailable: n.available }),
    ...(unavailable === 0 ? {} : { numberUnavailable: unavailable }),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(ds.status?.collisionCount === undefined ? {} : { collisionCount: ds.status.collisionCount }),
    ...(ds.status?.conditions === undefined ? {} : { conditions: ds.status.conditions }),
  };
}

interface Counts {
  desired: number;
  current: number;
  misscheduled: number;
  ready: number;
  updated: number;
  available: number;
}

function countNode(view: DaemonView, node: StoredNode, n: Counts): void {
  const onNode = [...(view.podsOn.get(node.metadata.name) ?? [])];
  const [pod] = onNode.sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1));
  if (!verdictFor(view.ds, node).shouldRun) {
    if (pod !== undefined) n.misscheduled++;
    return;
  }
  n.desired++;
  if (pod === undefined) return;
  n.current++;
  if (isReady(pod)) {
    n.ready++;
    if (isAvailable(pod, view.ds.spec?.minReadySeconds ?? 0, view.nowMs)) n.available++;
  }
  if (isUpdated(pod, view.hash)) n.updated++;
}

export const daemonSetController: ControllerDef = { name, serviceAccount: 'daemon-set-controller', create };

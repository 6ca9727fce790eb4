/** Says how many pods a PodDisruptionBudget allows to be evicted: k8s.io/kubernetes pkg/controller/disruption. */
import { isDeepStrictEqual } from 'node:util';
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { Scale } from '#kube/generated/autoscaling-v1.ts';
import type { Condition } from '#kube/generated/meta-v1.ts';
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from '#kube/generated/policy-v1.ts';
import { controllerOf, type KubeObject, type OwnerReference, objectKey, type Stored } from '#kube/object.ts';
import {
  deployments,
  podDisruptionBudgets,
  pods,
  type ResourceRef,
  replicaSets,
  replicationControllers,
  splitApiVersion,
  statefulSets,
} from '#kube/refs.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { discover } from './discovery.ts';
import { scaledValue } from './int-or-string.ts';
import { textOf } from './pod-control.ts';
import { isReady, isTerminal, type StoredPod } from './pods.ts';
import { sameStatus } from './same-status.ts';
import { isoTime, msOf } from './times.ts';

const name = 'disruption-controller';
/** An eviction that was granted and not carried out counts for this long. */
const deletionTimeoutMs = 120_000;

type StoredBudget = Stored<PodDisruptionBudget>;

interface Expected {
  readonly expected: number;
  readonly desired: number;
  readonly unmanaged: readonly string[];
}

function create(deps: ControllerDeps) {
  const { client, informers, recorder, clock } = deps;
  const budgets = informers.informer(podDisruptionBudgets);
  const allPods = informers.informer(pods);
  const known: readonly ResourceRef[] = [deployments, replicaSets, replicationControllers, statefulSets];
  const scalable = new Map(known.map((ref) => [`${ref.group}/${ref.kind}`, informers.informer<KubeObject>(ref)]));

  const selected = (pdb: StoredBudget): readonly StoredPod[] => {
    const selector = fromLabelSelector(pdb.spec?.selector);
    return allPods.list(pdb.metadata.namespace ?? '').filter((pod) => matchesLabels(selector, pod.metadata.labels));
  };

  /** The scale of what controls a pod: a ReplicaSet of a Deployment counts as that Deployment. */
  const scaleOf = async (
    namespace: string,
    ref: OwnerReference,
    signal: AbortSignal,
  ): Promise<{ uid: string; replicas: number } | undefined> => {
    const { group } = splitApiVersion(ref.apiVersion);
    const owner = scalable.get(`${group}/${ref.kind}`)?.get(`${namespace}/${ref.name}`);
    if (owner !== undefined) {
      if (owner.metadata.uid !== ref.uid) return undefined;
      const parent = controllerOf(owner);
      if (ref.kind === 'ReplicaSet' && parent?.kind === 'Deployment') return scaleOf(namespace, parent, signal);
      const { spec } = owner as { readonly spec?: { readonly replicas?: number } };
      return { uid: owner.metadata.uid, replicas: spec?.replicas ?? 1 };
    }
    if (scalable.has(`${group}/${ref.kind}`)) return undefined;
    const { resources } = await discover(client, signal);
    const resource = resources.find((r) => r.ref.group === group && r.ref.kind === ref.kind)?.ref;
    if (resource === undefined) return undefined;
    try {
      const scale = (await client.get(resource, { namespace, name: ref.name }, { subresource: 'scale', signal })) as unknown as Scale;
      return { uid: ref.uid, replicas: scale.spec?.replicas ?? 0 };
    } catch (error) {
      if (isStatus(error, 'NotFound'))
        throw new Error(`${resource.plural}.${group} does not implement the scale subresource`, { cause: error });
      throw error;
    }
  };

  const expectedScale = async (
    list: readonly StoredPod[],
    signal: AbortSignal,
  ): Promise<{ total: number; unmanaged: readonly string[] }> => {
    const scales = new Map<string, number>();
    const unmanaged: string[] = [];
    for (const pod of list) {
      const ref = controllerOf(pod);
      if (ref === undefined) {
        unmanaged.push(pod.metadata.name);
        continue;
      }
      const scale = await scaleOf(pod.metadata.namespace ?? '', ref, signal);
      if (scale !== undefined) scales.set(scale.uid, scale.replicas);
    }
    return { total: [...scales.values()].reduce((sum, n) => sum + n, 0), unmanaged };
  };

  const expectedPods = async (pdb: StoredBudget, list: readonly StoredPod[], signal: AbortSignal): Promise<Expected> => {
    const { maxUnavailable, minAvailable } = pdb.spec ?? {};
    if (maxUnavailable !== undefined) {
      const { total, unmanaged } = await expectedScale(list, signal);
      return { expected: total, desired: Math.max(0, total - scaledValue(maxUnavailable, total, 'up')), unmanaged };
    }
    if (typeof minAvailable !== 'string') return { expected: list.length, desired: minAvailable ?? 0, unmanaged: [] };
    const { total, unmanaged } = await expectedScale(list, signal);
    return { expected: total, desired: scaledValue(minAvailable, total, 'up'), unmanaged };
  };

  /** Evictions that were granted: those under way are kept, those that never came are dropped. */
  const pendingDisruptions = (pdb: StoredBudget, list: readonly StoredPod[]) => {
    const kept: Record<string, string> = {};
    let recheck: number | undefined;
    for (const [podName, at] of Object.entries(pdb.status?.disruptedPods ?? {})) {
      const pod = list.find((p) => p.metadata.name === podName);
      if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
      const left = msOf(at) + deletionTimeoutMs - clock.now();
      if (left <= 0) {
        const text = `Pod was expected by PDB ${objectKey(pdb)} to be deleted but it wasn't`;
        recorder.event(pod, 'Warning', 'NotDeleted', text);
        continue;
      }
      kept[podName] = at;
      recheck = Math.min(recheck ?? left, left);
    }
    return { kept, recheck };
  };

  const sync = async (pdb: StoredBudget, signal: AbortSignal): Promise<Requeue> => {
    const list = selected(pdb);
    if (list.length === 0) recorder.event(pdb, 'Normal', 'NoPods', 'No matching pods found');
    const { expected, desired, unmanaged } = await expectedPods(pdb, list, signal);
    if (unmanaged.length > 0)
      recorder.event(
        pdb,
        'Warning',
        'UnmanagedPods',
        `Pods selected by this PodDisruptionBudget (selector: ${JSON.stringify(pdb.spec?.selector ?? {})}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`,
      );
    const { kept, recheck } = pendingDisruptions(pdb, list);
    const healthy = list.filter(
      (p) => p.metadata.deletionTimestamp === undefined && !isTerminal(p) && isReady(p) && kept[p.metadata.name] === undefined,
    );
    const allowed = expected <= 0 ? 0 : Math.max(0, healthy.length - desired);
    await write(
      pdb,
      { expectedPods: expected, currentHealthy: healthy.length, desiredHealthy: desired, disruptionsAllowed: allowed, disruptedPods: kept },
      allowedCondition(allowed),
      signal,
    );
    return recheck;
  };
  const allowedCondition = (allowed: number) => ({
    status: allowed > 0 ? 'True' : 'False',
    reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
    message: '',
  });

  const write = async (
    pdb: StoredBudget,
    counts: PodDisruptionBudgetStatus,
    verdict: { readonly status: string; readonly reason: string; readonly message: string },
    signal: AbortSignal,
  ): Promise<void> => {
    const { generation } = pdb.metadata;
    const old = pdb.status?.conditions?.find((c) => c.type === 'DisruptionAllowed');
    const condition: Condition = {
      type: 'DisruptionAllowed',
      ...verdict,
      lastTransitionTime: old?.status === verdict.status ? old.lastTransitionTime : isoTime(clock.now()),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
    const { disruptedPods, ...numbers } = counts;
    const { disruptedPods: _old, ...before } = pdb.status ?? {};
    const status: PodDisruptionBudgetStatus = {
      ...before,
      ...numbers,
      ...(disruptedPods === undefined || Object.keys(disruptedPods).length === 0 ? {} : { disruptedPods }),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      conditions: [...(pdb.status?.conditions ?? []).filter((c) => c.type !== condition.type), condition],
    };
    if (!sameStatus(status, pdb.status)) await client.update(podDisruptionBudgets, { ...pdb, status }, { subresource: 'status', signal });
  };

  const reconciler = createReconciler(deps, {
    name,
    sources: [budgets, allPods, ...scalable.values()],
    workers: 1,
    keys: () => budgets.keys(),
    reconcile: async (key, signal): Promise<Requeue> => {
      const pdb = budgets.get(key);
      if (pdb === undefined) return undefined;
      try {
        return await sync(pdb, signal);
      } catch (error) {
        if (isStatus(error, 'Conflict', 'NotFound') || signal.aborted) throw error;
        // Without a count nothing may be evicted.
        recorder.event(
          pdb,
          'Warning',
          'CalculateExpectedPodCountFailed',
          `Failed to calculate the number of expected pods: ${textOf(error)}`,
        );
        const verdict = { status: 'False', reason: 'SyncFailed', message: textOf(error) };
        await write(pdb, { disruptionsAllowed: 0 }, verdict, signal);
        throw error;
      }
    },
  });
  budgets.addHandler({ added: (b) => reconciler.queue.add(objectKey(b)), updated: (b) => reconciler.queue.add(objectKey(b)) });
  const podChanged = (pod: StoredPod): void => {
    for (const pdb of budgets.list(pod.metadata.namespace ?? ''))
      if (matchesLabels(fromLabelSelector(pdb.spec?.selector), pod.metadata.labels)) reconciler.queue.add(objectKey(pdb));
  };
  allPods.addHandler({
    added: podChanged,
    updated: (pod, old) => {
      podChanged(pod);
      if (!isDeepStrictEqual(pod.metadata.labels, old.metadata.labels)) podChanged(old);
    },
    deleted: podChanged,
  });
  for (const informer of scalable.values())
    informer.addHandler({
      updated: (owner, old) => {
        const replicas = (o: KubeObject): number | undefined => (o as { readonly spec?: { readonly replicas?: number } }).spec?.replicas;
        if (replicas(owner as unknown as KubeObject) === replicas(old as unknown as KubeObject)) return;
        for (const pdb of budgets.list(owner.metadata.namespace ?? '')) reconciler.queue.add(objectKey(pdb));
      },
    });
  return [reconciler];
}

export const disruptionController: ControllerDef = { name, create };

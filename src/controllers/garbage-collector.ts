/** Deletes what has lost its owners: k8s.io/kubernetes pkg/controller/garbagecollector. */
import type { KubeClient } from '#client/contract.ts';
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { KubeObject, OwnerReference, Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { blocking, createOwnerGraph, foregroundFinalizer, type GraphNode, orphanFinalizer } from './gc-graph.ts';
import { createMonitors } from './gc-monitors.ts';

const name = 'garbage-collector-controller';
const maxAbsent = 5000;

type OwnerState = 'solid' | 'dangling' | 'waiting' | 'unresolvable';

function create(deps: ControllerDeps) {
  const { client, recorder, log } = deps;
  const graph = createOwnerGraph();
  /** Uids known to be gone for good. */
  const absent = new Set<string>();

  const rememberAbsent = (uid: string): void => {
    absent.add(uid);
    if (absent.size > maxAbsent) absent.delete(absent.values().next().value as string);
  };
  const examine = (node: GraphNode): void => reconciler.queue.add(`delete ${node.uid}`);

  const gone = (uid: string): void => {
    const node = graph.get(uid);
    if (node === undefined) return;
    const { owners } = node;
    const dependents = [...node.dependents];
    graph.remove(uid);
    rememberAbsent(uid);
    for (const dependent of dependents) examine(dependent);
    for (const ref of owners) {
      const owner = graph.get(ref.uid);
      if (owner?.deletingDependents === true) examine(owner);
    }
  };
  const monitors = createMonitors(deps, client, {
    gone: (_resource, object) => gone(object.metadata.uid),
    changed: (resource, object) => {
      const was = graph.get(object.metadata.uid);
      const wasWaiting = was?.deletingDependents === true;
      const { node, unseen, unblocked, ownersChanged, isNew } = graph.put(resource, object);
      for (const owner of unseen) examine(owner);
      for (const owner of unblocked) if (owner.deletingDependents) examine(owner);
      if (ownersChanged && node.owners.some((o) => absent.has(o.uid))) examine(node);
      if (isNew || ownersChanged) checkForeignOwners(node);
      if (isNew) for (const dependent of node.dependents) checkForeignOwners(dependent);
      const { finalizers = [] } = object.metadata;
      if (node.beingDeleted && finalizers.includes(orphanFinalizer)) reconciler.queue.add(`orphan ${node.uid}`);
      if (node.deletingDependents && !wasWaiting) {
        for (const dependent of node.dependents) examine(dependent);
        examine(node);
      }
    },
  });

  /** References whose uid is known under other names: the owner they speak of does not exist. */
  const checkForeignOwners = (node: GraphNode): void => {
    for (const ref of node.owners) {
      const owner = graph.get(ref.uid);
      if (owner?.resource === undefined) continue;
      const elsewhere = owner.namespace !== '' && owner.namespace !== node.namespace;
      if (elsewhere || owner.name !== ref.name || owner.kind !== ref.kind) examine(node);
      if (!elsewhere || node.namespace === '') continue;
      const text = `[${ref.apiVersion}/${ref.kind}, namespace: ${node.namespace}, name: ${ref.name}, uid: ${ref.uid}]`;
      const subject = { apiVersion: node.apiVersion, kind: node.kind, name: node.name, namespace: node.namespace, uid: node.uid };
      recorder.event(subject, 'Warning', 'OwnerRefInvalidNamespace', `ownerRef ${text} does not exist in namespace "${node.namespace}"`);
    }
  };

  const stateOf = async (node: GraphNode, ref: OwnerReference, signal: AbortSignal): Promise<OwnerState> => {
    if (absent.has(ref.uid)) return 'dangling';
    const resource = monitors.resourceOf(ref.apiVersion, ref.kind);
    if (resource === undefined) throw new Error(`no resource serves the owner's kind ${ref.kind} in ${ref.apiVersion}`);
    if (resource.namespaced && node.namespace === '') return 'unresolvable';
    const owner = await lookUp(client, resource, node.namespace, ref.name, signal);
    if (owner === undefined || owner.metadata.uid !== ref.uid) {
      if (graph.get(ref.uid)?.resource === undefined) rememberAbsent(ref.uid);
      return 'dangling';
    }
    const waits = owner.metadata.deletionTimestamp !== undefined && (owner.metadata.finalizers ?? []).includes(foregroundFinalizer);
    return waits ? 'waiting' : 'solid';
  };

  const attemptToDelete = async (node: GraphNode, signal: AbortSignal): Promise<void> => {
    if (node.beingDeleted && !node.deletingDependents) return;
    const resource = node.resource ?? monitors.resourceOf(node.apiVersion, node.kind);
    if (resource === undefined) {
      if (node.dependents.size > 0) throw new Error(`no resource serves the owner's kind ${node.kind} in ${node.apiVersion}`);
      return;
    }
    const latest = await lookUp(client, resource, node.namespace, node.name, signal);
    if (latest === undefined || latest.metadata.uid !== node.uid) {
      // Seen by its informer it will also be seen leaving; only what was never seen is settled here.
      if (node.resource === undefined || latest !== undefined) gone(node.uid);
      return;
    }
    if (node.resource === undefined) return;
    if (node.deletingDependents) {
      await finishForeground(client, node, latest, examine, signal);
      return;
    }
    const owners = latest.metadata.ownerReferences ?? [];
    if (owners.length > 0 && latest.metadata.deletionTimestamp === undefined) await settleOwners(node, resource, latest, owners, signal);
  };

  const settleOwners = async (
    node: GraphNode,
    resource: ResourceRef,
    latest: Stored<KubeObject>,
    owners: readonly OwnerReference[],
    signal: AbortSignal,
  ): Promise<void> => {
    const states = new Map<string, OwnerState>();
    for (const ref of owners) states.set(ref.uid, await stateOf(node, ref, signal));
    const all = [...states.values()];
    if (all.includes('unresolvable')) return;
    if (all.includes('solid')) {
      const kept = owners.filter((ref) => states.get(ref.uid) === 'solid');
      if (kept.length < owners.length) await patchMeta(client, resource, latest, { ownerReferences: kept }, signal);
      return;
    }
    if (all.includes('waiting') && node.dependents.size > 0) {
      // A circle of foreground deletions would wait for itself.
      if ([...node.dependents].some((d) => d.deletingDependents)) {
        const ownerReferences = owners.map((ref) => ({ ...ref, blockOwnerDeletion: false }));
        await patchMeta(client, resource, latest, { ownerReferences }, signal);
      }
      await remove(client, resource, latest, 'Foreground', signal);
      return;
    }
    const { finalizers = [] } = latest.metadata;
    const policy = finalizers.includes(orphanFinalizer) ? 'Orphan' : finalizers.includes(foregroundFinalizer) ? 'Foreground' : 'Background';
    log.debug('collecting', { resource: resource.plural, namespace: node.namespace, name: node.name, policy });
    await remove(client, resource, latest, policy, signal);
  };

  const orphan = async (node: GraphNode, signal: AbortSignal): Promise<void> => {
    if (node.resource === undefined) return;
    for (const dependent of [...node.dependents]) {
      if (dependent.resource === undefined) continue;
      const object = await lookUp(client, dependent.resource, dependent.namespace, dependent.name, signal);
      if (object === undefined || object.metadata.uid !== dependent.uid) continue;
      const ownerReferences = (object.metadata.ownerReferences ?? []).filter((o) => o.uid !== node.uid);
      if (ownerReferences.length < (object.metadata.ownerReferences ?? []).length)
        await patchMeta(client, dependent.resource, object, { ownerReferences }, signal);
    }
    const owner = await lookUp(client, node.resource, node.namespace, node.name, signal);
    if (owner?.metadata.uid !== node.uid) return;
    const finalizers = (owner.metadata.finalizers ?? []).filter((f) => f !== orphanFinalizer);
    if (finalizers.length < (owner.metadata.finalizers ?? []).length) await patchMeta(client, node.resource, owner, { finalizers }, signal);
  };

  const reconciler = createReconciler(deps, {
    name,
    sources: [{ hasSynced: () => true, synced: monitors.synced }],
    workers: 20,
    reconcile: async (key, signal): Promise<Requeue> => {
      const node = graph.get(key.slice(key.indexOf(' ') + 1));
      if (node === undefined) return undefined;
      if (key.startsWith('orphan ')) await orphan(node, signal);
      else await attemptToDelete(node, signal);
      return undefined;
    },
  });
  return [monitors, reconciler];
}

async function lookUp(
  client: KubeClient,
  resource: ResourceRef,
  namespace: string,
  objectName: string,
  signal: AbortSignal,
): Promise<Stored<KubeObject> | undefined> {
  try {
    return await client.get(resource, { name: objectName, ...(resource.namespaced ? { namespace } : {}) }, { signal });
  } catch (error) {
    if (isStatus(error, 'NotFound')) return undefined;
    throw error;
  }
}

const at = (object: Stored<KubeObject>) => ({
  name: object.metadata.name,
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});

/** Writes lists of the metadata as a whole, guarded by the resourceVersion: works for every kind, custom ones too. */
async function patchMeta(
  client: KubeClient,
  resource: ResourceRef,
  object: Stored<KubeObject>,
  change: { readonly ownerReferences?: readonly OwnerReference[]; readonly finalizers?: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const { uid, resourceVersion } = object.metadata;
  try {
    await client.patch(resource, at(object), 'merge', { metadata: { uid, resourceVersion, ...change } }, { signal });
  } catch (error) {
    if (!isStatus(error, 'NotFound')) throw error;
  }
}

async function remove(
  client: KubeClient,
  resource: ResourceRef,
  object: Stored<KubeObject>,
  propagationPolicy: 'Foreground' | 'Background' | 'Orphan',
  signal: AbortSignal,
): Promise<void> {
  const { uid, resourceVersion } = object.metadata;
  try {
    await client.delete(resource, at(object), { propagationPolicy, preconditions: { uid, resourceVersion } }, { signal });
  } catch (error) {
    if (!isStatus(error, 'NotFound')) throw error;
  }
}

/** An owner that waits for its dependents: lets it go when none holds it back, else sees to those that do. */
async function finishForeground(
  client: KubeClient,
  node: GraphNode,
  latest: Stored<KubeObject>,
  examine: (node: GraphNode) => void,
  signal: AbortSignal,
): Promise<void> {
  const held = blocking(node);
  for (const dependent of held) if (!dependent.deletingDependents) examine(dependent);
  if (held.length > 0 || node.resource === undefined) return;
  const { finalizers = [] } = latest.metadata;
  if (!finalizers.includes(foregroundFinalizer)) return;
  await patchMeta(client, node.resource, latest, { finalizers: finalizers.filter((f) => f !== foregroundFinalizer) }, signal);
}

export const garbageCollector: ControllerDef = { name, serviceAccount: 'generic-garbage-collector', create };

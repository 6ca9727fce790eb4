/** What follows a decision, over the API: volumes for delayed claims, then the binding. */

import type { KubeClient } from '#client/contract.ts';
import type { Informer } from '#client/informer.ts';
import type { Binding, PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import { objectKey } from '#kube/object.ts';
import { persistentVolumeClaims, persistentVolumes, pods } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';
import type { PodInfo } from './framework.ts';
import { type ClaimPlan, isBound, selectedNodeAnnotation } from './plugins/volume-binding.ts';

export interface BinderDeps {
  readonly client: Pick<KubeClient, 'createSubresource' | 'patch'>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly clock: Clock;
}

/** Upstream's VolumeBinding bindTimeoutSeconds. */
const volumeTimeoutMs = 600_000;

/** Makes the plans true and waits until every claim is bound; then binds the pod. Throws what went wrong. */
export async function bindPod(
  pod: PodInfo,
  node: string,
  plans: readonly ClaimPlan[],
  deps: BinderDeps,
  signal: AbortSignal,
): Promise<void> {
  if (plans.length > 0) {
    for (const plan of plans) await startPlan(plan, node, deps, signal);
    await claimsBound(plans, node, deps, signal);
  }
  const { name } = pod.pod.metadata;
  const binding: Binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace: pod.namespace, uid: pod.uid },
    target: { kind: 'Node', name: node },
  };
  await deps.client.createSubresource(pods, { namespace: pod.namespace, name }, 'binding', binding, { signal });
}

async function startPlan({ claim, volume }: ClaimPlan, node: string, deps: BinderDeps, signal: AbortSignal): Promise<void> {
  const { name, namespace = '', uid, resourceVersion } = claim.metadata;
  if (volume === undefined) {
    if (claim.metadata.annotations?.[selectedNodeAnnotation] === node) return;
    const patch = { metadata: { resourceVersion, annotations: { [selectedNodeAnnotation]: node } } };
    await deps.client.patch(persistentVolumeClaims, { namespace, name }, 'merge', patch, { signal });
    return;
  }
  const patch = {
    metadata: {
      resourceVersion: volume.metadata.resourceVersion,
      annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' },
    },
    spec: { claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion } },
  };
  await deps.client.patch(persistentVolumes, { name: volume.metadata.name }, 'merge', patch, { signal });
}

/** Waits for the volume controller or provisioner. A provisioner gives up on a node by taking the annotation away. */
async function claimsBound(plans: readonly ClaimPlan[], node: string, deps: BinderDeps, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const seenAnnotation = new Set<string>();
  const check = (): void => {
    let waiting = 0;
    for (const plan of plans) {
      const key = objectKey(plan.claim);
      const now = deps.claims.get(key);
      if (now === undefined) {
        reject(new Error(`persistentvolumeclaim "${plan.claim.metadata.name}" was deleted while it was being bound`));
        return;
      }
      if (isBound(now)) continue;
      waiting++;
      if (plan.volume !== undefined) continue;
      if (now.metadata.annotations?.[selectedNodeAnnotation] === node) seenAnnotation.add(key);
      else if (seenAnnotation.has(key)) {
        reject(new Error(`the provisioner cannot provide persistentvolumeclaim "${plan.claim.metadata.name}" on node "${node}"`));
        return;
      }
    }
    if (waiting === 0) resolve();
  };
  const detach = deps.claims.addHandler({ updated: check, deleted: check });
  const timer = deps.clock.after(volumeTimeoutMs, () => reject(new Error('timed out waiting for volumes to be bound')));
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    check();
    await promise;
  } finally {
    detach();
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

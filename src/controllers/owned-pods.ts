/** How pod events find the objects whose controller is concerned: the addPod/updatePod/deletePod of upstream's workload controllers. */
import { isDeepStrictEqual } from 'node:util';
import type { Informer } from '#client/informer.ts';
import type { Pod } from '#kube/generated/core-v1.ts';
import { controllerOf, type KubeObject, type OwnerReference, objectKey, type Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import { splitApiVersion } from '#kube/refs.ts';
import { matchesLabels, type ParsedLabelSelector } from '#kube/selector.ts';
import type { Expectations } from './expectations.ts';
import type { StoredPod } from './pods.ts';

export interface OwnedPodsOptions<O extends KubeObject> {
  readonly resource: ResourceRef<O>;
  readonly owners: Informer<O>;
  readonly pods: Informer<Pod>;
  readonly selectorOf: (owner: Stored<O>) => ParsedLabelSelector | undefined;
  readonly expectations?: Expectations;
  /** `old`: the pod before an update. */
  readonly enqueue: (owner: Stored<O>, pod: StoredPod, old?: StoredPod) => void;
  /** Default: orphans concern every owner that selects them. */
  readonly adoptsOrphans?: boolean;
}

/** The owner that a reference names, if it is of this kind and still the same object. */
export function ownerOf<O extends KubeObject>(
  resource: ResourceRef<O>,
  owners: Informer<O>,
  namespace: string | undefined,
  ref: OwnerReference | undefined,
): Stored<O> | undefined {
  if (ref === undefined || ref.kind !== resource.kind || splitApiVersion(ref.apiVersion).group !== resource.group) return undefined;
  const owner = owners.get(namespace === undefined || namespace === '' ? ref.name : `${namespace}/${ref.name}`);
  return owner?.metadata.uid === ref.uid ? owner : undefined;
}

export function followPods<O extends KubeObject>(options: OwnedPodsOptions<O>): void {
  const { resource, owners, expectations, enqueue } = options;
  const ownerOfPod = (pod: StoredPod): Stored<O> | undefined => ownerOf(resource, owners, pod.metadata.namespace, controllerOf(pod));
  const enqueueMatching = (pod: StoredPod): void => {
    if (options.adoptsOrphans === false) return;
    for (const owner of owners.list(pod.metadata.namespace))
      if (matchesLabels(options.selectorOf(owner), pod.metadata.labels)) enqueue(owner, pod);
  };
  const deleted = (pod: StoredPod): void => {
    const owner = ownerOfPod(pod);
    if (owner === undefined) return;
    expectations?.deletionObserved(objectKey(owner), objectKey(pod));
    enqueue(owner, pod);
  };

  options.pods.addHandler({
    added: (pod) => {
      if (pod.metadata.deletionTimestamp !== undefined) {
        deleted(pod);
        return;
      }
      const owner = ownerOfPod(pod);
      if (owner !== undefined) {
        expectations?.creationObserved(objectKey(owner));
        enqueue(owner, pod);
      } else if (controllerOf(pod) === undefined) enqueueMatching(pod);
    },
    updated: (pod, old) => {
      const before = ownerOfPod(old);
      const owner = ownerOfPod(pod);
      if (pod.metadata.deletionTimestamp !== undefined) {
        deleted(pod);
        if (before !== undefined && before !== owner) deleted(old);
        return;
      }
      if (before !== undefined && before !== owner) enqueue(before, pod, old);
      if (owner !== undefined) enqueue(owner, pod, old);
      else if (controllerOf(pod) === undefined) {
        if (!isDeepStrictEqual(pod.metadata.labels, old.metadata.labels) || controllerOf(old) !== undefined) enqueueMatching(pod);
      }
    },
    deleted,
  });
}

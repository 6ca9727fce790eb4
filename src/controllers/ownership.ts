/** Adoption and release: k8s.io/kubernetes pkg/controller/controller_ref_manager.go. */
import type { KubeClient } from '#client/contract.ts';
import { controllerOf, type KubeObject, type OwnerReference, type Stored } from '#kube/object.ts';
import { apiVersionOf, type ResourceRef } from '#kube/refs.ts';
import { matchesLabels, type ParsedLabelSelector } from '#kube/selector.ts';
import { isStatus, StatusError } from '#kube/status-error.ts';

/** The owner reference of what a controller object makes. */
export function controllerRef(resource: ResourceRef, owner: { readonly metadata: Stored['metadata'] }): OwnerReference {
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export const isControlledBy = (object: KubeObject, owner: { readonly metadata: { readonly uid: string } }): boolean =>
  controllerOf(object)?.uid === owner.metadata.uid;

export interface ClaimOptions<O extends KubeObject, T extends KubeObject> {
  readonly client: KubeClient;
  readonly ownerResource: ResourceRef<O>;
  readonly owner: Stored<O>;
  readonly resource: ResourceRef<T>;
  readonly selector: ParsedLabelSelector | undefined;
  readonly candidates: readonly Stored<T>[];
  /** Further condition for adopting. */
  readonly filter?: (object: Stored<T>) => boolean;
  /** Finalizers that adoption adds (Job). */
  readonly finalizers?: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * The candidates that belong to the owner: those it controls and that match; orphans that match are adopted, controlled
 * ones that no longer match are released. Rejects with the first failure after trying all.
 */
export async function claim<O extends KubeObject, T extends KubeObject>(options: ClaimOptions<O, T>): Promise<readonly Stored<T>[]> {
  const { owner, selector } = options;
  const mine: Stored<T>[] = [];
  let failure: unknown;
  let mayAdopt: Promise<void> | undefined;
  for (const object of options.candidates) {
    const controller = controllerOf(object);
    const matches = matchesLabels(selector, object.metadata.labels) && (options.filter?.(object) ?? true);
    try {
      if (controller !== undefined) {
        if (controller.uid !== owner.metadata.uid) continue;
        if (matches) mine.push(object);
        else if (owner.metadata.deletionTimestamp === undefined) await release(options, object);
      } else if (matches && owner.metadata.deletionTimestamp === undefined && object.metadata.deletionTimestamp === undefined) {
        mayAdopt ??= ownerStillThere(options);
        await mayAdopt;
        const adopted = await adopt(options, object);
        if (adopted !== undefined) mine.push(adopted);
      }
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return mine;
}

/** Asks the server, not the informer: an owner deleted a moment ago must not adopt. */
async function ownerStillThere<O extends KubeObject, T extends KubeObject>(options: ClaimOptions<O, T>): Promise<void> {
  const { name, namespace, uid } = options.owner.metadata;
  const at = { name, ...(namespace === undefined ? {} : { namespace }) };
  const fresh = await options.client.get(options.ownerResource, at, { signal: options.signal });
  if (fresh.metadata.uid !== uid) throw new StatusError('Conflict', `original ${options.ownerResource.kind} ${namespace}/${name} is gone`);
  if (fresh.metadata.deletionTimestamp !== undefined)
    throw new StatusError('Conflict', `${namespace}/${name} has just been deleted at ${fresh.metadata.deletionTimestamp}`);
}

const atOf = (object: Stored): { name: string; namespace?: string } => ({
  name: object.metadata.name,
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});

async function adopt<O extends KubeObject, T extends KubeObject>(
  options: ClaimOptions<O, T>,
  object: Stored<T>,
): Promise<Stored<T> | undefined> {
  const patch = {
    metadata: {
      uid: object.metadata.uid,
      ownerReferences: [controllerRef(options.ownerResource, options.owner)],
      ...(options.finalizers === undefined ? {} : { finalizers: options.finalizers }),
    },
  };
  try {
    return await options.client.patch(options.resource, atOf(object), 'strategic', patch, { signal: options.signal });
  } catch (error) {
    if (isStatus(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function release<O extends KubeObject, T extends KubeObject>(options: ClaimOptions<O, T>, object: Stored<T>): Promise<void> {
  const drop = options.finalizers?.filter((f) => object.metadata.finalizers?.includes(f)) ?? [];
  const patch = {
    metadata: {
      uid: object.metadata.uid,
      ownerReferences: [{ $patch: 'delete', uid: options.owner.metadata.uid }],
      ...(drop.length === 0 ? {} : { '$deleteFromPrimitiveList/finalizers': drop }),
    },
  };
  try {
    await options.client.patch(options.resource, atOf(object), 'strategic', patch, { signal: options.signal });
  } catch (error) {
    // Gone, or no longer ours (another uid under the same name): released either way.
    if (!isStatus(error, 'NotFound', 'Invalid')) throw error;
  }
}

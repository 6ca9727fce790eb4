/** Making and deleting pods for a controller object: k8s.io/kubernetes pkg/controller RealPodControl. */
import type { KubeClient } from '#client/contract.ts';
import type { EventRecorder } from '#client/events.ts';
import type { Pod, PodTemplateSpec } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { KubeObject, ObjectMeta, OwnerReference, Stored } from '#kube/object.ts';
import { pods } from '#kube/refs.ts';
import { isStatus, StatusError } from '#kube/status-error.ts';
import type { StoredPod } from './pods.ts';

export interface PodControl {
  readonly create: (request: CreatePod, signal: AbortSignal) => Promise<StoredPod>;
  /** Emits the event and rejects on failure; a pod that is gone already counts as NotFound. */
  readonly remove: (pod: StoredPod, owner: KubeObject, signal: AbortSignal) => Promise<void>;
}

export interface CreatePod {
  readonly owner: Stored;
  readonly ref: OwnerReference;
  readonly template: PodTemplateSpec;
  /** Exact name; else it is generated from the owner's. */
  readonly name?: string;
  /** Prefix of the generated name, where it is not the owner's name and a dash. */
  readonly generateName?: string;
  readonly finalizers?: readonly string[];
}

/** "owner-", or '' when that is no valid beginning of a name. */
export function podsPrefix(owner: string): string {
  const prefix = `${owner}-`;
  return isDns1123Subdomain(`${prefix}a`).length === 0 ? prefix : owner;
}

/** True for the refusal that every create in a terminating namespace gets: nothing to report or retry. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  error instanceof StatusError && (error.details?.causes?.some((c) => c.reason === 'NamespaceTerminating') ?? false);

export function podFrom(request: CreatePod): Pod {
  const { template, owner } = request;
  const metadata: ObjectMeta = {
    namespace: owner.metadata.namespace ?? '',
    ...(request.name === undefined ? { generateName: request.generateName ?? podsPrefix(owner.metadata.name) } : { name: request.name }),
    ...(template.metadata?.labels === undefined ? {} : { labels: template.metadata.labels }),
    ...(template.metadata?.annotations === undefined ? {} : { annotations: template.metadata.annotations }),
    ...(template.metadata?.finalizers === undefined && request.finalizers === undefined
      ? {}
      : { finalizers: [...(template.metadata?.finalizers ?? []), ...(request.finalizers ?? [])] }),
    ownerReferences: [request.ref],
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, ...(template.spec === undefined ? {} : { spec: template.spec }) };
}

export function createPodControl(client: KubeClient, recorder: EventRecorder): PodControl {
  return {
    create: async (request, signal) => {
      const { owner } = request;
      if (Object.keys(request.template.metadata?.labels ?? {}).length === 0)
        throw new StatusError('BadRequest', 'unable to create pods, no labels');
      try {
        const pod = await client.create(pods, podFrom(request), { signal });
        recorder.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
        return pod;
      } catch (error) {
        if (!isNamespaceTerminating(error) && !signal.aborted)
          recorder.event(owner, 'Warning', 'FailedCreate', `Error creating: ${textOf(error)}`);
        throw error;
      }
    },
    remove: async (pod, owner, signal) => {
      const { name, namespace = '' } = pod.metadata;
      try {
        await client.delete(pods, { namespace, name }, undefined, { signal });
        recorder.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
      } catch (error) {
        if (!isStatus(error, 'NotFound') && !signal.aborted)
          recorder.event(owner, 'Warning', 'FailedDelete', `Error deleting: ${textOf(error)}`);
        throw error;
      }
    },
  };
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Calls `fn` count times in batches of 1, 2, 4 and so on; stops after a batch with a failure, so that a quota or a broken
 * webhook is asked a few times and not a thousand. Gives how many succeeded and the first failure.
 */
export async function slowStartBatch(
  count: number,
  fn: (index: number) => Promise<void>,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ readonly done: number; readonly failure: unknown }> {
  let done = 0;
  let started = 0;
  for (let size = Math.min(count, 1); size > 0; size = Math.min(size * 2, count - started, limit)) {
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => fn(started + i)));
    started += size;
    done += results.filter((r) => r.status === 'fulfilled').length;
    const failed = results.find((r) => r.status === 'rejected');
    if (failed !== undefined) return { done, failure: failed.reason };
  }
  return { done, failure: undefined };
}

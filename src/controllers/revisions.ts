/** Histories of templates as ControllerRevisions: k8s.io/kubernetes pkg/controller/history, for DaemonSets and StatefulSets. */
import type { KubeClient } from '#client/contract.ts';
import type { Informer } from '#client/informer.ts';
import type { ControllerRevision } from '#kube/generated/apps-v1.ts';
import type { PodTemplateSpec } from '#kube/generated/core-v1.ts';
import { controllerOf, type KubeObject, type Stored } from '#kube/object.ts';
import { controllerRevisions, type ResourceRef } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { controllerRef } from './ownership.ts';
import { canonicalJson, templateHash } from './template-hash.ts';

export type StoredRevision = Stored<ControllerRevision>;

export const revisionHashLabel = 'controller-revision-hash';

export interface HistoryOptions<O extends KubeObject> {
  readonly client: KubeClient;
  readonly revisions: Informer<ControllerRevision>;
  readonly resource: ResourceRef<O>;
  readonly owner: Stored<O>;
  readonly template: PodTemplateSpec;
  readonly collisionCount: number | undefined;
  /** Called when a stranger has the name: stores the raised count, so that the next sync tries another name. */
  readonly onCollision: (count: number) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface History {
  readonly current: StoredRevision;
  /** Oldest first. */
  readonly old: readonly StoredRevision[];
}

/** What a revision restores: `kubectl rollout undo` sends it as a strategic merge patch. */
const dataOf = (template: PodTemplateSpec): { readonly spec: { readonly template: object } } => ({
  spec: { template: { ...template, $patch: 'replace' } },
});

const sameData = (revision: StoredRevision, template: PodTemplateSpec): boolean =>
  canonicalJson(revision.data) === canonicalJson(dataOf(template));

/** The template that a revision holds. */
export function templateOf(revision: StoredRevision): PodTemplateSpec {
  const { template } = (revision.data as unknown as { readonly spec: { readonly template: PodTemplateSpec & { $patch?: string } } }).spec;
  const { $patch: _patch, ...rest } = template;
  return rest;
}

/** Finds or makes the revision of the current template, as the newest of the owner's revisions. */
export async function syncHistory<O extends KubeObject>(options: HistoryOptions<O>, owned: readonly StoredRevision[]): Promise<History> {
  const { client, signal, template, revisions } = options;
  const sorted = [...owned].sort(
    (a, b) => a.revision - b.revision || (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1),
  );
  const same = sorted.filter((r) => sameData(r, template));
  const old = sorted.filter((r) => !same.includes(r));
  const next = (old.at(-1)?.revision ?? 0) + 1;
  const newest = same.at(-1);
  if (newest === undefined) return { current: await createRevision(options, next), old };
  if (newest.revision >= next) return { current: newest, old };
  const current = await client.update(controllerRevisions, { ...newest, revision: next }, { signal });
  await revisions.reached(current.metadata.resourceVersion, signal);
  return { current, old };
}

async function createRevision<O extends KubeObject>(options: HistoryOptions<O>, revision: number): Promise<StoredRevision> {
  const { client, owner, resource, template, signal } = options;
  const hash = templateHash(template, options.collisionCount);
  const namespace = owner.metadata.namespace ?? '';
  const name = `${owner.metadata.name}-${hash}`;
  try {
    const made = await client.create(
      controllerRevisions,
      {
        apiVersion: 'apps/v1',
        kind: 'ControllerRevision',
        metadata: {
          name,
          namespace,
          labels: { ...template.metadata?.labels, [revisionHashLabel]: hash },
          ...(owner.metadata.annotations === undefined ? {} : { annotations: owner.metadata.annotations }),
          ownerReferences: [controllerRef(resource, owner)],
        },
        data: dataOf(template) as unknown as NonNullable<ControllerRevision['data']>,
        revision,
      },
      { signal },
    );
    await options.revisions.reached(made.metadata.resourceVersion, signal);
    return made;
  } catch (error) {
    if (!isStatus(error, 'AlreadyExists')) throw error;
    const there = await client.get(controllerRevisions, { namespace, name }, { signal });
    if (controllerOf(there)?.uid === owner.metadata.uid && sameData(there, template)) return there;
    await options.onCollision((options.collisionCount ?? 0) + 1);
    throw error;
  }
}

/** Deletes the oldest revisions beyond the limit that no pod uses. */
export async function trimHistory(
  client: KubeClient,
  old: readonly StoredRevision[],
  limit: number,
  inUse: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const unused = old.filter((r) => !inUse.has(r.metadata.labels?.[revisionHashLabel] ?? '') && !inUse.has(r.metadata.name));
  const excess = unused.length - limit;
  for (const { metadata } of unused.slice(0, Math.max(0, excess)))
    await client
      .delete(controllerRevisions, { namespace: metadata.namespace ?? '', name: metadata.name }, undefined, { signal })
      .catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error;
      });
}

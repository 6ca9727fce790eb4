/** The end of a custom resource definition: its instances go, then its finalizer. pkg/controller/finalizer/crd_finalizer.go. */
import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import type { KindDef } from '#kube/kind.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Core } from '../core.ts';
import type { Handle } from '../handler.ts';
import { createInProcessTransport } from '../in-process.ts';
import { listPrefix } from '../keys.ts';
import type { Resource } from '../registry.ts';
import { parseRequestInfo } from '../request-info.ts';
import { deleteCollection } from '../verbs/deletecollection.ts';

export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

const user = { name: 'system:serviceaccount:kube-system:custom-resource-finalizer', groups: ['system:masters', 'system:authenticated'] };

const noAdmission = { admit: () => Promise.resolve(), validate: () => Promise.resolve() };

/**
 * Deletes every instance of a kind, whose version need not be served. Their finalizers are respected, admission is not asked, as upstream.
 * Rejects with StatusError.
 */
export async function deleteInstances(core: Core, def: KindDef, signal: AbortSignal): Promise<void> {
  const { group, version, plural } = def.ref;
  const path = `/apis/${group}/${version}/${plural}`;
  const query = new URLSearchParams();
  const resource: Resource = {
    def,
    apiVersion: `${group}/${version}`,
    verbs: new Set(['deletecollection']),
    subresources: new Map(),
    custom: true,
  };
  await deleteCollection({
    core: { ...core, admission: noAdmission },
    request: { method: 'DELETE', path, query, headers: {}, body: undefined, user, signal },
    info: parseRequestInfo('DELETE', path, query),
    resource,
    warnings: [],
  });
}

/** Resolves when the last instance is gone, or when the signal aborts. */
export async function instancesGone({ cache }: Pick<Core, 'cache'>, def: KindDef, signal: AbortSignal): Promise<void> {
  const prefix = listPrefix(def, '');
  const watch = cache.watch(prefix, cache.revision());
  const stop = (): void => watch.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (cache.count(prefix) > 0) for await (const _events of watch) if (cache.count(prefix) === 0) break;
  } finally {
    signal.removeEventListener('abort', stop);
    watch.close();
  }
}

/** Takes the cleanup finalizer off, whereupon the definition goes. A definition that is gone is no error. Rejects with StatusError. */
export async function releaseDefinition(handle: Handle, name: string, signal: AbortSignal): Promise<void> {
  const transport = createInProcessTransport({ handle }, user, 'apiextensions-apiserver');
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
  for (;;) {
    try {
      const { metadata } = (await transport.call({ method: 'GET', path, signal })) as CustomResourceDefinition;
      const finalizers = (metadata.finalizers ?? []).filter((f) => f !== cleanupFinalizer);
      const body = { metadata: { finalizers, uid: metadata.uid, resourceVersion: metadata.resourceVersion } };
      await transport.call({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body, signal });
      return;
    } catch (error) {
      if (isStatus(error, 'NotFound')) return;
      if (!isStatus(error, 'Conflict')) throw error;
    }
  }
}

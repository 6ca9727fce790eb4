/** The end of a custom resource definition: its instances go, then its finalizer. */
import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import type { KubeList, Stored } from '#kube/object.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Handle } from '../handler.ts';
import { createInProcessTransport } from '../in-process.ts';

export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

const user = { name: 'system:serviceaccount:kube-system:custom-resource-finalizer', groups: ['system:masters', 'system:authenticated'] };

/** Deletes every instance, as a client would. Throws StatusError. */
export async function deleteInstances(handle: Handle, crd: CustomResourceDefinition, signal: AbortSignal): Promise<void> {
  const { group, names, versions } = crd.spec;
  const version = versions.find((v) => v.served)?.name;
  if (version === undefined) return;
  const transport = createInProcessTransport({ handle }, user, 'apiextensions-apiserver');
  const base = `/apis/${group}/${version}`;
  const list = (await transport.call({ method: 'GET', path: `${base}/${names.plural}`, signal })) as KubeList<Stored>;
  const namespaces = new Set(list.items.map((o) => o.metadata.namespace ?? ''));
  for (const namespace of namespaces) {
    const path = namespace === '' ? `${base}/${names.plural}` : `${base}/namespaces/${namespace}/${names.plural}`;
    await transport.call({ method: 'DELETE', path, signal });
  }
}

/** Takes the cleanup finalizer off, whereupon the definition goes. A definition that is gone is no error. */
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

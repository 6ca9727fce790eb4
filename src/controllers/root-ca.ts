/** Every namespace has a ConfigMap with the API server's authority: k8s.io/kubernetes pkg/controller/certificates/rootcacertpublisher. */
import { createReconciler } from '#client/reconciler.ts';
import { objectKey } from '#kube/object.ts';
import { configMaps, namespaces } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isNamespaceTerminating } from './pod-control.ts';

const name = 'kube-root-ca.crt';
const descriptionAnnotation = 'kubernetes.io/description';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

function create({ client, informers, clock, log, config }: ControllerDeps) {
  const all = informers.informer(namespaces);
  const published = informers.informer(configMaps, { fieldSelector: `metadata.name=${name}` });
  const reconciler = createReconciler(
    { clock, log },
    {
      name: 'root-ca-certificate-publisher-controller',
      sources: [all, published],
      keys: () => all.keys(),
      reconcile: async (key, signal) => {
        const namespace = all.get(key);
        if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return undefined;
        const current = published.get(`${key}/${name}`);
        const data = { 'ca.crt': config.rootCa };
        const annotations = { [descriptionAnnotation]: description };
        try {
          if (current === undefined) {
            const metadata = { name, namespace: key, annotations };
            await client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, { signal });
          } else if (
            Object.keys(current.data ?? {}).length !== 1 ||
            current.data?.['ca.crt'] !== config.rootCa ||
            current.metadata.annotations?.[descriptionAnnotation] === undefined
          ) {
            const metadata = { ...current.metadata, annotations: { ...current.metadata.annotations, ...annotations } };
            await client.update(configMaps, { ...current, metadata, data }, { signal });
          }
        } catch (error) {
          if (!isStatus(error, 'AlreadyExists', 'NotFound') && !isNamespaceTerminating(error)) throw error;
        }
        return undefined;
      },
    },
  );
  all.addHandler({ added: (ns) => reconciler.queue.add(objectKey(ns)) });
  published.addHandler({
    updated: (map) => reconciler.queue.add(map.metadata.namespace ?? ''),
    deleted: (map) => reconciler.queue.add(map.metadata.namespace ?? ''),
  });
  return [reconciler];
}

export const rootCaController: ControllerDef = {
  name: 'root-ca-certificate-publisher-controller',
  serviceAccount: 'root-ca-cert-publisher',
  create,
};

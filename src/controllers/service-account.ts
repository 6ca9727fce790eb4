/** Every namespace has a service account "default": k8s.io/kubernetes pkg/controller/serviceaccount/serviceaccounts_controller.go. */
import { createReconciler } from '#client/reconciler.ts';
import { objectKey } from '#kube/object.ts';
import { namespaces, serviceAccounts } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isNamespaceTerminating } from './pod-control.ts';

const wanted = 'default';

function create({ client, informers, clock, log }: ControllerDeps) {
  const all = informers.informer(namespaces);
  const accounts = informers.informer(serviceAccounts);
  const reconciler = createReconciler(
    { clock, log },
    {
      name: 'service-account-controller',
      sources: [all, accounts],
      keys: () => all.keys(),
      reconcile: async (key, signal) => {
        const namespace = all.get(key);
        if (namespace === undefined || namespace.status?.phase === 'Terminating' || namespace.metadata.deletionTimestamp !== undefined)
          return undefined;
        if (accounts.get(`${key}/${wanted}`) !== undefined) return undefined;
        try {
          const metadata = { name: wanted, namespace: key };
          await client.create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata }, { signal });
        } catch (error) {
          if (!isStatus(error, 'AlreadyExists', 'NotFound') && !isNamespaceTerminating(error)) throw error;
        }
        return undefined;
      },
    },
  );
  all.addHandler({ added: (ns) => reconciler.queue.add(objectKey(ns)), updated: (ns) => reconciler.queue.add(objectKey(ns)) });
  accounts.addHandler({ deleted: (account) => reconciler.queue.add(account.metadata.namespace ?? '') });
  return [reconciler];
}

export const serviceAccountController: ControllerDef = { name: 'service-account-controller', create };

import type { InformerFactory } from '#client/informer-factory.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { controllerOf } from '#kube/object.ts';
import {
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  podDisruptionBudgets,
  replicaSets,
  replicationControllers,
  services,
  statefulSets,
  storageClasses,
} from '#kube/refs.ts';
import type { PodInfo } from './framework.ts';
import type { Listers } from './view.ts';

const freeByClass = 'scheduler/free-by-class';

/** The informers that scheduling reads, and the part of a ClusterView that comes straight from them. */
export function createListers(informers: InformerFactory) {
  const sources = {
    namespaces: informers.informer(namespaces),
    claims: informers.informer(persistentVolumeClaims),
    volumes: informers.informer(persistentVolumes),
    budgets: informers.informer(podDisruptionBudgets),
    replicaSets: informers.informer(replicaSets),
    controllers: informers.informer(replicationControllers),
    services: informers.informer(services),
    statefulSets: informers.informer(statefulSets),
    classes: informers.informer(storageClasses),
  };
  sources.volumes.addIndex(freeByClass, (v) => (v.spec?.claimRef === undefined ? [v.spec?.storageClassName ?? ''] : []));

  const controllerSelector = (pod: PodInfo): LabelSelector | undefined => {
    const owner = controllerOf(pod.pod);
    if (owner === undefined) return undefined;
    const key = `${pod.namespace}/${owner.name}`;
    switch (owner.kind) {
      case 'ReplicaSet':
        return sources.replicaSets.get(key)?.spec?.selector;
      case 'StatefulSet':
        return sources.statefulSets.get(key)?.spec?.selector;
      case 'ReplicationController': {
        const matchLabels = sources.controllers.get(key)?.spec?.selector;
        return matchLabels === undefined ? undefined : { matchLabels };
      }
      default:
        return undefined;
    }
  };
  const listers: Listers = {
    namespaceLabels: (namespace) => sources.namespaces.get(namespace)?.metadata.labels ?? {},
    spreadSelector: (pod) => {
      let matchLabels: Record<string, string> = {};
      for (const service of sources.services.list(pod.namespace)) {
        const selector = Object.entries(service.spec?.selector ?? {});
        if (selector.length > 0 && selector.every(([k, v]) => pod.labels[k] === v))
          matchLabels = { ...matchLabels, ...service.spec?.selector };
      }
      const own = controllerSelector(pod);
      matchLabels = { ...matchLabels, ...own?.matchLabels };
      const matchExpressions = own?.matchExpressions ?? [];
      return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0 ? undefined : { matchLabels, matchExpressions };
    },
    claim: (namespace, name) => sources.claims.get(`${namespace}/${name}`),
    volume: (name) => sources.volumes.get(name),
    freeVolumes: (storageClass) => sources.volumes.byIndex(freeByClass, storageClass),
    storageClass: (name) => sources.classes.get(name),
  };
  return { ...sources, listers };
}

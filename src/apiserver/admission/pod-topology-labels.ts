/** Gives a pod the zone and region of the node that it is bound to (k8s.io/kubernetes plugin/pkg/admission/podtopologylabels). */
import type { Binding, Pod } from '#kube/generated/core-v1.ts';
import { nodes } from '#kube/refs.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { isPod, objectAs } from './attributes.ts';

const copied = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

const isBinding = (r: AdmissionRequest): boolean =>
  r.def.ref.group === '' && r.def.ref.plural === 'pods' && r.subresource === 'binding' && r.operation === 'CREATE';

export function createPodTopologyLabels(objects: Pick<ObjectReader, 'get'>): AdmissionPlugin {
  return {
    name: 'PodTopologyLabels',
    handles: (r) => isBinding(r) || isPod(r, 'CREATE'),
    admit: (r) => {
      if (r.object === undefined) return;
      const name = isBinding(r) ? objectAs<Binding>(r).target.name : objectAs<Pod>(r).spec?.nodeName;
      const labels = name === undefined || name === '' ? undefined : objects.get(nodes, '', name)?.metadata.labels;
      const added = copied.flatMap((key) => (labels?.[key] === undefined ? [] : [[key, labels[key]] as const]));
      if (added.length === 0) return;
      r.object.metadata = { ...r.object.metadata, labels: { ...r.object.metadata.labels, ...Object.fromEntries(added) } };
    },
  };
}

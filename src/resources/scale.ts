import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { ScaleDef } from '#kube/kind.ts';
import { formatSelector } from './print.ts';

/** The scale subresource of workloads with `spec.replicas` and a label selector. */
export const workloadScale: ScaleDef = {
  specReplicasPath: 'spec.replicas',
  statusReplicasPath: 'status.replicas',
  selector: (object) => {
    const { spec } = object as { readonly spec?: { readonly selector?: LabelSelector } };
    return formatSelector(spec?.selector).replace('<none>', '');
  },
};

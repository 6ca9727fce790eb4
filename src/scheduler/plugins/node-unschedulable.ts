import { tolerates } from '#kube/taints.ts';
import type { Plugin } from '../framework.ts';
import { reject } from '../framework.ts';

const cordon = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Cordoned nodes take only pods that tolerate being there. */
export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  prepareFilter: (pod) => {
    if ((pod.pod.spec?.tolerations ?? []).some((t) => tolerates(t, cordon))) return { verdict: 'skip' };
    return {
      verdict: 'filter',
      filter: (node) => (node.unschedulable ? reject('NodeUnschedulable', true, 'node(s) were unschedulable') : undefined),
    };
  },
  wakesOn: (event) => event.on === 'node' && (event.what === 'add' || event.what === 'taints') && !event.node.unschedulable,
};

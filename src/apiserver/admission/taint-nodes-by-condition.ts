/**
 * Taints a new node as not ready, so that nothing is scheduled to it before its conditions are known
 * (k8s.io/kubernetes plugin/pkg/admission/nodetaint).
 */
import type { Node } from '#kube/generated/core-v1.ts';
import type { AdmissionPlugin } from '../contract.ts';
import { isResource, objectAs } from './attributes.ts';

const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  handles: (r) => isResource(r, '', 'nodes', 'CREATE'),
  admit: (r) => {
    if (r.object === undefined) return;
    const { spec } = objectAs<Node>(r);
    const taints = spec?.taints ?? [];
    if (taints.some((t) => t.key === notReady.key && t.effect === notReady.effect)) return;
    r.object['spec'] = { ...spec, taints: [...taints, { ...notReady }] };
  },
};

import { tolerates, untolerated } from '#kube/taints.ts';
import type { Plugin } from '../framework.ts';
import { normalizeByMax, reject } from '../framework.ts';

const hard = ['NoSchedule', 'NoExecute'];

/** Refuses nodes with taints the pod does not tolerate; prefers those with fewer untolerated PreferNoSchedule taints. */
export const taintToleration: Plugin = {
  name: 'TaintToleration',
  weight: 3,
  prepareFilter: (pod) => ({
    verdict: 'filter',
    filter: (node) =>
      untolerated(node.taints, pod.pod.spec?.tolerations, hard) === undefined
        ? undefined
        : reject('TaintToleration', true, 'node(s) had untolerated taint(s)'),
  }),
  prepareScore: (pod) => {
    const soft = (pod.pod.spec?.tolerations ?? []).filter((t) => (t.effect ?? '') === '' || t.effect === 'PreferNoSchedule');
    return {
      score: (node) => node.taints.filter((t) => t.effect === 'PreferNoSchedule' && !soft.some((s) => tolerates(s, t))).length,
      normalize: (scores) => normalizeByMax(scores, true),
    };
  },
  wakesOn: (event, pod) =>
    event.on === 'self' ||
    (event.on === 'node' &&
      (event.what === 'add' || event.what === 'taints') &&
      untolerated(event.node.taints, pod.pod.spec?.tolerations, hard) === undefined),
};

import type { Plugin } from '../framework.ts';
import { reject } from '../framework.ts';

/** A pod that names its node fits no other. */
export const nodeName: Plugin = {
  name: 'NodeName',
  prepareFilter: (pod) => {
    const wanted = pod.pod.spec?.nodeName ?? '';
    if (wanted === '') return { verdict: 'skip' };
    return {
      verdict: 'filter',
      filter: (node) => (node.name === wanted ? undefined : reject('NodeName', true, "node(s) didn't match the requested node name")),
    };
  },
  wakesOn: (event) => event.on === 'node' && event.what === 'add',
};

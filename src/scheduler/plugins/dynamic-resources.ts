import type { Plugin } from '../framework.ts';
import { reject } from '../framework.ts';

/**
 * Claims for devices are not allocated by this scheduler: a pod with one waits until somebody else has done so, instead of
 * starting without its device.
 */
export const dynamicResources: Plugin = {
  name: 'DynamicResources',
  prepareFilter: (pod) => {
    const claims = pod.pod.spec?.resourceClaims ?? [];
    if (claims.length === 0) return { verdict: 'skip' };
    return { verdict: 'reject', failure: reject('DynamicResources', true, 'cannot allocate all claims') };
  },
  wakesOn: (event) => event.on === 'self',
};

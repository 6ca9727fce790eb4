import type { Plugin } from '../framework.ts';
import { reject } from '../framework.ts';

/** A pod with scheduling gates waits until the last is gone. */
export const schedulingGates: Plugin = {
  name: 'SchedulingGates',
  prepareFilter: (pod) => {
    const gates = pod.pod.spec?.schedulingGates ?? [];
    if (gates.length === 0) return { verdict: 'skip' };
    const names = gates.map((g) => g.name).join(' ');
    return { verdict: 'reject', failure: reject('SchedulingGates', true, `waiting for scheduling gates: [${names}]`) };
  },
  wakesOn: (event) => event.on === 'self',
};

import type { Plugin, PodInfo } from '../framework.ts';
import { reject } from '../framework.ts';

const conflict = 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';

/** A claim with the access mode ReadWriteOncePod serves one pod at a time; that pod may be preempted for a more important one. */
export const volumeRestrictions: Plugin = {
  name: 'VolumeRestrictions',
  prepareFilter: (pod, view) => {
    const exclusive = pod.claims.filter((c) => view.claim(pod.namespace, c)?.spec?.accessModes?.includes('ReadWriteOncePod') === true);
    if (exclusive.length === 0) return { verdict: 'skip' };
    const users = exclusive.flatMap((c) => [...view.claimUsers(pod.namespace, c)]).filter((p) => p.uid !== pod.uid);
    if (users.length === 0) return { verdict: 'skip' };
    return {
      verdict: 'filter',
      // Where the user runs, preempting it helps; elsewhere it does not.
      filter: (node) => reject('VolumeRestrictions', !users.some((u) => node.pods.has(u.uid)), conflict),
    };
  },
  wakesOn: (event, pod) => event.on === 'claim' || (event.on === 'pod' && event.what === 'delete' && sharesClaim(event.pod, pod)),
};

const sharesClaim = (a: PodInfo, b: PodInfo): boolean => a.namespace === b.namespace && a.claims.some((c) => b.claims.includes(c));

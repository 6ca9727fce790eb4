/**
 * Which containers of a pod ended because memory ran out. containerd learns it from the container's own cgroup, which
 * systemd often has removed before containerd looks (containerd issue 8893, and PR 12714: not to be mended there). The
 * kernel counts each such kill in the pod's cgroup too, which is still there.
 */
import type { ContainerStatus, Pod } from '#kube/generated/core-v1.ts';
import type { ContainerRecord } from './runtime.ts';

const reason = 'OOMKilled';
const killedBySignal = 137;

export interface OomWatch {
  /** The records as they are to be shown. To be called whenever the runtime was asked. */
  readonly observe: (records: readonly ContainerRecord[]) => Promise<readonly ContainerRecord[]>;
}

/** Containers that an earlier process of ours has told to be killed so. */
function toldBefore(pod: Pod | undefined): readonly string[] {
  const { containerStatuses, initContainerStatuses, ephemeralContainerStatuses } = pod?.status ?? {};
  const lists: readonly (readonly ContainerStatus[] | undefined)[] = [containerStatuses, initContainerStatuses, ephemeralContainerStatuses];
  return lists
    .flatMap((list) => list ?? [])
    .flatMap((status) => [status.state?.terminated, status.lastState?.terminated])
    .flatMap((ended) => (ended?.reason === reason && ended.containerID !== undefined ? [ended.containerID.replace(/^.*:\/\//, '')] : []));
}

/** `kills` counts the kills in the pod's cgroup since it was made; undefined where that is not known. */
export function createOomWatch(pod: Pod | undefined, kills: () => Promise<number | undefined>): OomWatch {
  const killed = new Set(toldBefore(pod));
  const ended = new Set<string>();
  let count: number | undefined;
  return {
    observe: async (records) => {
      const now = (await kills()) ?? count ?? 0;
      const more = count !== undefined && now > count;
      count = now;
      for (const { id, state, exitCode } of records) {
        if (state !== 'exited' || ended.has(id)) continue;
        ended.add(id);
        if (more && exitCode === killedBySignal) killed.add(id);
      }
      for (const set of [ended, killed]) for (const id of set) if (!records.some((r) => r.id === id)) set.delete(id);
      return records.map((record) => (record.state === 'exited' && killed.has(record.id) ? { ...record, reason } : record));
    },
  };
}

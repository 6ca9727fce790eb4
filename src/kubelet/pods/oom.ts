/** Which containers of a pod ended because memory ran out: what the runtime says, and what it has missed. */
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

/** `killedByKernel` tells whether the kernel's log has the container. */
export function createOomWatch(pod: Pod | undefined, killedByKernel: (id: string) => Promise<boolean>): OomWatch {
  const killed = new Set(toldBefore(pod));
  const ended = new Set<string>();
  return {
    observe: async (records) => {
      for (const { id, state, exitCode } of records) {
        if (state !== 'exited' || exitCode !== killedBySignal || ended.has(id)) continue;
        ended.add(id);
        if (await killedByKernel(id)) killed.add(id);
      }
      for (const set of [ended, killed]) for (const id of set) if (!records.some((r) => r.id === id)) set.delete(id);
      return records.map((record) => (record.state === 'exited' && killed.has(record.id) ? { ...record, reason } : record));
    },
  };
}

/** The status of this node as the API shows it: pkg/kubelet/nodestatus upstream. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { ContainerImage, NodeAddress, NodeCondition, NodeStatus } from '#kube/generated/core-v1.ts';
import { canonicalQuantity, formatQuantity, quantityOf } from '#kube/quantity.ts';
import { timeText } from '../pods/container-status.ts';
import type { DiskUse, Machine } from './machine.ts';

export interface Pressure {
  readonly memory: boolean;
  readonly disk: boolean;
  readonly pid: boolean;
}

export interface NodeStatusInput {
  readonly machine: Machine;
  readonly disk: DiskUse;
  readonly addresses: readonly NodeAddress[];
  readonly runtimeVersion: string;
  readonly maxPods: number;
  readonly images: readonly ContainerImage[];
  readonly pressure: Pressure;
  /** Why the node is not ready, e.g. "container runtime network not ready: …". */
  readonly notReady: string | undefined;
  /** Resources kept back from pods. */
  readonly reserved: { readonly milliCpu: number; readonly memoryBytes: number; readonly diskBytes: number };
  readonly old: NodeStatus;
  readonly nowMs: number;
}

/** In the form that the server makes of it. */
const bytes = (value: number): string => canonicalQuantity(`${Math.floor(value / 1024)}Ki`);
const cpu = (milli: number): string => (milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`);
/** Eviction keeps this much memory free (memory.available<100Mi). */
const evictionMemoryBytes = 100 * 1024 * 1024;
const evictionDiskShare = 0.1;

type Verdict = readonly ['True' | 'False', string, string];

function conditions(input: NodeStatusInput): readonly NodeCondition[] {
  const { pressure } = input;
  const verdicts: readonly (readonly [string, Verdict])[] = [
    [
      'MemoryPressure',
      pressure.memory
        ? ['True', 'KubeletHasInsufficientMemory', 'kubelet has insufficient memory available']
        : ['False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ],
    [
      'DiskPressure',
      pressure.disk
        ? ['True', 'KubeletHasDiskPressure', 'kubelet has disk pressure']
        : ['False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ],
    [
      'PIDPressure',
      pressure.pid
        ? ['True', 'KubeletHasInsufficientPID', 'kubelet has insufficient PID available']
        : ['False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    ],
    [
      'Ready',
      input.notReady === undefined
        ? ['True', 'KubeletReady', 'kubelet is posting ready status']
        : ['False', 'KubeletNotReady', input.notReady],
    ],
  ];
  const now = timeText(input.nowMs);
  return verdicts.map(([type, [status, reason, message]]) => {
    const before = input.old.conditions?.find((c) => c.type === type);
    return {
      type,
      status,
      lastHeartbeatTime: now,
      lastTransitionTime: before?.status === status && before.lastTransitionTime ? before.lastTransitionTime : now,
      reason,
      message,
    };
  });
}

export function nodeStatus(input: NodeStatusInput): NodeStatus {
  const { machine, disk, reserved } = input;
  const pods = String(input.maxPods);
  return {
    capacity: {
      cpu: cpu(machine.milliCpu),
      'ephemeral-storage': bytes(disk.capacityBytes),
      ...machine.hugepages,
      memory: bytes(machine.memoryBytes),
      pods,
    },
    allocatable: {
      cpu: cpu(machine.milliCpu - reserved.milliCpu),
      'ephemeral-storage': formatQuantity(quantityOf(Math.floor(disk.capacityBytes * (1 - evictionDiskShare)) - reserved.diskBytes)),
      ...machine.hugepages,
      memory: bytes(machine.memoryBytes - reserved.memoryBytes - evictionMemoryBytes),
      pods,
    },
    conditions: conditions(input),
    addresses: input.addresses,
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    nodeInfo: { ...machine.info, containerRuntimeVersion: input.runtimeVersion },
    images: input.images,
    // The default handler has no name. Fields that the server would leave out are left out here too: a status is compared with the stored one.
    runtimeHandlers: [{ features: { recursiveReadOnlyMounts: false, userNamespaces: false } }],
    features: { supplementalGroupsPolicy: false },
  };
}

/** True when only times of heartbeats differ: such a status is written every five minutes only. */
export function sameButHeartbeats(a: NodeStatus, b: NodeStatus): boolean {
  const strip = (s: NodeStatus): NodeStatus => ({
    ...s,
    conditions: (s.conditions ?? []).map(({ lastHeartbeatTime: _at, ...rest }) => rest),
  });
  return isDeepStrictEqual(strip(a), strip(b));
}

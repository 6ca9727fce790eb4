import { expect, test } from 'vitest';
import { decodeValue } from '#kube/decode.ts';
import type { NodeStatus } from '#kube/generated/core-v1.ts';
import { definition } from '#kube/schema-registry.ts';
import { readMachine } from './machine.ts';
import { nodeStatus, sameButHeartbeats } from './status.ts';

const statusAt = async (nowMs: number, old: NodeStatus): Promise<NodeStatus> =>
  nodeStatus({
    machine: await readMachine(),
    disk: { capacityBytes: 2 ** 38, availableBytes: 2 ** 37, inodes: 1000, inodesFree: 900 },
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
    runtimeVersion: 'containerd://1.6.20',
    maxPods: 110,
    images: [{ names: ['example.test/a:1'], sizeBytes: 5 }],
    pressure: { memory: false, disk: false, pid: false },
    notReady: undefined,
    reserved: { milliCpu: 0, memoryBytes: 0, diskBytes: 0 },
    old,
    nowMs,
  });

test('a status that came back from the API server counts as the same, so that heartbeats are not written every ten seconds', async () => {
  const sent = await statusAt(0, {});
  const stored = decodeValue(definition('io.k8s.api.core.v1.NodeStatus') ?? {}, JSON.parse(JSON.stringify(sent))) as NodeStatus;
  expect(sameButHeartbeats(await statusAt(10_000, stored), stored)).toBe(true);
});

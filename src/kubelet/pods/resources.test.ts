import { describe, expect, test } from 'vitest';
import { container, testPod } from './fixtures.ts';
import { containerResources, cpuQuota, cpuShares, podCgroup, qosClass } from './resources.ts';

const limits = { cpu: '500m', memory: '64Mi' };
const gi = 1024 ** 3;
const v1 = { version: 1, systemd: false, swap: false } as const;

test.each([
  ['no resources', {}, 'BestEffort'],
  ['limits only', { limits }, 'Guaranteed'],
  ['requests equal limits', { limits, requests: { cpu: '0.5', memory: '65536Ki' } }, 'Guaranteed'],
  ['requests below limits', { limits, requests: { cpu: '100m', memory: '64Mi' } }, 'Burstable'],
  ['memory limit only', { limits: { memory: '64Mi' } }, 'Burstable'],
] as const)('quality of service: %s is %s', (_, resources, expected) => {
  expect(qosClass(testPod({ containers: [container('c', { resources })] }))).toBe(expected);
});

test('CPU becomes shares and quota within what the kernel takes', () => {
  expect([cpuShares(0), cpuShares(1), cpuShares(250), cpuShares(1_000_000)]).toEqual([2, 2, 256, 262_144]);
  expect([cpuQuota(0), cpuQuota(1), cpuQuota(250), cpuQuota(2000)]).toEqual([0, 1000, 25_000, 200_000]);
});

describe('who is killed first when memory runs out', () => {
  const score = (resources: object, priority?: number): number | undefined => {
    const c = container('c', { resources });
    return containerResources(testPod({ containers: [c], ...(priority === undefined ? {} : { priority }) }), c, {
      capacityBytes: 10 * gi,
      cgroups: v1,
    }).oomScoreAdj;
  };
  test.each([
    ['guaranteed', { limits }, undefined, -997],
    ['best effort', {}, undefined, 1000],
    ['burstable with a tenth of the memory', { requests: { memory: '1Gi' } }, undefined, 900],
    ['burstable with next to nothing', { requests: { memory: '1Ki' } }, undefined, 999],
    ['burstable with everything', { requests: { memory: '10Gi' } }, undefined, 3],
    ['critical for the node', {}, 2_000_000_001, -997],
  ] as const)('%s', (_, resources, priority, expected) => {
    expect(score(resources, priority)).toBe(expected);
  });
});

test.each([
  ['on cgroup v1 nothing is asked of cgroup v2', { version: 1, systemd: false, swap: false }, {}],
  ['all of a container is killed when its memory runs out', { version: 2, systemd: true, swap: false }, { 'memory.oom.group': '1' }],
  ['and it does not swap', { version: 2, systemd: true, swap: true }, { 'memory.oom.group': '1', 'memory.swap.max': '0' }],
] as const)('settings of cgroup v2: %s', (_, cgroups, expected) => {
  const c = container('c', {});
  expect(containerResources(testPod({ containers: [c] }), c, { capacityBytes: gi, cgroups }).unified).toEqual(expected);
});

describe('cgroup of the pod', () => {
  test('is bounded only where every container is', () => {
    const two = testPod({
      containers: [container('a', { resources: { limits } }), container('b', { resources: { limits: { cpu: '1' } } })],
    });
    expect(podCgroup(two, false)).toEqual({ path: '/kubepods/burstable/podu1', shares: 1536, quotaUs: 150_000 });
  });

  test('init containers count by the largest, sidecars beside the others', () => {
    const pod = testPod({
      containers: [container('a', { resources: { requests: { cpu: '100m' } } })],
      initContainers: [
        container('s', { restartPolicy: 'Always', resources: { requests: { cpu: '100m' } } }),
        container('i', { resources: { requests: { cpu: '900m' } } }),
      ],
    });
    expect(podCgroup(pod, false).shares).toBe(1024);
  });

  test('is a slice in a slice under systemd', () => {
    const pod = testPod({}, { uid: 'a-b' });
    expect(podCgroup(pod, true).path).toBe('/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-poda_b.slice');
    const guaranteed = testPod({ containers: [container('c', { resources: { limits } })] }, { uid: 'a-b' });
    expect(podCgroup(guaranteed, true).path).toBe('/kubepods.slice/kubepods-poda_b.slice');
  });
});

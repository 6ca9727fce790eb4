import { expect, test } from 'vitest';
import type { Node } from '#kube/generated/core-v1.ts';
import { refusePod } from './admission.ts';
import { container, testPod } from './fixtures.ts';

const node: Node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { labels: { zone: 'a' } },
  status: { allocatable: { cpu: '1', memory: '1Gi', pods: '3' } },
};
const asking = (cpu: string) => testPod({ containers: [container('c', { resources: { requests: { cpu } } })] });

test('a pod that fits is run', () => {
  expect(refusePod(asking('500m'), [asking('500m')], node)).toBeUndefined();
});

test.each([
  [
    'too much CPU',
    asking('600m'),
    [asking('500m')],
    'OutOfcpu',
    "Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: 1000",
  ],
  [
    'too many pods',
    testPod(),
    [testPod(), testPod(), testPod()],
    'OutOfpods',
    "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
  ],
  [
    'another zone',
    testPod({ nodeSelector: { zone: 'b' } }),
    [],
    'NodeAffinity',
    "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  ],
  [
    'an unsafe sysctl',
    testPod({ securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }),
    [],
    'SysctlForbidden',
    'forbidden sysctl: "kernel.msgmax" not allowlisted',
  ],
] as const)('%s is refused', (_, pod, others, reason, message) => {
  expect(refusePod(pod, others, node)).toEqual({ reason, message });
});

test('safe sysctls are allowed, but not for the network of the node', () => {
  const securityContext = { sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }] };
  expect(refusePod(testPod({ securityContext }), [], node)).toBeUndefined();
  expect(refusePod(testPod({ securityContext, hostNetwork: true }), [], node)?.reason).toBe('SysctlForbidden');
});

/** Status updates as upstream's validation tests state them; jobs and pods have tests of their own. */
import { expect, test } from 'vitest';
import { statusProblems } from './testing.ts';

const nonNegative = (part: string): string => `status.${part}: Invalid value: -1: must be greater than or equal to 0`;
const negative = (...parts: string[]): object => Object.fromEntries(parts.map((part) => [part, -1]));
const container = { name: 'c', image: 'i' };
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } };
const workload = { spec: { selector: { matchLabels: { a: 'b' } }, template } };
const status = (kind: string, now: object, was: object = {}, fields: object = workload): string[] =>
  statusProblems(kind, { ...fields, status: now }, { ...fields, status: was });

const deployment = ['observedGeneration', 'replicas', 'updatedReplicas', 'readyReplicas', 'availableReplicas', 'unavailableReplicas'];
const balanced = { spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } };
const points = (...ingress: object[]): object => ({ loadBalancer: { ingress } });
const at = 'status.loadBalancer.ingress[0]';
const good = { type: 'A', status: 'True', reason: 'R', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
const reasonRule =
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

test.each<[string, string[], string[]]>([
  ['a deployment', status('Deployment', { replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 1 }), []],
  ['negative counts of a deployment', status('Deployment', negative(...deployment)), deployment.map(nonNegative)],
  [
    'counts of a deployment above its total',
    status('Deployment', { replicas: 1, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 3 }),
    [
      'status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas',
      'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
      'status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas',
      'status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas',
    ],
  ],
  [
    'fewer collisions',
    status('Deployment', { collisionCount: 1 }, { collisionCount: 2 }),
    ['status.collisionCount: Invalid value: 1: cannot be decremented'],
  ],
  ['no collisions', status('DaemonSet', {}, { collisionCount: 2 }), ['status.collisionCount: Invalid value: 0: cannot be decremented']],
  [
    'a replica set',
    status('ReplicaSet', { replicas: 1, fullyLabeledReplicas: 2 }),
    ['status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas'],
  ],
  [
    'a replication controller',
    status('ReplicationController', { replicas: 2, availableReplicas: 2, readyReplicas: 1 }, {}, { spec: { template } }),
    ['status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas'],
  ],
  [
    'a stateful set',
    status('StatefulSet', { replicas: 2, readyReplicas: 1, availableReplicas: 2, currentReplicas: 3 }),
    [
      'status.currentReplicas: Invalid value: 3: cannot be greater than status.replicas',
      'status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas',
    ],
  ],
  [
    'a daemon set',
    status('DaemonSet', negative('numberReady', 'numberMisscheduled')),
    ['numberMisscheduled', 'numberReady'].map(nonNegative),
  ],
  [
    'an autoscaler',
    status('HorizontalPodAutoscaler', negative('currentReplicas', 'desiredReplicas'), {}, {}),
    ['currentReplicas', 'desiredReplicas'].map(nonNegative),
  ],
  [
    'a disruption budget',
    status('PodDisruptionBudget', { ...negative('disruptionsAllowed', 'expectedPods'), conditions: [good, good] }, {}, {}),
    ['status.conditions[1].type: Duplicate value: "A"', ...['disruptionsAllowed', 'expectedPods'].map(nonNegative)],
  ],
  [
    'a condition',
    status('PodDisruptionBudget', { conditions: [{ ...good, status: 'true', reason: '-', lastTransitionTime: null }] }, {}, {}),
    [
      'status.conditions[0].status: Unsupported value: "true": supported values: "False", "True", "Unknown"',
      'status.conditions[0].lastTransitionTime: Required value: must be set',
      `status.conditions[0].reason: Invalid value: "-": ${reasonRule}`,
    ],
  ],
  ['a namespace', status('Namespace', { phase: 'Active' }, {}, {}), []],
  [
    'a namespace that is not being deleted',
    status('Namespace', { phase: 'Terminating' }, {}, {}),
    ['status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` is empty'],
  ],
  ['a load balancer', status('Service', points({ ip: '1.2.3.4' }, { hostname: 'a.b' }), {}, balanced), []],
  [
    'a load balancer of a service without',
    status('Service', points({ hostname: 'a.b' }), {}, { spec: { ports: [{ port: 80 }] } }),
    ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
  ],
  [
    'a mode without an address',
    status('Service', points({ hostname: 'a.b', ipMode: 'VIP' }), {}, balanced),
    [`${at}.ipMode: Forbidden: may not be specified when \`ip\` is not set`],
  ],
  [
    'an unknown mode',
    status('Service', points({ ip: '1.2.3.4', ipMode: 'vip' }), {}, balanced),
    [`${at}.ipMode: Unsupported value: "vip": supported values: "Proxy", "VIP"`],
  ],
  [
    'an address as the host name of an ingress',
    status('Ingress', points({ hostname: '1.2.3.4' }), {}, {}),
    [`${at}.hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address`],
  ],
  [
    'an address with zeros',
    status('Ingress', points({ ip: '1.2.3.04' }), {}, {}),
    [`${at}.ip: Invalid value: "1.2.3.04": must not have leading 0s`],
  ],
  ['an address with zeros that was there', status('Ingress', points({ ip: '1.2.3.04' }), points({ ip: '1.2.3.04' }), {}), []],
  [
    'a node',
    status(
      'Node',
      {
        capacity: { cpu: '-1', 'example.com/gpu': '500m' },
        addresses: [
          { type: 'InternalIP', address: '1.2.3.4' },
          { type: 'InternalIP', address: '1.2.3.4' },
        ],
      },
      {},
      {},
    ),
    [
      'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
      'status.capacity.example.com/gpu: Invalid value: "500m": must be an integer',
      'status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0',
      'status.allocatable.example.com/gpu: Invalid value: "500m": must be an integer',
      'status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"1.2.3.4"}',
    ],
  ],
])('%s', (_name, found, expected) => {
  expect(found).toEqual(expected);
});

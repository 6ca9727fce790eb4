/** Warnings as upstream's pkg/api warnings_test.go state them, and what a write of a pod's status may not do. */
import { describe, expect, test } from 'vitest';
import { ingressKind } from '../networking/ingress.ts';
import { persistentVolumeKind } from './persistent-volume.ts';
import { persistentVolumeClaimKind } from './persistent-volume-claim.ts';
import { podStatusUpdate } from './pod-validation/pod-status.ts';
import { podWarnings } from './pod-warnings.ts';
import { serviceKind } from './service.ts';

const container = { name: 'c', image: 'i' };
const zones = 'failure-domain.beta.kubernetes.io/zone';
const zoneText = 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead';
const term = {
  matchExpressions: [
    { key: 'ok', operator: 'Exists' },
    { key: zones, operator: 'Exists' },
  ],
} as const;
const env = (...values: (string | undefined)[]) =>
  values.map((value) => (value === undefined ? { name: 'a', valueFrom: {} } : { name: 'a', value }));
const hidden = (i: number): string =>
  `spec.containers[0].env[${i}]: hides previous definition of "a", which may be dropped when using apply`;

describe('a pod', () => {
  test.each<[string, object, string[]]>([
    ['old labels of nodes', { nodeSelector: { [zones]: 'a' } }, [`spec.nodeSelector[${zones}]: ${zoneText}`]],
    [
      'old labels in affinity',
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: term }],
          },
        },
      },
      [
        `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].key: ${zones} is ${zoneText}`,
        `spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[1].key: ${zones} is ${zoneText}`,
      ],
    ],
    [
      'a spread without a selector',
      { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: zones, whenUnsatisfiable: 'DoNotSchedule' }] },
      [
        `spec.topologySpreadConstraints[0].topologyKey: ${zones} is ${zoneText}`,
        'spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod',
      ],
    ],
    [
      'affinity to no pod',
      { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'x' }] } } },
      [
        'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod',
      ],
    ],
    [
      'volumes of the past',
      {
        volumes: [
          { name: 'a', gitRepo: { repository: 'x' } },
          { name: 'b', storageos: {} },
          { name: 'c', rbd: {} },
        ],
      },
      [
        'spec.volumes[0].gitRepo: deprecated in v1.11',
        'spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+',
        'spec.volumes[2].rbd: deprecated in v1.28, non-functional in v1.31+',
      ],
    ],
    [
      'a file in the place of a token',
      {
        volumes: [
          {
            name: 'p',
            projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { secret: { items: [{ key: 'k', path: 'token' }] } }] },
          },
        ],
      },
      ['volume "p" (Projected Secret ""): overlapping paths: "token" with "token"'],
    ],
    [
      'what is there twice',
      { hostAliases: [{ ip: '1.1.1.1' }, { ip: '1.1.1.1' }], imagePullSecrets: [{ name: 'a' }, { name: 'a' }, { name: '' }] },
      [
        'spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
        'spec.imagePullSecrets[1].name: duplicate name "a"',
        'spec.imagePullSecrets[2].name: invalid empty name ""',
      ],
    ],
    [
      'parts of a byte',
      { containers: [{ ...container, resources: { requests: { memory: '200m', cpu: '200m' } } }] },
      ['spec.containers[0].resources.requests[memory]: fractional byte value "200m" is invalid, must be an integer'],
    ],
    [
      'variables that hide others',
      { containers: [{ ...container, env: env('a', 'a', 'other', '', '$(a)', undefined, '$(a) $(a)') }] },
      [1, 2, 3, 4, 5].map(hidden),
    ],
    [
      'ports that clash',
      {
        containers: [
          {
            ...container,
            ports: [
              { containerPort: 80, protocol: 'TCP' },
              { containerPort: 80, protocol: 'TCP', hostPort: 8080 },
            ],
          },
          { name: 'd', image: 'i', ports: [{ containerPort: 80, protocol: 'TCP', hostPort: 8080, hostIP: '1.1.1.1' }] },
          { name: 'e', image: 'i', ports: [{ containerPort: 81, protocol: 'UDP', hostIP: '1.1.1.1' }] },
        ],
      },
      [
        'spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]',
        'spec.containers[1].ports[0]: overlapping port definition with spec.containers[0].ports[0]',
        'spec.containers[1].ports[0]: dangerously ambiguous port definition with spec.containers[0].ports[1]',
        'spec.containers[2].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:81 Protocol:UDP HostIP:1.1.1.1}',
      ],
    ],
    [
      'a negative grace',
      { terminationGracePeriodSeconds: -1 },
      ['spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1'],
    ],
    ['nothing odd', {}, []],
  ])('with %s', (_title, spec, expected) => {
    expect(podWarnings('', { spec: { containers: [container], ...spec } })).toEqual(expected);
  });

  test('a template has the path of its own, and annotations of the past', () => {
    const annotations = {
      'container.apparmor.security.beta.kubernetes.io/c': 'x',
      'seccomp.security.alpha.kubernetes.io/pod': 'x',
      'security.alpha.kubernetes.io/sysctls': 'x',
    };
    expect(podWarnings('spec.template', { metadata: { annotations }, spec: { containers: [container] } })).toEqual([
      'spec.template.metadata.annotations[security.alpha.kubernetes.io/sysctls]: non-functional in v1.11+; use the "sysctls" field instead',
      'spec.template.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead',
      'spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the "appArmorProfile" field instead',
    ]);
  });
});

const meta = { name: 'a', annotations: { 'volume.beta.kubernetes.io/storage-class': 'x', 'kubernetes.io/ingress.class': 'y' } };
const classText =
  'metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead';

test('volumes, claims, services and ingresses warn of what is deprecated or ignored', () => {
  const volume = { kind: 'PersistentVolume', apiVersion: 'v1', metadata: meta, spec: { persistentVolumeReclaimPolicy: 'Recycle' } };
  expect(persistentVolumeKind.warnings?.(volume as never, undefined)).toEqual([
    classText,
    'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
  ]);
  const claim = { metadata: meta, spec: { resources: { requests: { storage: '1500m' } } } };
  expect(persistentVolumeClaimKind.warnings?.(claim as never, undefined)).toEqual([
    classText,
    'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
  ]);
  const headless = {
    metadata: meta,
    spec: { type: 'ClusterIP', clusterIP: 'None', externalIPs: ['1.1.1.1'], loadBalancerIP: '1.1.1.1', sessionAffinity: 'ClientIP' },
  };
  expect(serviceKind.warnings?.(headless as never, undefined)).toEqual([
    'spec.loadBalancerIP is ignored for headless services',
    'spec.externalIPs is ignored for headless services',
    'spec.SessionAffinity is ignored for headless services',
  ]);
  const ingress = { metadata: meta, spec: {} };
  expect(ingressKind.warnings?.(ingress as never, undefined)).toEqual([
    `annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`,
  ]);
  expect(ingressKind.warnings?.(ingress as never, ingress as never)).toEqual([]);
});

describe("a write of a pod's status", () => {
  const pod = (restartPolicy: string, state: object, more: object = {}) => ({
    kind: 'Pod' as const,
    apiVersion: 'v1' as const,
    metadata: { name: 'a' },
    spec: { restartPolicy, containers: [container] },
    status: { containerStatuses: [{ name: 'c', image: 'i', imageID: '', ready: false, restartCount: 0, state }], ...more },
  });
  const terminated = (exitCode: number) => ({ terminated: { exitCode } });
  const refused = [
    {
      field: 'status.containerStatuses[0].state',
      type: 'FieldValueForbidden',
      message: 'Forbidden: may not be transitioned to non-terminated state',
    },
  ];

  test.each([
    ['Always', 1, []],
    ['OnFailure', 1, []],
    ['OnFailure', 0, refused],
    ['Never', 1, refused],
  ])('%s: a container that ended with %i does not run again unless it may be restarted', (policy, exitCode, expected) => {
    expect(podStatusUpdate(pod(policy, { running: {} }), pod(policy, terminated(exitCode)))).toEqual(expected);
    expect(podStatusUpdate(pod(policy, terminated(exitCode)), pod(policy, { running: {} }))).toEqual([]);
  });

  test('a nomination is the name of a node', () => {
    const nominated = (nominatedNodeName: string) => pod('Always', {}, { nominatedNodeName });
    expect(podStatusUpdate(nominated('Not_A_Node'), nominated(''))).toHaveLength(1);
    expect(podStatusUpdate(nominated('node-1'), nominated(''))).toEqual([]);
    expect(podStatusUpdate(nominated('Not_A_Node'), nominated('Not_A_Node'))).toEqual([]);
  });
});

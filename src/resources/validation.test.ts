import { describe, expect, test } from 'vitest';
import { createProblems, updateProblems } from './testing.ts';

const container = { name: 'c', image: 'i' };
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } };
const selector = { matchLabels: { a: 'b' } };

const pod = (spec: object): string[] => createProblems('Pod', { spec: { containers: [container], ...spec } });
const inContainer = (fields: object): string[] => pod({ containers: [{ ...container, ...fields }] });
const dnsLabelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

describe('valid objects are accepted', () => {
  test.each<[string, object]>([
    ['Pod', { spec: { containers: [container] } }],
    ['Deployment', { spec: { selector, template } }],
    ['ReplicaSet', { spec: { selector, template } }],
    ['DaemonSet', { spec: { selector, template } }],
    ['StatefulSet', { spec: { selector, template, serviceName: 's' } }],
    ['ReplicationController', { spec: { template } }],
    ['Job', { spec: { template: { spec: { containers: [container], restartPolicy: 'Never' } } } }],
    [
      'CronJob',
      {
        spec: {
          schedule: '*/5 * * * *',
          jobTemplate: { spec: { template: { spec: { containers: [container], restartPolicy: 'OnFailure' } } } },
        },
      },
    ],
    ['Service', { spec: { ports: [{ port: 80 }] } }],
    [
      'Ingress',
      {
        spec: {
          rules: [
            {
              host: '*.a.b',
              http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } }] },
            },
          ],
        },
      },
    ],
    ['NetworkPolicy', { spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }] } }],
    ['PersistentVolumeClaim', { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }],
    ['PersistentVolume', { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/x' } } }],
    ['StorageClass', { provisioner: 'k3ts.io/local' }],
    ['RoleBinding', { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }] }],
    ['HorizontalPodAutoscaler', { spec: { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'd' } } }],
    ['PriorityClass', { value: 1000 }],
    ['Lease', { spec: { leaseDurationSeconds: 15, holderIdentity: 'x' } }],
    ['EndpointSlice', { addressType: 'IPv4', endpoints: [{ addresses: ['1.2.3.4'] }] }],
    ['LimitRange', { spec: { limits: [{ type: 'Container', max: { cpu: 1 } }] } }],
    ['ResourceQuota', { spec: { hard: { pods: 2, 'requests.cpu': 1, 'count/deployments.apps': 3 } } }],
  ])('%s', (kind, fields) => {
    expect(createProblems(kind, fields)).toEqual([]);
  });
});

describe('pods', () => {
  test.each<[string, string[], string[]]>([
    ['no containers', createProblems('Pod', { spec: {} }), ['spec.containers: Required value']],
    ['a bad container name', inContainer({ name: 'A_b' }), [`spec.containers[0].name: Invalid value: "A_b": ${dnsLabelRule}`]],
    ['no image', inContainer({ image: '' }), ['spec.containers[0].image: Required value']],
    ['two containers of one name', pod({ containers: [container, container] }), ['spec.containers[1].name: Duplicate value: "c"']],
    [
      'an unknown restart policy',
      pod({ restartPolicy: 'Sometimes' }),
      ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      'a mount of no volume',
      inContainer({ volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
      ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
    ],
    [
      'a volume with two sources',
      pod({ volumes: [{ name: 'v', emptyDir: {}, secret: { secretName: 's' } }] }),
      ['spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      'a port out of range',
      inContainer({ ports: [{ containerPort: 70000 }] }),
      ['spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive'],
    ],
    [
      'a request above its limit',
      inContainer({ resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } }),
      ['spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi'],
    ],
    [
      'a liveness probe with two successes',
      inContainer({ livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
      ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'],
    ],
    [
      'a probe without a handler',
      inContainer({ readinessProbe: {} }),
      ['spec.containers[0].readinessProbe: Required value: must specify a handler type'],
    ],
    [
      'a toleration of nothing',
      pod({ tolerations: [{ effect: 'NoExecute' }] }),
      [
        'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
    ],
    [
      'an empty node affinity',
      pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } } }),
      [
        'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term',
      ],
    ],
    ['a variable without a name', inContainer({ env: [{ value: 'x' }] }), ['spec.containers[0].env[0].name: Required value']],
    [
      'ephemeral containers at creation',
      pod({ ephemeralContainers: [{ name: 'e', image: 'i' }] }),
      ['spec.ephemeralContainers: Forbidden: cannot be set on create'],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });

  test('an update may change images and add tolerations, nothing else', () => {
    const was = { spec: { containers: [container] } };
    expect(
      updateProblems('Pod', { spec: { containers: [{ ...container, image: 'j' }], tolerations: [{ operator: 'Exists' }] } }, was),
    ).toEqual([]);
    const [problem = ''] = updateProblems('Pod', { spec: { containers: [{ ...container, command: ['x'] }] } }, was);
    expect(problem).toContain(
      'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n',
    );
    expect(problem).toContain('- \t\t\tcommand: nil,\n+ \t\t\tcommand: {"x"},\n');
    expect(updateProblems('Pod', { spec: { containers: [container, { ...container, name: 'd' }] } }, was)).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ]);
  });
});

describe('workloads', () => {
  test.each<[string, string[], string[]]>([
    [
      'a selector that does not match',
      createProblems('Deployment', { spec: { selector: { matchLabels: { a: 'c' } }, template } }),
      ['spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`'],
    ],
    ['no selector', createProblems('Deployment', { spec: { template } }), ['spec.selector: Required value']],
    [
      'a template that does not restart',
      createProblems('DaemonSet', { spec: { selector, template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } } }),
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      'a job that always restarts',
      createProblems('Job', { spec: { template: { spec: { containers: [container] } } } }),
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      'a rolling update that cannot move',
      createProblems('Deployment', { spec: { selector, template, strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } } }),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
    ],
    [
      'another selector',
      updateProblems(
        'Deployment',
        { spec: { selector: { matchLabels: { a: 'b', c: 'd' } }, template: { ...template, metadata: { labels: { a: 'b', c: 'd' } } } } },
        { spec: { selector, template } },
      ),
      ['spec.selector: Invalid value: {"matchLabels":{"a":"b","c":"d"}}: field is immutable'],
    ],
    [
      'another service of a StatefulSet',
      updateProblems('StatefulSet', { spec: { selector, template, serviceName: 't' } }, { spec: { selector, template, serviceName: 's' } }),
      [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ],
    ],
    [
      'a bad schedule',
      createProblems('CronJob', {
        spec: {
          schedule: '61 * * * *',
          jobTemplate: { spec: { template: { spec: { containers: [container], restartPolicy: 'Never' } } } },
        },
      }),
      ['spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

describe('other kinds', () => {
  test.each<[string, string[], string[]]>([
    ['a service without ports', createProblems('Service', { spec: {} }), ['spec.ports: Required value']],
    [
      'unnamed ports of a service',
      createProblems('Service', { spec: { ports: [{ port: 80 }, { port: 81 }] } }),
      ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
    ],
    [
      'another cluster IP',
      updateProblems(
        'Service',
        { spec: { clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'], ports: [{ port: 80 }] } },
        { spec: { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], ports: [{ port: 80 }] } },
      ),
      ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'],
    ],
    [
      'a bad key of a ConfigMap',
      createProblems('ConfigMap', { data: { 'a b': 'x' } }),
      [
        `data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`,
      ],
    ],
    [
      'an immutable ConfigMap',
      updateProblems('ConfigMap', { immutable: true, data: { a: '2' } }, { immutable: true, data: { a: '1' } }),
      ['data: Forbidden: field is immutable when `immutable` is set'],
    ],
    [
      'a TLS secret without a key',
      createProblems('Secret', { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }),
      ['data[tls.key]: Required value'],
    ],
    [
      'a rule without verbs',
      createProblems('Role', { rules: [{ apiGroups: [''], resources: ['pods'] }] }),
      ['rules[0].verbs: Required value: verbs must contain at least one value'],
    ],
    [
      'another role of a binding',
      updateProblems('RoleBinding', { roleRef: { kind: 'Role', name: 'b' } }, { roleRef: { kind: 'Role', name: 'a' } }),
      ['roleRef: Invalid value: {"kind":"Role","name":"b","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef'],
    ],
    [
      'an access review of nothing',
      createProblems('SelfSubjectAccessReview', {}),
      ['spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified'],
    ],
    [
      'an autoscaler with its limits swapped',
      createProblems('HorizontalPodAutoscaler', {
        spec: { minReplicas: 5, maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'd' } },
      }),
      ['spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`'],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

import { expect, test } from 'vitest';
import { created, defaulted, kindNamed } from './testing.ts';

const container = { name: 'c', image: 'nginx' };
const fullContainer = {
  name: 'c',
  image: 'nginx',
  imagePullPolicy: 'Always',
  resources: {},
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
};
const fullPodSpec = {
  containers: [fullContainer],
  dnsPolicy: 'ClusterFirst',
  restartPolicy: 'Always',
  schedulerName: 'default-scheduler',
  securityContext: {},
  terminationGracePeriodSeconds: 30,
};
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } };
const fullTemplate = { metadata: { labels: { a: 'b' } }, spec: fullPodSpec };

test.each<[string, string, unknown, unknown]>([
  ['Pod', 'spec', { containers: [container] }, { ...fullPodSpec, enableServiceLinks: true }],
  [
    'Pod',
    'requests from limits',
    { containers: [{ ...container, image: 'a/b:1', resources: { limits: { cpu: 1, memory: '1Gi' }, requests: { cpu: '100m' } } }] },
    {
      ...fullPodSpec,
      enableServiceLinks: true,
      containers: [
        {
          ...fullContainer,
          image: 'a/b:1',
          imagePullPolicy: 'IfNotPresent',
          resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '100m', memory: '1Gi' } },
        },
      ],
    },
  ],
  [
    'Pod',
    'probes, ports of the host network, service account',
    {
      hostNetwork: true,
      serviceAccount: 'sa',
      containers: [
        { ...container, ports: [{ containerPort: 80 }], livenessProbe: { httpGet: { port: 80 } }, readinessProbe: { grpc: { port: 1 } } },
      ],
    },
    {
      ...fullPodSpec,
      enableServiceLinks: true,
      hostNetwork: true,
      serviceAccount: 'sa',
      serviceAccountName: 'sa',
      containers: [
        {
          ...fullContainer,
          ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
          livenessProbe: {
            httpGet: { path: '/', port: 80, scheme: 'HTTP' },
            failureThreshold: 3,
            periodSeconds: 10,
            successThreshold: 1,
            timeoutSeconds: 1,
          },
          readinessProbe: {
            grpc: { port: 1, service: '' },
            failureThreshold: 3,
            periodSeconds: 10,
            successThreshold: 1,
            timeoutSeconds: 1,
          },
        },
      ],
    },
  ],
  [
    'Pod',
    'volumes',
    {
      containers: [],
      volumes: [
        { name: 'a' },
        { name: 'b', secret: { secretName: 'x' } },
        { name: 'c', hostPath: { path: '/x' } },
        {
          name: 'd',
          projected: {
            sources: [
              { serviceAccountToken: { path: 't' } },
              { downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'metadata.name' } }] } },
            ],
          },
        },
      ],
    },
    {
      ...fullPodSpec,
      enableServiceLinks: true,
      containers: [],
      volumes: [
        { name: 'a', emptyDir: {} },
        { name: 'b', secret: { secretName: 'x', defaultMode: 420 } },
        { name: 'c', hostPath: { path: '/x', type: '' } },
        {
          name: 'd',
          projected: {
            defaultMode: 420,
            sources: [
              { serviceAccountToken: { path: 't', expirationSeconds: 3600 } },
              { downwardAPI: { items: [{ path: 'p', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } }] } },
            ],
          },
        },
      ],
    },
  ],
  [
    'Deployment',
    'spec',
    { selector: { matchLabels: { a: 'b' } }, template },
    {
      progressDeadlineSeconds: 600,
      replicas: 1,
      revisionHistoryLimit: 10,
      selector: { matchLabels: { a: 'b' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      template: fullTemplate,
    },
  ],
  [
    'DaemonSet',
    'spec',
    { template },
    {
      revisionHistoryLimit: 10,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
      template: fullTemplate,
    },
  ],
  [
    'StatefulSet',
    'spec',
    { serviceName: 's', template, volumeClaimTemplates: [{ metadata: { name: 'v' }, spec: { accessModes: ['ReadWriteOnce'] } }] },
    {
      podManagementPolicy: 'OrderedReady',
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      replicas: 1,
      revisionHistoryLimit: 10,
      serviceName: 's',
      template: fullTemplate,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      volumeClaimTemplates: [
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'v' },
          spec: { accessModes: ['ReadWriteOnce'], resources: {}, volumeMode: 'Filesystem' },
          status: { phase: 'Pending' },
        },
      ],
    },
  ],
  [
    'Service',
    'spec',
    { ports: [{ port: 80 }], selector: { a: 'b' } },
    {
      internalTrafficPolicy: 'Cluster',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      selector: { a: 'b' },
      sessionAffinity: 'None',
      type: 'ClusterIP',
    },
  ],
  ['HorizontalPodAutoscaler', 'spec', { maxReplicas: 3 }, { maxReplicas: 3, minReplicas: 1, scaleTargetRef: { kind: '', name: '' } }],
  ['NetworkPolicy', 'spec', { podSelector: {}, egress: [{}] }, { egress: [{}], podSelector: {}, policyTypes: ['Ingress', 'Egress'] }],
])('%s: defaults of %s', (kind, _what, spec, expected) => {
  expect(defaulted(kindNamed(kind), { spec })['spec']).toEqual(expected);
});

test('a Job selects its pods by its uid', () => {
  const job = created(kindNamed('Job'), {
    metadata: { name: 'j', uid: 'u-1' },
    spec: { template: { spec: { containers: [], restartPolicy: 'Never' } } },
  });
  expect(job['spec']).toMatchObject({
    backoffLimit: 6,
    completionMode: 'NonIndexed',
    completions: 1,
    manualSelector: false,
    parallelism: 1,
    podReplacementPolicy: 'TerminatingOrFailed',
    selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u-1' } },
    suspend: false,
    template: {
      metadata: {
        labels: {
          'batch.kubernetes.io/controller-uid': 'u-1',
          'batch.kubernetes.io/job-name': 'j',
          'controller-uid': 'u-1',
          'job-name': 'j',
        },
      },
    },
  });
});

test('creation sets the status that upstream sets', () => {
  const pod = { spec: { containers: [container], schedulingGates: [{ name: 'g' }] }, status: { phase: 'Running' } };
  expect(created(kindNamed('Pod'), pod)['status']).toMatchObject({
    phase: 'Pending',
    qosClass: 'BestEffort',
    conditions: [{ reason: 'SchedulingGated' }],
  });
  expect(created(kindNamed('Namespace'), { metadata: { name: 'n' } })).toMatchObject({
    metadata: { labels: { 'kubernetes.io/metadata.name': 'n' } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
  expect(created(kindNamed('Deployment'), { status: { replicas: 3 } })['status']).toEqual({});
  expect(created(kindNamed('ReplicaSet'), { status: { readyReplicas: 3 } })['status']).toEqual({ replicas: 0 });
  expect(created(kindNamed('Node'), { status: { phase: 'Running' } })['status']).toMatchObject({ phase: 'Running' });
});

test('stringData of a Secret goes into data', () => {
  expect(defaulted(kindNamed('Secret'), { data: { a: 'eA==' }, stringData: { b: 'y' } })).toMatchObject({
    type: 'Opaque',
    data: { a: 'eA==', b: 'eQ==' },
  });
});

test('an autoscaler converts between its versions without loss', () => {
  const v1 = kindNamed('HorizontalPodAutoscaler', 'autoscaling', 'v1');
  const stored = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h', annotations: { x: 'y' } },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'd' },
      maxReplicas: 3,
      metrics: [
        { type: 'Pods', pods: { metric: { name: 'm' }, target: { type: 'AverageValue', averageValue: '1' } } },
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 5 } },
    },
    status: { desiredReplicas: 1, currentReplicas: 1 },
  };
  const older = v1.convert?.fromStored(structuredClone(stored));
  expect(older).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 50, maxReplicas: 3 } });
  expect(older && v1.convert?.toStored(older)).toEqual(stored);
});

test('label keys of affinity and spreading become part of the selectors when the pod is created', () => {
  const term = { labelSelector: { matchLabels: { app: 'a' } }, topologyKey: 'kubernetes.io/hostname' };
  const pod = created(kindNamed('Pod'), {
    metadata: { labels: { app: 'a', hash: '1' } },
    spec: {
      containers: [container],
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ ...term, mismatchLabelKeys: ['hash'] }] } },
      topologySpreadConstraints: [{ ...term, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', matchLabelKeys: ['hash', 'none'] }],
    },
  });
  expect(pod['spec']).toMatchObject({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchExpressions: [{ key: 'hash', operator: 'NotIn', values: ['1'] }] } },
        ],
      },
    },
    topologySpreadConstraints: [{ labelSelector: { matchExpressions: [{ key: 'hash', operator: 'In', values: ['1'] }] } }],
  });
});

test('fields whose zero upstream writes are there from the beginning', () => {
  const pdb = { kind: 'PodDisruptionBudget', apiVersion: 'policy/v1', metadata: { name: 'a' }, spec: { minAvailable: 1 } };
  const zeros = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
  expect(created(kindNamed('PodDisruptionBudget'), pdb)['status']).toEqual(zeros);
  const set = { kind: 'StatefulSet', apiVersion: 'apps/v1', metadata: { name: 'a' }, spec: { selector: {}, template } };
  expect(created(kindNamed('StatefulSet'), set)['status']).toEqual({ replicas: 0, availableReplicas: 0 });
  const event = { kind: 'Event', apiVersion: 'v1', metadata: { name: 'a' }, involvedObject: {} };
  expect(created(kindNamed('Event', ''), event)).toMatchObject({ reportingComponent: '', reportingInstance: '' });
});

/** Priority levels and flow schemas that every cluster has: k8s.io/apiserver pkg/apis/flowcontrol/bootstrap. */
import type { FlowSchema, FlowSchemaSpec, PriorityLevelConfiguration } from '#kube/generated/flowcontrol-v1.ts';

type Rules = NonNullable<FlowSchemaSpec['rules']>[number];
type SubjectOf = Rules['subjects'][number];

const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';
const annotations = { 'apf.kubernetes.io/autoupdate-spec': 'true' };

interface Queues {
  readonly queues: number;
  readonly handSize: number;
}

function limited(name: string, shares: number, lendablePercent: number, queues?: Queues): PriorityLevelConfiguration {
  return {
    kind: 'PriorityLevelConfiguration',
    apiVersion,
    metadata: { name, annotations },
    spec: {
      type: 'Limited',
      limited: {
        nominalConcurrencyShares: shares,
        lendablePercent,
        limitResponse: queues === undefined ? { type: 'Reject' } : { type: 'Queue', queuing: { ...queues, queueLengthLimit: 50 } },
      },
    },
  };
}

const exempt: PriorityLevelConfiguration = {
  kind: 'PriorityLevelConfiguration',
  apiVersion,
  metadata: { name: 'exempt', annotations },
  spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
};

export const priorityLevels: readonly PriorityLevelConfiguration[] = [
  exempt,
  limited('catch-all', 5, 0),
  limited('system', 30, 33, { queues: 64, handSize: 6 }),
  limited('node-high', 40, 25, { queues: 64, handSize: 6 }),
  limited('leader-election', 10, 0, { queues: 16, handSize: 4 }),
  limited('workload-high', 40, 50, { queues: 128, handSize: 6 }),
  limited('workload-low', 100, 90, { queues: 128, handSize: 6 }),
  limited('global-default', 20, 50, { queues: 128, handSize: 6 }),
];

const group = (name: string): SubjectOf => ({ kind: 'Group', group: { name } });
const user = (name: string): SubjectOf => ({ kind: 'User', user: { name } });
const account = (name: string): SubjectOf => ({ kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name } });

const resources = (verbs: string[], groups: string[], names: string[], namespaces: string[] | undefined, clusterScope: boolean) => ({
  verbs,
  apiGroups: groups,
  resources: names,
  ...(namespaces === undefined ? {} : { namespaces }),
  ...(clusterScope ? { clusterScope } : {}),
});

const everything = {
  resourceRules: [resources(['*'], ['*'], ['*'], ['*'], true)],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const leases = { resourceRules: [resources(['get', 'create', 'update'], ['coordination.k8s.io'], ['leases'], ['*'], false)] };

function schema(
  name: string,
  precedence: number,
  level: string,
  by: 'ByUser' | 'ByNamespace' | undefined,
  rules: readonly Rules[],
): FlowSchema {
  return {
    kind: 'FlowSchema',
    apiVersion,
    metadata: { name, annotations },
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence: precedence,
      ...(by === undefined ? {} : { distinguisherMethod: { type: by } }),
      rules,
    },
  };
}

const anyone = [group('system:unauthenticated'), group('system:authenticated')];

export const flowSchemas: readonly FlowSchema[] = [
  schema('exempt', 1, 'exempt', undefined, [{ subjects: [group('system:masters')], ...everything }]),
  schema('probes', 2, 'exempt', undefined, [
    { subjects: anyone, nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }] },
  ]),
  schema('system-leader-election', 100, 'leader-election', 'ByUser', [
    { subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler'), account('*')], ...leases },
  ]),
  schema('endpoint-controller', 150, 'workload-high', 'ByUser', [
    {
      subjects: [user('system:kube-controller-manager'), account('endpoint-controller'), account('endpointslicemirroring-controller')],
      resourceRules: [resources(['get', 'create', 'update'], [''], ['endpoints'], ['*'], false)],
    },
  ]),
  schema('workload-leader-election', 200, 'leader-election', 'ByUser', [{ subjects: [account('*')], ...leases }]),
  schema('system-node-high', 400, 'node-high', 'ByUser', [
    {
      subjects: [group('system:nodes')],
      resourceRules: [
        resources(['*'], [''], ['nodes', 'nodes/status'], ['*'], true),
        resources(['*'], ['coordination.k8s.io'], ['leases'], ['*'], false),
      ],
    },
  ]),
  schema('system-nodes', 500, 'system', 'ByUser', [{ subjects: [group('system:nodes')], ...everything }]),
  schema('kube-controller-manager', 800, 'workload-high', 'ByNamespace', [
    { subjects: [user('system:kube-controller-manager')], ...everything },
  ]),
  schema('kube-scheduler', 800, 'workload-high', 'ByNamespace', [{ subjects: [user('system:kube-scheduler')], ...everything }]),
  schema('kube-system-service-accounts', 900, 'workload-high', 'ByNamespace', [{ subjects: [account('*')], ...everything }]),
  schema('service-accounts', 9000, 'workload-low', 'ByUser', [{ subjects: [group('system:serviceaccounts')], ...everything }]),
  schema('global-default', 9900, 'global-default', 'ByUser', [{ subjects: anyone, ...everything }]),
  schema('catch-all', 10000, 'catch-all', 'ByUser', [{ subjects: anyone, ...everything }]),
];

/** Status updates of workloads: Validate…StatusUpdate of pkg/apis/apps/validation, and that of replication controllers. */
import type { FieldError } from '#kube/status-error.ts';
import { type CountRules, notDecremented, statusCounts } from '#kube/validation/counts.ts';

const total = 'status.replicas';

const deploymentRules: CountRules = {
  counts: [
    ...['observedGeneration', 'replicas', 'updatedReplicas', 'readyReplicas', 'availableReplicas', 'unavailableReplicas'],
    ...['terminatingReplicas', 'collisionCount'],
  ],
  within: [
    ['updatedReplicas', 'replicas', total],
    ['readyReplicas', 'replicas', total],
    ['availableReplicas', 'replicas', total],
    ['availableReplicas', 'readyReplicas', 'readyReplicas'],
  ],
};

const replicaSetRules: CountRules = {
  counts: ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'terminatingReplicas', 'observedGeneration'],
  within: [
    ['fullyLabeledReplicas', 'replicas', total],
    ['readyReplicas', 'replicas', total],
    ['availableReplicas', 'replicas', total],
    ['availableReplicas', 'readyReplicas', 'readyReplicas'],
  ],
};

const statefulSetRules: CountRules = {
  counts: [
    ...['replicas', 'readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'],
    ...['observedGeneration', 'collisionCount'],
  ],
  within: [
    ['readyReplicas', 'replicas', total],
    ['currentReplicas', 'replicas', total],
    ['updatedReplicas', 'replicas', total],
    ['availableReplicas', 'replicas', total],
    ['availableReplicas', 'readyReplicas', 'status.readyReplicas'],
  ],
};

const daemonSetRules: CountRules = {
  counts: [
    ...['currentNumberScheduled', 'numberMisscheduled', 'desiredNumberScheduled', 'numberReady', 'observedGeneration'],
    ...['updatedNumberScheduled', 'numberAvailable', 'numberUnavailable', 'collisionCount'],
  ],
  within: [],
};

interface Workload {
  readonly status?: { readonly collisionCount?: number };
}

const statusRules =
  (rules: CountRules) =>
  (object: Workload, old: Workload): FieldError[] => [
    ...statusCounts(object.status, rules),
    ...notDecremented('status.collisionCount', object.status?.collisionCount, old.status?.collisionCount),
  ];

export const deploymentStatus = statusRules(deploymentRules);
/** ReplicaSets and ReplicationControllers. */
export const replicaSetStatus = ({ status }: { readonly status?: object }): FieldError[] => statusCounts(status, replicaSetRules);
export const statefulSetStatus = statusRules(statefulSetRules);
export const daemonSetStatus = statusRules(daemonSetRules);

import type { Pod } from '#kube/generated/core-v1.ts';
import { pods } from '#kube/refs.ts';
import { defineKind, type Mutable } from '../define.ts';
import { mergeLabelKeys } from './match-label-keys.ts';
import { podOnlyDefaults, podSpecDefaults } from './pod-defaults.ts';
import { podQosClass } from './pod-qos.ts';
import { podTable } from './pod-table.ts';
import { podCreate } from './pod-validation/pod.ts';
import { podEphemeralContainers, podResize } from './pod-validation/pod-parts.ts';
import { podStatusUpdate } from './pod-validation/pod-status.ts';
import { podUpdate } from './pod-validation/pod-update.ts';
import { inPodHostname, nameWarnings, podWarnings } from './pod-warnings.ts';

/** The list of addresses and its first entry say the same; where they differ the single field counts. */
function syncAddresses(pod: Mutable<Pod>): void {
  const { status } = pod;
  if (status === undefined) return;
  if (status.podIP !== undefined && status.podIP !== status.podIPs?.[0]?.ip) status.podIPs = [{ ip: status.podIP }];
  if (status.podIP === undefined && status.podIPs?.[0] !== undefined) status.podIP = status.podIPs[0].ip;
  if (status.hostIP !== undefined && status.hostIPs !== undefined && status.hostIP !== status.hostIPs[0]?.ip)
    status.hostIPs = [{ ip: status.hostIP }];
}

/** Grace of a deletion: none for pods that run nowhere, the pod's own where the request gives none. */
function gracefulDeletion(pod: Pod, requestedSeconds: number | undefined): number {
  const seconds = requestedSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 0;
  const phase = pod.status?.phase;
  if ((pod.spec?.nodeName ?? '') === '' || phase === 'Failed' || phase === 'Succeeded') return 0;
  return seconds < 0 ? 1 : seconds;
}

export const podKind = defineKind(pods, {
  warnings: (object, old) => (old === undefined ? [...nameWarnings(object, inPodHostname), ...podWarnings('', object)] : []),
  returnsDeleted: true,
  validate: podCreate,
  validateUpdate: podUpdate,
  validateStatusUpdate: podStatusUpdate,
  validateParts: { ephemeralcontainers: podEphemeralContainers, resize: podResize },
  hasStatus: true,
  generation: 'spec',
  subresources: ['attach', 'binding', 'ephemeralcontainers', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'resize'],
  defaults: (pod) => {
    if (pod.spec !== undefined) {
      podSpecDefaults(pod.spec);
      podOnlyDefaults(pod.spec);
    }
    syncAddresses(pod);
  },
  prepareForCreate: (pod) => {
    if (pod.spec === undefined) return;
    mergeLabelKeys(pod);
    pod.status = { phase: 'Pending', qosClass: podQosClass(pod.spec) };
    if ((pod.spec.schedulingGates ?? []).length > 0) {
      const message = 'Scheduling is blocked due to non-empty scheduling gates';
      pod.status.conditions = [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message }];
    }
  },
  statusKeepsMetadata: ['ownerReferences'],
  prepareForStatusUpdate: (pod, old) => {
    if (pod.status !== undefined && old.status?.qosClass !== undefined) pod.status.qosClass = old.status.qosClass;
  },
  gracefulDeletion,
  selectableFields: {
    'spec.nodeName': (pod) => pod.spec?.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec?.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec?.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => String(pod.spec?.hostNetwork ?? false),
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? '',
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
  table: podTable,
});

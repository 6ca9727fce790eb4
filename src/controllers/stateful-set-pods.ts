/** The identity of a StatefulSet's pods: k8s.io/kubernetes pkg/controller/statefulset/stateful_set_utils.go. */
import type { StatefulSet } from '#kube/generated/apps-v1.ts';
import type { PersistentVolumeClaim, Pod, PodTemplateSpec, Volume } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { statefulSets } from '#kube/refs.ts';
import { controllerRef } from './ownership.ts';
import { podFrom } from './pod-control.ts';
import { isReady, type StoredPod } from './pods.ts';
import { revisionHashLabel, type StoredRevision, templateOf } from './revisions.ts';

export type StoredStatefulSet = Stored<StatefulSet>;

export const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

export const startOrdinal = (set: StoredStatefulSet): number => set.spec?.ordinals?.start ?? 0;
export const replicasOf = (set: StoredStatefulSet): number => set.spec?.replicas ?? 1;
export const podNameOf = (set: StoredStatefulSet, ordinal: number): string => `${set.metadata.name}-${ordinal}`;

/** The ordinal in a pod's name, or undefined for a pod that is not named after the set. */
export function ordinalOf(set: StoredStatefulSet, pod: StoredPod): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const rest = pod.metadata.name.startsWith(prefix) ? pod.metadata.name.slice(prefix.length) : '';
  return /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : undefined;
}

export const revisionNameOf = (pod: StoredPod): string => pod.metadata.labels?.[revisionHashLabel] ?? '';
export const isRunningAndReady = (pod: StoredPod): boolean => pod.status?.phase === 'Running' && isReady(pod);
export const isEnded = (pod: StoredPod): boolean => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
export const isTerminating = (pod: StoredPod): boolean => pod.metadata.deletionTimestamp !== undefined;
export const isHealthy = (pod: StoredPod): boolean => isRunningAndReady(pod) && !isTerminating(pod);

export const claimName = (set: StoredStatefulSet, template: PersistentVolumeClaim, ordinal: number): string =>
  `${template.metadata.name}-${set.metadata.name}-${ordinal}`;

/** The claims of one ordinal. They outlive the pod, and by default the set. */
export function claimsFor(set: StoredStatefulSet, ordinal: number): readonly PersistentVolumeClaim[] {
  return (set.spec?.volumeClaimTemplates ?? []).map((template) => ({
    ...template,
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      ...template.metadata,
      name: claimName(set, template, ordinal),
      namespace: set.metadata.namespace ?? '',
      labels: { ...template.metadata.labels, ...set.spec?.selector.matchLabels },
    },
  }));
}

function volumesFor(set: StoredStatefulSet, template: PodTemplateSpec, ordinal: number): readonly Volume[] {
  const claimed = (set.spec?.volumeClaimTemplates ?? []).map(
    (t): Volume => ({
      name: t.metadata.name ?? '',
      persistentVolumeClaim: { claimName: claimName(set, t, ordinal), readOnly: false },
    }),
  );
  const own = (template.spec?.volumes ?? []).filter((v) => !claimed.some((c) => c.name === v.name));
  return [...claimed, ...own];
}

/** The pod of one ordinal in the template of a revision. */
export function podFor(set: StoredStatefulSet, revision: StoredRevision, ordinal: number): Pod {
  const template = templateOf(revision);
  const name = podNameOf(set, ordinal);
  const pod = podFrom({ owner: set, ref: controllerRef(statefulSets, set), template, name });
  const volumes = volumesFor(set, template, ordinal);
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        [podNameLabel]: name,
        [podIndexLabel]: String(ordinal),
        [revisionHashLabel]: revision.metadata.name,
      },
    },
    spec: {
      ...(pod.spec ?? { containers: [] }),
      hostname: name,
      ...(set.spec?.serviceName === undefined ? {} : { subdomain: set.spec.serviceName }),
      ...(volumes.length === 0 ? {} : { volumes }),
    },
  };
}

/** True when the pod is named, labelled and given its claims as its ordinal wants. */
export function identityMatches(set: StoredStatefulSet, pod: StoredPod): boolean {
  const ordinal = ordinalOf(set, pod);
  return (
    ordinal !== undefined &&
    pod.metadata.labels?.[podNameLabel] === pod.metadata.name &&
    pod.metadata.labels[podIndexLabel] === String(ordinal)
  );
}

export const identityLabels = (set: StoredStatefulSet, pod: StoredPod): Readonly<Record<string, string>> => ({
  [podNameLabel]: pod.metadata.name,
  [podIndexLabel]: String(ordinalOf(set, pod) ?? ''),
});

/** Which nodes a DaemonSet's pods belong on: k8s.io/kubernetes pkg/controller/daemon NodeShouldRunDaemonPod and util/daemonset_util.go. */
import type { DaemonSet } from '#kube/generated/apps-v1.ts';
import type { Node, NodeSelectorTerm, PodSpec, PodTemplateSpec, Toleration } from '#kube/generated/core-v1.ts';
import { compileNodeSelector } from '#kube/node-selector.ts';
import type { Stored } from '#kube/object.ts';
import { untolerated } from '#kube/taints.ts';
import type { StoredPod } from './pods.ts';
import { revisionHashLabel } from './revisions.ts';

export type StoredDaemonSet = Stored<DaemonSet>;
export type StoredNode = Stored<Node>;

export interface NodeVerdict {
  /** A pod is to run here. */
  readonly shouldRun: boolean;
  /** A pod that is here may stay. */
  readonly mayStay: boolean;
}

const everywhere: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];
const hostNetworkOnly: Toleration = { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' };

function tolerationsFor(spec: PodSpec): readonly Toleration[] {
  const own = spec.tolerations ?? [];
  const added = spec.hostNetwork === true ? [...everywhere, hostNetworkOnly] : everywhere;
  const isThere = (t: Toleration): boolean => own.some((o) => o.key === t.key && o.operator === t.operator && o.effect === t.effect);
  return [...own, ...added.filter((t) => !isThere(t))];
}

export function verdictFor(ds: StoredDaemonSet, node: StoredNode): NodeVerdict {
  const never = { shouldRun: false, mayStay: false };
  const spec = ds.spec?.template.spec;
  if (spec === undefined) return never;
  const { name, labels = {} } = node.metadata;
  if ((spec.nodeName ?? '') !== '' && spec.nodeName !== name) return never;
  if (!Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return never;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required !== undefined && !compileNodeSelector(required)({ name, labels })) return never;
  const taints = node.spec?.taints ?? [];
  const tolerations = tolerationsFor(spec);
  if (untolerated(taints, tolerations, ['NoSchedule', 'NoExecute']) === undefined) return { shouldRun: true, mayStay: true };
  return { shouldRun: false, mayStay: untolerated(taints, tolerations, ['NoExecute']) === undefined };
}

/** The node that a pod is on or, not scheduled yet, meant for. */
export function nodeOf(pod: StoredPod): string | undefined {
  const bound = pod.spec?.nodeName ?? '';
  if (bound !== '') return bound;
  const terms = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const term of terms)
    for (const field of term.matchFields ?? [])
      if (field.key === 'metadata.name' && field.operator === 'In' && field.values?.length === 1) return field.values[0];
  return undefined;
}

/** The pod template for one node: pinned to it by affinity, so that the scheduler binds it, and tolerating what nodes go through. */
export function templateFor(ds: StoredDaemonSet, node: string, hash: string): PodTemplateSpec {
  const template: PodTemplateSpec = ds.spec?.template ?? {};
  const spec: PodSpec = template.spec ?? { containers: [] };
  const pin: NodeSelectorTerm['matchFields'] = [{ key: 'metadata.name', operator: 'In', values: [node] }];
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const nodeSelectorTerms =
    required === undefined ? [{ matchFields: pin }] : required.nodeSelectorTerms.map((term) => ({ ...term, matchFields: pin }));
  const generation = ds.metadata.annotations?.['deprecated.daemonset.template.generation'];
  return {
    metadata: {
      ...template.metadata,
      labels: {
        ...template.metadata?.labels,
        ...(generation === undefined ? {} : { 'pod-template-generation': generation }),
        [revisionHashLabel]: hash,
      },
    },
    spec: {
      ...spec,
      tolerations: tolerationsFor(spec),
      affinity: {
        ...spec.affinity,
        nodeAffinity: { ...spec.affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
      },
    },
  };
}

/** Pure parts of the Job controller: k8s.io/kubernetes pkg/controller/job indexed_job_utils.go, pod_failure_policy.go, backoff_utils.go. */
import type { Job, JobCondition, PodFailurePolicyRule } from '#kube/generated/batch-v1.ts';
import type { ContainerStatus, PodTemplateSpec } from '#kube/generated/core-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import type { StoredPod } from './pods.ts';
import { isoTime, msOf } from './times.ts';

export type StoredJob = Stored<Job>;

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';
const failureCountAnnotation = 'batch.kubernetes.io/job-index-failure-count';

export const isIndexed = (job: StoredJob): boolean => job.spec?.completionMode === 'Indexed';
export const isSuspended = (job: StoredJob): boolean => job.spec?.suspend === true;
export const isFinished = (job: StoredJob): boolean =>
  job.status?.conditions?.some((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True') === true;
export const hasFinalizer = (pod: StoredPod): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) === true;

/** Pods that are being deleted are replaced only once they have ended. */
export const replacesOnlyFailed = (job: StoredJob): boolean =>
  job.spec?.podReplacementPolicy === 'Failed' || job.spec?.podFailurePolicy !== undefined;

export function hasFailed(job: StoredJob, pod: StoredPod): boolean {
  if (pod.status?.phase === 'Failed') return true;
  return !replacesOnlyFailed(job) && pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== 'Succeeded';
}

/** The completion index of a pod, if it has one that the job asks for. */
export function indexOf(job: StoredJob, pod: StoredPod): number | undefined {
  const text = pod.metadata.annotations?.[indexAnnotation] ?? '';
  if (!/^\d+$/.test(text)) return undefined;
  const index = Number(text);
  return index < (job.spec?.completions ?? 0) ? index : undefined;
}

/** Reads "0-2,4": indexes of completedIndexes, below a limit. */
export function parseIndexes(text: string | undefined, limit: number): Set<number> {
  const out = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) continue;
    const last = Math.min(Number(match[2] ?? match[1]), limit - 1);
    for (let i = Number(match[1]); i <= last; i++) out.add(i);
  }
  return out;
}

/** The inverse: two neighbours as "1,2", more as "1-3". */
export function formatIndexes(indexes: ReadonlySet<number>): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (end + 1 < sorted.length && sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    const [first, last] = [sorted[i], sorted[end]];
    parts.push(end === i ? `${first}` : end === i + 1 ? `${first},${last}` : `${first}-${last}`);
    i = end + 1;
  }
  return parts.join(',');
}

export const condition = (type: string, status: string, reason: string, message: string, nowMs: number): JobCondition => {
  const at = isoTime(nowMs);
  return { type, status, lastProbeTime: at, lastTransitionTime: at, reason, message };
};

/** When a pod ended, as far as it says. */
export function finishTime(pod: StoredPod, nowMs: number): number {
  const ends = (pod.status?.containerStatuses ?? []).map((c) => c.state?.terminated?.finishedAt).filter((t) => t !== undefined);
  if (ends.length > 0) return Math.max(...ends.map(msOf));
  const ready = pod.status?.conditions?.find((c) => c.type === 'Ready' && c.status === 'False')?.lastTransitionTime;
  return ready === undefined ? nowMs : msOf(ready);
}

/** What a job's policy says of a failed pod. `message` only for FailJob. */
export interface FailureVerdict {
  readonly action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';
  readonly message?: string;
}

const terminatedWith = (pod: StoredPod): readonly { readonly name: string; readonly code: number }[] => {
  const all: readonly ContainerStatus[] = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  return all.flatMap((c) => {
    const code = c.state?.terminated?.exitCode;
    return code === undefined || code === 0 ? [] : [{ name: c.name, code }];
  });
};

function matchRule(rule: PodFailurePolicyRule, pod: StoredPod, index: number): string | undefined {
  const { onExitCodes, onPodConditions } = rule;
  if (onExitCodes !== undefined) {
    const hit = terminatedWith(pod).find(
      (c) =>
        (onExitCodes.containerName === undefined || onExitCodes.containerName === c.name) &&
        onExitCodes.values.includes(c.code) === (onExitCodes.operator === 'In'),
    );
    return hit === undefined
      ? undefined
      : `Container ${hit.name} for pod ${objectKey(pod)} failed with exit code ${hit.code} matching ${rule.action} rule at index ${index}`;
  }
  const hit = onPodConditions?.find((p) => pod.status?.conditions?.some((c) => c.type === p.type && c.status === (p.status ?? 'True')));
  return hit === undefined ? undefined : `Pod ${objectKey(pod)} has condition ${hit.type} matching ${rule.action} rule at index ${index}`;
}

export function failureVerdict(job: StoredJob, pod: StoredPod): FailureVerdict {
  if (pod.status?.phase === 'Failed')
    for (const [i, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
      const message = matchRule(rule, pod, i);
      if (message === undefined) continue;
      const { action } = rule;
      if (action === 'FailJob') return { action, message };
      if (action === 'FailIndex' || action === 'Ignore' || action === 'Count') return { action };
    }
  return { action: 'Count' };
}

/** The rule of the success policy that is met, if any. */
export function successRule(job: StoredJob, succeeded: ReadonlySet<number>): number | undefined {
  const rules = job.spec?.successPolicy?.rules ?? [];
  const at = rules.findIndex((rule) => {
    const wanted = rule.succeededIndexes === undefined ? undefined : parseIndexes(rule.succeededIndexes, job.spec?.completions ?? 0);
    const matched = wanted === undefined ? succeeded.size : [...wanted].filter((i) => succeeded.has(i)).length;
    return rule.succeededCount === undefined ? wanted !== undefined && matched >= wanted.size : matched >= rule.succeededCount;
  });
  return at < 0 ? undefined : at;
}

const environment = 'JOB_COMPLETION_INDEX';
const fieldPath = `metadata.annotations['${indexAnnotation}']`;

/** The template for one index: known to the pod by annotation, label, environment and host name. */
export function indexedTemplate(job: StoredJob, index: number, failures: number | undefined): PodTemplateSpec {
  const template: PodTemplateSpec = job.spec?.template ?? {};
  const env = { name: environment, valueFrom: { fieldRef: { fieldPath } } };
  const withIndex = <C extends { readonly env?: readonly { readonly name: string }[] }>(containers: readonly C[]): readonly C[] =>
    containers.map((c) => ((c.env ?? []).some((e) => e.name === environment) ? c : { ...c, env: [...(c.env ?? []), env] }));
  const spec = template.spec ?? { containers: [] };
  return {
    metadata: {
      ...template.metadata,
      labels: { ...template.metadata?.labels, [indexAnnotation]: String(index) },
      annotations: {
        ...template.metadata?.annotations,
        [indexAnnotation]: String(index),
        ...(failures === undefined ? {} : { [failureCountAnnotation]: String(failures) }),
      },
    },
    spec: {
      ...spec,
      hostname: `${job.metadata.name}-${index}`,
      containers: withIndex(spec.containers),
      ...(spec.initContainers === undefined ? {} : { initContainers: withIndex(spec.initContainers) }),
    },
  };
}

/** The lowest indexes that are neither done nor being worked on. */
export function missingIndexes(job: StoredJob, taken: ReadonlySet<number>, count: number): readonly number[] {
  const out: number[] = [];
  for (let i = 0; i < (job.spec?.completions ?? 0) && out.length < count; i++) if (!taken.has(i)) out.push(i);
  return out;
}

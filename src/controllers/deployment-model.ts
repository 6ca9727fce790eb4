/** Pure parts of the Deployment controller: k8s.io/kubernetes pkg/controller/deployment/util. */
import { isDeepStrictEqual } from 'node:util';
import type { Deployment, ReplicaSet } from '#kube/generated/apps-v1.ts';
import type { PodTemplateSpec } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { scaledValue } from './int-or-string.ts';

export type StoredDeployment = Stored<Deployment>;
export type StoredReplicaSet = Stored<ReplicaSet>;

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';
export const hashLabel = 'pod-template-hash';

const notCopied: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.revision-to',
]);
const maxInt32 = 2 ** 31 - 1;
const maxHistoryChars = 2000;

export const replicasOf = (o: StoredDeployment | StoredReplicaSet): number => o.spec?.replicas ?? 1;
export const specTotal = (sets: readonly StoredReplicaSet[]): number => sets.reduce((sum, rs) => sum + replicasOf(rs), 0);
export const statusTotal = (
  sets: readonly StoredReplicaSet[],
  field: 'replicas' | 'readyReplicas' | 'availableReplicas' | 'terminatingReplicas',
): number => sets.reduce((sum, rs) => sum + (rs.status?.[field] ?? 0), 0);
export const activeSets = (sets: readonly StoredReplicaSet[]): readonly StoredReplicaSet[] => sets.filter((rs) => replicasOf(rs) > 0);

export const isRollingUpdate = (d: StoredDeployment): boolean => d.spec?.strategy?.type !== 'Recreate';
export const hasProgressDeadline = (d: StoredDeployment): boolean =>
  d.spec?.progressDeadlineSeconds !== undefined && d.spec.progressDeadlineSeconds !== maxInt32;
export const hasHistoryLimit = (d: StoredDeployment): boolean =>
  d.spec?.revisionHistoryLimit !== undefined && d.spec.revisionHistoryLimit !== maxInt32;

/** How far a rollout may go above and below spec.replicas; never both zero. */
export function fenceposts(d: StoredDeployment): { readonly maxSurge: number; readonly maxUnavailable: number } {
  if (!isRollingUpdate(d)) return { maxSurge: 0, maxUnavailable: 0 };
  const replicas = replicasOf(d);
  const rolling = d.spec?.strategy?.rollingUpdate;
  const maxSurge = scaledValue(rolling?.maxSurge, replicas, 'up');
  const unavailable = scaledValue(rolling?.maxUnavailable, replicas, 'down');
  const maxUnavailable = maxSurge === 0 && unavailable === 0 ? 1 : unavailable;
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) };
}

const byAge = (a: StoredReplicaSet, b: StoredReplicaSet): number =>
  a.metadata.creationTimestamp === b.metadata.creationTimestamp
    ? compareText(a.metadata.name, b.metadata.name)
    : compareText(a.metadata.creationTimestamp, b.metadata.creationTimestamp);
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const oldestFirst = (sets: readonly StoredReplicaSet[]): readonly StoredReplicaSet[] => [...sets].sort(byAge);

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  if (template?.metadata?.labels?.[hashLabel] === undefined) return template ?? {};
  const { [hashLabel]: _hash, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}

export const sameTemplate = (a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean =>
  isDeepStrictEqual(withoutHash(a), withoutHash(b));

/** The ReplicaSet of the current template (the oldest, if there are several). */
export const findNewReplicaSet = (d: StoredDeployment, sets: readonly StoredReplicaSet[]): StoredReplicaSet | undefined =>
  oldestFirst(sets).find((rs) => sameTemplate(rs.spec?.template, d.spec?.template));

export function revisionOf(object: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }): number {
  const text = object.metadata.annotations?.[revisionAnnotation] ?? '';
  return /^\d+$/.test(text) ? Number(text) : 0;
}

/** The annotations that make a ReplicaSet the one of `revision`, or undefined when it has them already. */
export function annotationsForNew(
  d: StoredDeployment,
  annotations: Readonly<Record<string, string>> | undefined,
  revision: number,
  exists: boolean,
): Readonly<Record<string, string>> | undefined {
  const next: Record<string, string> = { ...annotations };
  let changed = false;
  for (const [key, value] of Object.entries(d.metadata.annotations ?? {})) {
    if (notCopied.has(key) || next[key] === value) continue;
    next[key] = value;
    changed = true;
  }
  const before = next[revisionAnnotation];
  const beforeNumber = before !== undefined && /^\d+$/.test(before) ? Number(before) : 0;
  if (beforeNumber < revision) {
    next[revisionAnnotation] = String(revision);
    changed = true;
    if (before !== undefined) next[revisionHistoryAnnotation] = historyWith(next[revisionHistoryAnnotation], before);
  }
  if (!exists) {
    Object.assign(next, replicaAnnotations(d));
    changed = true;
  }
  return changed ? next : undefined;
}

function historyWith(history: string | undefined, revision: string): string {
  const all = history === undefined || history === '' ? [] : history.split(',');
  all.push(revision);
  while (all.length > 1 && all.join(',').length > maxHistoryChars) all.shift();
  return all.join(',');
}

export const replicaAnnotations = (d: StoredDeployment): Record<string, string> => ({
  [desiredReplicasAnnotation]: String(replicasOf(d)),
  [maxReplicasAnnotation]: String(replicasOf(d) + fenceposts(d).maxSurge),
});

export function desiredAnnotation(rs: StoredReplicaSet): number | undefined {
  const text = rs.metadata.annotations?.[desiredReplicasAnnotation];
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** How large the new ReplicaSet may be now. */
export function newReplicas(d: StoredDeployment, all: readonly StoredReplicaSet[], current: number): number {
  if (!isRollingUpdate(d)) return replicasOf(d);
  const maxTotal = replicasOf(d) + fenceposts(d).maxSurge;
  const total = specTotal(all);
  if (total >= maxTotal) return current;
  return current + Math.min(maxTotal - total, replicasOf(d) - current);
}

/** The set that is scaled when only one counts: the only active one, or with none active the newest. Undefined: several are active. */
export function activeOrLatest(newSet: StoredReplicaSet | undefined, old: readonly StoredReplicaSet[]): StoredReplicaSet | undefined {
  const all = newSet === undefined ? old : [...old, newSet];
  const active = activeSets(all);
  if (active.length === 1) return active[0];
  if (active.length > 1) return undefined;
  return newSet ?? oldestFirst(old).at(-1);
}

/** True when the new set is all there is to wait for. */
export const isSaturated = (d: StoredDeployment, rs: StoredReplicaSet | undefined): boolean =>
  rs !== undefined &&
  replicasOf(rs) === replicasOf(d) &&
  desiredAnnotation(rs) === replicasOf(d) &&
  (rs.status?.availableReplicas ?? 0) === replicasOf(d);

/** Sizes of the active sets after a change of spec.replicas in the middle of a rollout: in proportion to what they are. */
export function proportionalSizes(d: StoredDeployment, active: readonly StoredReplicaSet[]): ReadonlyMap<string, number> {
  const allowed = replicasOf(d) > 0 ? replicasOf(d) + fenceposts(d).maxSurge : 0;
  const toAdd = allowed - specTotal(active);
  const newerFirst = (a: StoredReplicaSet, b: StoredReplicaSet): number => (toAdd > 0 ? byAge(b, a) : byAge(a, b));
  const sorted = [...active].sort((a, b) => replicasOf(b) - replicasOf(a) || newerFirst(a, b));
  const sizes = new Map<string, number>();
  let added = 0;
  for (const rs of sorted) {
    const part = toAdd === 0 ? 0 : proportion(d, rs, toAdd, added);
    sizes.set(rs.metadata.name, Math.max(0, replicasOf(rs) + part));
    added += part;
  }
  const first = sorted[0]?.metadata.name;
  if (first !== undefined && toAdd !== 0) sizes.set(first, Math.max(0, (sizes.get(first) ?? 0) + toAdd - added));
  return sizes;
}

function proportion(d: StoredDeployment, rs: StoredReplicaSet, toAdd: number, added: number): number {
  if (replicasOf(rs) === 0 || toAdd === added) return 0;
  const fraction = fractionOf(d, rs);
  const left = toAdd - added;
  return toAdd > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
}

function fractionOf(d: StoredDeployment, rs: StoredReplicaSet): number {
  if (replicasOf(d) === 0) return -replicasOf(rs);
  const text = rs.metadata.annotations?.[maxReplicasAnnotation];
  const before = text !== undefined && /^\d+$/.test(text) ? Number(text) : (d.status?.replicas ?? 0);
  if (before === 0) return 0;
  const size = (replicasOf(rs) * (replicasOf(d) + fenceposts(d).maxSurge)) / before;
  return Math.round(size) - replicasOf(rs);
}

/** What updates of a pod may change: ValidatePodUpdate. */
import { isDeepStrictEqual } from 'node:util';
import type { Container, NodeSelectorTerm, Pod, PodSpec, Toleration } from '#kube/generated/core-v1.ts';
import { goDiff } from '#kube/go-diff.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { ownValue, rangeText } from '#kube/validation/values.ts';
import { podAnnotationUpdate } from './annotations.ts';
import { tolerations } from './placement.ts';
import { maxInt32, wholePod } from './pod.ts';

const mayChange = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

function images(field: string, list: readonly Container[] | undefined): FieldError[] {
  return (list ?? []).flatMap((container, i) => {
    const image = container.image ?? '';
    if (image === '') return [fieldRequired(`${field}[${i}].image`)];
    if (image !== image.trim()) return [fieldInvalid(`${field}[${i}].image`, image, 'must not have leading or trailing whitespace')];
    return [];
  });
}

function deadline(spec: PodSpec, before: PodSpec): FieldError[] {
  const field = 'spec.activeDeadlineSeconds';
  const [now, was] = [spec.activeDeadlineSeconds, before.activeDeadlineSeconds];
  if (now === undefined)
    return was === undefined ? [] : [fieldInvalid(field, undefined, 'must not update from a positive integer to nil value')];
  if (now < 0 || now > maxInt32) return [fieldInvalid(field, now, rangeText(0, maxInt32))];
  return was !== undefined && was < now ? [fieldInvalid(field, now, 'must be less than or equal to previous value')] : [];
}

const sameToleration = (a: Toleration, b: Toleration): boolean => {
  const { tolerationSeconds: _a, ...left } = a;
  const { tolerationSeconds: _b, ...right } = b;
  return isDeepStrictEqual(left, right);
};

function onlyMoreTolerations(spec: PodSpec, before: PodSpec): FieldError[] {
  const kept = (before.tolerations ?? []).every((t) => (spec.tolerations ?? []).some((n) => sameToleration(n, t)));
  if (!kept) return [fieldForbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
  return tolerations('spec.tolerations', spec.tolerations);
}

function onlyFewerGates(spec: PodSpec, before: PodSpec): FieldError[] {
  const old = new Set((before.schedulingGates ?? []).map((g) => g.name));
  return (spec.schedulingGates ?? []).flatMap((gate, i) =>
    old.has(gate.name)
      ? []
      : [fieldForbidden(`spec.schedulingGates[${i}].name`, `only deletion is allowed, but found new scheduling gate '${gate.name}'`)],
  );
}

/** The nodes of a pod that waits at a gate may become fewer, not others. */
function addedSelectors(spec: PodSpec, before: PodSpec): FieldError[] {
  const kept = Object.entries(before.nodeSelector ?? {}).every(([key, value]) => ownValue(spec.nodeSelector, key) === value);
  const rule = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)';
  return kept ? [] : [fieldInvalid('spec.nodeSelector', spec.nodeSelector ?? null, rule)];
}

const startsWith = (list: readonly unknown[] = [], start: readonly unknown[] = []): boolean =>
  isDeepStrictEqual(list.slice(0, start.length), start);

/** True where a term only demands more than before; one that demands nothing matches nothing, and stays so. */
function narrows(term: NodeSelectorTerm, before: NodeSelectorTerm): boolean {
  const size = (t: NodeSelectorTerm): number => (t.matchExpressions?.length ?? 0) + (t.matchFields?.length ?? 0);
  if (size(before) === 0) return size(term) === 0;
  return startsWith(term.matchExpressions, before.matchExpressions) && startsWith(term.matchFields, before.matchFields);
}

function narrowedAffinity(spec: PodSpec, before: PodSpec): FieldError[] {
  const terms = (s: PodSpec): readonly NodeSelectorTerm[] =>
    s.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const [now, was] = [terms(spec), terms(before)];
  const field = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
  if (was.length === 0) return [];
  if (now.length !== was.length)
    return [fieldInvalid(field, now, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed')];
  return now.flatMap((term, i) =>
    narrows(term, was[i] ?? {}) ? [] : [fieldInvalid(`${field}[${i}]`, term, 'only additions are allowed (no mutations or deletions)')],
  );
}

const imagesOf = (list: readonly Container[] | undefined, before: readonly Container[] | undefined): Container[] | undefined =>
  list?.map((container, i) => withParts(container, { image: before?.[i]?.image }));

/** The object with other parts; undefined takes a part away. */
function withParts<T extends object>(object: T, parts: { [K in keyof T]?: T[K] | undefined }): T {
  const all = { ...object } as Record<string, unknown>;
  for (const [key, value] of Object.entries(parts)) {
    if (value === undefined) delete all[key];
    else all[key] = value;
  }
  return all as T;
}

/** The new spec with everything that updates may change as it was. */
function otherwiseOld(spec: PodSpec, before: PodSpec): PodSpec {
  const shortened = (before.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1;
  const same = withParts(spec, {
    containers: imagesOf(spec.containers, before.containers),
    initContainers: imagesOf(spec.initContainers, before.initContainers),
    activeDeadlineSeconds: before.activeDeadlineSeconds,
    schedulingGates: before.schedulingGates,
    tolerations: before.tolerations,
    ...(shortened ? { terminationGracePeriodSeconds: before.terminationGracePeriodSeconds } : {}),
  });
  if ((before.schedulingGates ?? []).length === 0) return same;
  const affinity = withParts(spec.affinity ?? {}, { nodeAffinity: before.affinity?.nodeAffinity });
  const none = Object.keys(affinity).length === 0;
  return withParts(same, { nodeSelector: before.nodeSelector, affinity: none ? before.affinity : affinity });
}

/** An update of the main resource. */
export function podUpdate(pod: Pod, old: Pod): FieldError[] {
  const spec = pod.spec ?? { containers: [] };
  const before = old.spec ?? { containers: [] };
  const errors = [...wholePod(pod), ...podAnnotationUpdate('metadata.annotations', pod.metadata ?? {}, old.metadata ?? {}, spec)];
  for (const part of ['containers', 'initContainers'] as const) {
    if ((spec[part]?.length ?? 0) !== (before[part]?.length ?? 0))
      return [...errors, fieldForbidden(`spec.${part}`, 'pod updates may not add or remove containers')];
    errors.push(...images(`spec.${part}`, spec[part]));
  }
  const late = deadline(spec, before);
  errors.push(...late);
  if (late.length > 0 && spec.activeDeadlineSeconds !== undefined) return errors;
  errors.push(...onlyMoreTolerations(spec, before), ...onlyFewerGates(spec, before));
  if ((before.schedulingGates ?? []).length > 0) errors.push(...addedSelectors(spec, before), ...narrowedAffinity(spec, before));
  const diff = goDiff('core.PodSpec', before, otherwiseOld(spec, before));
  if (diff !== '') errors.push(fieldForbidden('spec', `pod updates may not change fields other than ${mayChange}\n${diff}`));
  return errors;
}

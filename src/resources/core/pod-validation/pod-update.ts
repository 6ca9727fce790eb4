/** What updates of a pod may change: ValidatePodUpdate. */
import { isDeepStrictEqual } from 'node:util';
import type { Container, Pod, PodSpec, Toleration } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { rangeText } from '#kube/validation/values.ts';
import { tolerations } from './placement.ts';
import { maxInt32 } from './pod.ts';

const mayChange = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

const withoutImages = (list: readonly Container[] | undefined): unknown => list?.map(({ image: _image, ...rest }) => rest);

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

/** The parts of a spec that no update may change. */
function fixedPart(spec: PodSpec, before: PodSpec): unknown {
  const gated = (before.schedulingGates ?? []).length > 0;
  const lengthened = (before.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1;
  const { activeDeadlineSeconds: _a, tolerations: _t, schedulingGates: _s, containers, initContainers, ...rest } = spec;
  return {
    ...rest,
    containers: withoutImages(containers),
    initContainers: withoutImages(initContainers),
    ...(gated ? { nodeSelector: undefined, affinity: undefined } : {}),
    ...(lengthened ? { terminationGracePeriodSeconds: before.terminationGracePeriodSeconds } : {}),
  };
}

/** Lines that say what differs, old then new, for people to read. */
function differences(now: unknown, was: unknown, path: string): string[] {
  if (isDeepStrictEqual(now, was)) return [];
  const isMap = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === 'object';
  if (isMap(now) && isMap(was)) {
    const keys = [...new Set([...Object.keys(was), ...Object.keys(now)])];
    return keys.flatMap((key) => differences(now[key], was[key], Array.isArray(now) ? `${path}[${key}]` : `${path}.${key}`));
  }
  const line = (mark: string, value: unknown): string[] => (value === undefined ? [] : [`${mark} ${path}: ${JSON.stringify(value)}`]);
  return [...line('-', was), ...line('+', now)];
}

function addedSelectors(spec: PodSpec, before: PodSpec): FieldError[] {
  if ((before.schedulingGates ?? []).length === 0) return [];
  const kept = Object.entries(before.nodeSelector ?? {}).every(([key, value]) => spec.nodeSelector?.[key] === value);
  return kept ? [] : [fieldInvalid('spec.nodeSelector', spec.nodeSelector, 'only additions are allowed')];
}

/** An update of the main resource. */
export function podUpdate(pod: Pod, old: Pod): FieldError[] {
  const spec = pod.spec ?? { containers: [] };
  const before = old.spec ?? { containers: [] };
  for (const part of ['containers', 'initContainers'] as const) {
    if ((spec[part]?.length ?? 0) !== (before[part]?.length ?? 0)) {
      return [fieldForbidden(`spec.${part}`, 'pod updates may not add or remove containers')];
    }
  }
  const errors = [
    ...images('spec.containers', spec.containers),
    ...images('spec.initContainers', spec.initContainers),
    ...deadline(spec, before),
    ...onlyMoreTolerations(spec, before),
    ...onlyFewerGates(spec, before),
    ...addedSelectors(spec, before),
  ];
  if (errors.length > 0) return errors;
  const changed = differences(fixedPart(spec, before), fixedPart(before, before), 'spec');
  if (changed.length > 0)
    errors.push(fieldForbidden('spec', `pod updates may not change fields other than ${mayChange}\n${changed.join('\n')}\n`));
  return errors;
}

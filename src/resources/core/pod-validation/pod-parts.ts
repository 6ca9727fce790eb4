/** Updates of a running pod's parts: ValidatePodEphemeralContainersUpdate and ValidatePodResize. */
import { isDeepStrictEqual } from 'node:util';
import type { Container, Pod, PodSpec } from '#kube/generated/core-v1.ts';
import { goDiff } from '#kube/go-diff.ts';
import type { Quantity } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid } from '#kube/validation/field-error.ts';
import { podQosClass } from '../pod-qos.ts';
import { mirrorPod, podAnnotationUpdate } from './annotations.ts';
import { wholePod } from './pod.ts';

const none: PodSpec = { containers: [] };
const isMirror = (pod: Pod): boolean => pod.metadata?.annotations?.[mirrorPod] !== undefined;

/** Ephemeral containers stay as they are. */
export function podEphemeralContainers(pod: Pod, old: Pod): FieldError[] {
  if (isMirror(old)) return [fieldForbidden('', 'static pods do not support ephemeral containers')];
  const { spec = none } = pod;
  const errors = [...wholePod(pod), ...podAnnotationUpdate('metadata.annotations', pod.metadata ?? {}, old.metadata ?? {}, spec)];
  const now = new Map((spec.ephemeralContainers ?? []).map((container) => [container.name, container]));
  for (const before of old.spec?.ephemeralContainers ?? []) {
    const container = now.get(before.name);
    const existing = `existing ephemeral containers ${JSON.stringify(before.name)} may not be`;
    const diff = container === undefined ? '' : goDiff('core.EphemeralContainer', before, container);
    if (container === undefined) errors.push(fieldForbidden('spec.ephemeralContainers', `${existing} removed\n`));
    else if (diff !== '') errors.push(fieldForbidden('spec.ephemeralContainers', `${existing} changed\n${diff}`));
  }
  return errors;
}

type Amounts = Readonly<Record<string, Quantity>> | undefined;

const lacks = (now: Amounts, before: Amounts): boolean => Object.keys(before ?? {}).some((name) => !Object.hasOwn(now ?? {}, name));

/** The new amounts with the old ones of CPU and memory. */
function otherAmounts(now: Amounts, before: Amounts): Amounts {
  if (before === undefined) return undefined;
  const { cpu: _cpu, memory: _memory, ...others } = now ?? {};
  const kept = Object.entries(before).filter(([name]) => name === 'cpu' || name === 'memory');
  return { ...others, ...Object.fromEntries(kept) };
}

/** True where containers differ in CPU and memory at most. */
function onlyResized(now: Container, before: Container): boolean {
  const rest = ({ resources: _resources, ...others }: Container): object => others;
  const amounts = (part: 'limits' | 'requests'): boolean => {
    const was = before.resources?.[part];
    return isDeepStrictEqual({ ...otherAmounts(now.resources?.[part], was) }, { ...was });
  };
  return isDeepStrictEqual(rest(now), rest(before)) && amounts('limits') && amounts('requests');
}

const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always';

function removals(field: string, now: Container | undefined, before: Container): FieldError[] {
  const gone = (part: 'limits' | 'requests'): FieldError[] =>
    lacks(now?.resources?.[part], before.resources?.[part])
      ? [fieldForbidden(`${field}.resources.${part}`, `resource ${part} cannot be removed`)]
      : [];
  return [...gone('requests'), ...gone('limits')];
}

function fixedParts(spec: PodSpec, before: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (why: string): number => errors.push(fieldForbidden('spec', why));
  for (const [i, was] of before.containers.entries()) {
    const now = spec.containers[i];
    if (now !== undefined && !onlyResized(now, was)) refuse('only cpu and memory resources are mutable');
  }
  for (const [i, was] of (before.initContainers ?? []).entries()) {
    const now = spec.initContainers?.[i];
    if (now === undefined) continue;
    if (!isSidecar(was) && !isDeepStrictEqual(now, was)) refuse('resources for non-sidecar init containers are immutable');
    if (isSidecar(was) && !onlyResized(now, was)) refuse('only cpu and memory resources for sidecar containers are mutable');
  }
  return errors;
}

export function podResize(pod: Pod, old: Pod): FieldError[] {
  if (isMirror(old)) return [fieldForbidden('', 'static pods cannot be resized')];
  if (old.spec?.os?.name === 'windows') return [fieldForbidden('', 'windows pods cannot be resized')];
  const [spec, before] = [pod.spec ?? none, old.spec ?? none];
  const errors = wholePod(pod);
  const qos = old.status?.qosClass ?? podQosClass(before);
  if (qos !== podQosClass(spec)) errors.push(fieldInvalid('spec', qos, 'Pod QOS Class may not change as a result of resizing'));
  for (const [i, was] of (before.initContainers ?? []).entries())
    if (isSidecar(was)) errors.push(...removals(`spec.initContainers[${i}]`, spec.initContainers?.[i], was));
  for (const [i, was] of before.containers.entries()) errors.push(...removals(`spec.containers[${i}]`, spec.containers[i], was));
  return [...errors, ...fixedParts(spec, before)];
}

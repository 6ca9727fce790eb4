/** Annotations that say something about a pod: ValidatePodSpecificAnnotations and what an update may change of them. */
import type { AppArmorProfile, PodSpec, SeccompProfile } from '#kube/generated/core-v1.ts';
import type { ObjectMeta } from '#kube/generated/meta-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid } from '#kube/validation/field-error.ts';
import { localPath } from '#kube/validation/values.ts';
import { containersOf } from './windows.ts';

type Annotations = Readonly<Record<string, string>>;

export const mirrorPod = 'kubernetes.io/config.mirror';
const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';
const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/';
const seccompPod = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompPrefix = 'container.seccomp.security.alpha.kubernetes.io/';
const localhost = 'localhost/';
const runtimeDefault = 'runtime/default';
const seccompDefaults = [runtimeDefault, 'docker/default'];
const unconfined = 'unconfined';

/** As Go reads a cost: no plus sign, no leading zero. */
function isInt32(text: string): boolean {
  if (!/^(0|[1-9][0-9]*|-[0-9]+)$/.test(text)) return false;
  const cost = Number(text);
  return cost >= -(2 ** 31) && cost < 2 ** 31;
}

function seccompAnnotation(field: string, profile: string): FieldError[] {
  if (seccompDefaults.includes(profile) || profile === unconfined) return [];
  if (profile.startsWith(localhost)) return localPath(field, profile.slice(localhost.length));
  return [fieldInvalid(field, profile, 'must be a valid seccomp profile')];
}

const isAppArmorProfile = (profile: string): boolean =>
  profile === '' || profile === runtimeDefault || profile === unconfined || profile.startsWith(localhost);

export function podAnnotations(field: string, annotations: Annotations = {}, spec: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set(containersOf('', spec).map(({ container }) => container.name));
  for (const [key, value] of Object.entries(annotations)) {
    const at = `${field}[${key}]`;
    if (key === mirrorPod && (spec.nodeName ?? '') === '')
      errors.push(fieldInvalid(at, value, 'must set spec.nodeName if mirror pod annotation is set'));
    if (key === deletionCost && !isInt32(value)) errors.push(fieldInvalid(at, value, 'must be a 32bit integer'));
    if (key === seccompPod || key.startsWith(seccompPrefix)) errors.push(...seccompAnnotation(`${field}.${key}`, value));
    if (!key.startsWith(appArmorPrefix)) continue;
    const container = key.slice(appArmorPrefix.length);
    if (!names.has(container)) errors.push(fieldInvalid(at, container, 'container not found'));
    if (!isAppArmorProfile(value)) errors.push(fieldInvalid(at, value, `invalid AppArmor profile name: ${JSON.stringify(value)}`));
  }
  return errors;
}

/** A profile that an annotation gives is that of the field. */
function matches(
  field: string,
  annotation: string | undefined,
  profile: SeccompProfile | AppArmorProfile | undefined,
  what: { readonly name: string; readonly defaults: readonly string[] },
): FieldError[] {
  if (annotation === undefined || profile === undefined) return [];
  const wrongType = fieldForbidden(`${field}.type`, `${what.name} type in annotation and field must match`);
  if (profile.type === 'Unconfined') return annotation === unconfined ? [] : [wrongType];
  if (profile.type === 'RuntimeDefault') return what.defaults.includes(annotation) ? [] : [wrongType];
  if (profile.type !== 'Localhost') return [];
  if (!annotation.startsWith(localhost)) return [wrongType];
  if (annotation.slice(localhost.length) === profile.localhostProfile) return [];
  return [fieldForbidden(`${field}.localhostProfile`, `${what.name} profile in annotation and field must match`)];
}

const seccomp = { name: 'seccomp', defaults: seccompDefaults };
const appArmor = { name: 'apparmor', defaults: [runtimeDefault] };

export function seccompMatches(field: string, annotations: Annotations = {}, spec: PodSpec): FieldError[] {
  const part = 'securityContext.seccompProfile';
  return [
    ...matches(`${field}.${part}`, annotations[seccompPod], spec.securityContext?.seccompProfile, seccomp),
    ...containersOf(field, spec).flatMap(({ field: at, container }) =>
      matches(`${at}.${part}`, annotations[`${seccompPrefix}${container.name}`], container.securityContext?.seccompProfile, seccomp),
    ),
  ];
}

export function appArmorMatches(field: string, annotations: Annotations = {}, spec: PodSpec): FieldError[] {
  if (spec.os?.name === 'windows') return [];
  return containersOf(field, spec).flatMap(({ field: at, container }) => {
    const profile = container.securityContext?.appArmorProfile ?? spec.securityContext?.appArmorProfile;
    return matches(`${at}.securityContext.appArmorProfile`, annotations[`${appArmorPrefix}${container.name}`], profile, appArmor);
  });
}

/** ValidatePodSpecificAnnotationUpdates. */
export function podAnnotationUpdate(field: string, now: ObjectMeta, old: ObjectMeta, spec: PodSpec): FieldError[] {
  const { annotations = {} } = now;
  const { annotations: before = {} } = old;
  const errors: FieldError[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(annotations)])) {
    const [value, was] = [annotations[key], before[key]];
    const what = key === mirrorPod ? 'mirror pod annotation' : 'AppArmor annotations';
    if (value === was || (key !== mirrorPod && !key.startsWith(appArmorPrefix))) continue;
    errors.push(fieldForbidden(`${field}[${key}]`, `may not ${was === undefined ? 'add' : 'remove or update'} ${what}`));
  }
  return [...errors, ...podAnnotations(field, annotations, spec)];
}

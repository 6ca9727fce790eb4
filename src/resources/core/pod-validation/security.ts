/** Security contexts of pods and containers. */
import type { AppArmorProfile, PodSecurityContext, SeccompProfile, SecurityContext } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { localPath, optionalOneOf, rangeText } from '#kube/validation/values.ts';
import type { PodContext } from './context.ts';

const maxId = 2 ** 31 - 1;

/** A user or group id. */
const idOf = (field: string, id: number | undefined): FieldError[] =>
  id === undefined || (id >= 0 && id <= maxId) ? [] : [fieldInvalid(field, id, rangeText(0, maxId))];

function profile(field: string, value: SeccompProfile | AppArmorProfile | undefined): FieldError[] {
  if (value === undefined) return [];
  const { type, localhostProfile } = value;
  if (type === '') return [fieldRequired(`${field}.type`, 'type is required when profile is set')];
  if (!['Localhost', 'RuntimeDefault', 'Unconfined'].includes(type)) {
    return [fieldNotSupported(`${field}.type`, type, ['Localhost', 'RuntimeDefault', 'Unconfined'])];
  }
  if (type === 'Localhost') {
    if (localhostProfile === undefined || localhostProfile === '') {
      return [fieldRequired(`${field}.localhostProfile`, 'must be set when seccomp type is Localhost')];
    }
    return localPath(`${field}.localhostProfile`, localhostProfile);
  }
  return localhostProfile === undefined ? [] : [fieldInvalid(field, localhostProfile, 'can only be set when seccomp type is Localhost')];
}

export function containerSecurity(field: string, context: SecurityContext | undefined, pod: PodContext): FieldError[] {
  if (context === undefined) return [];
  const errors = [
    ...idOf(`${field}.runAsUser`, context.runAsUser),
    ...idOf(`${field}.runAsGroup`, context.runAsGroup),
    ...optionalOneOf(`${field}.procMount`, context.procMount, ['Default', 'Unmasked']),
    ...profile(`${field}.seccompProfile`, context.seccompProfile),
  ];
  if (context.procMount === 'Unmasked' && pod.spec.hostUsers !== false) {
    errors.push(fieldInvalid(`${field}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`'));
  }
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged === true) {
      errors.push(fieldInvalid(field, '', 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    }
    if ((context.capabilities?.add ?? []).some((c) => c === 'SYS_ADMIN' || c === 'CAP_SYS_ADMIN')) {
      errors.push(fieldInvalid(field, '', 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'));
    }
  }
  errors.push(...profile(`${field}.appArmorProfile`, context.appArmorProfile));
  return errors;
}

const sysctlName = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

function sysctls(field: string, context: PodSecurityContext, pod: PodContext): FieldError[] {
  const seen = new Set<string>();
  return (context.sysctls ?? []).flatMap((sysctl, i) => {
    const at = `${field}[${i}].name`;
    const { name } = sysctl;
    const errors: FieldError[] = [];
    if (name === '') errors.push(fieldRequired(at));
    else if (name.length > 253 || !sysctlName.test(name)) {
      const rule =
        'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';
      errors.push(fieldInvalid(at, name, rule));
    } else if (seen.has(name)) errors.push({ field: at, type: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(name)}` });
    seen.add(name);
    if (pod.spec.hostNetwork === true && name.startsWith('net.'))
      errors.push(fieldInvalid(at, name, "may not be specified when 'hostNetwork' is true"));
    if (
      pod.spec.hostIPC === true &&
      (name.startsWith('fs.mqueue.') || name.startsWith('kernel.sem') || name.startsWith('kernel.shm') || name.startsWith('kernel.msg'))
    ) {
      errors.push(fieldInvalid(at, name, "may not be specified when 'hostIPC' is true"));
    }
    return errors;
  });
}

export function podSecurity(field: string, pod: PodContext): FieldError[] {
  const { spec } = pod;
  const context = spec.securityContext ?? {};
  const errors: FieldError[] = [];
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    errors.push(fieldInvalid('spec.shareProcessNamespace', true, 'ShareProcessNamespace and HostPID cannot both be enabled'));
  }
  errors.push(
    ...idOf(`${field}.fsGroup`, context.fsGroup),
    ...idOf(`${field}.runAsUser`, context.runAsUser),
    ...idOf(`${field}.runAsGroup`, context.runAsGroup),
  );
  for (const [i, id] of (context.supplementalGroups ?? []).entries()) errors.push(...idOf(`${field}.supplementalGroups[${i}]`, id));
  errors.push(
    ...sysctls(`${field}.sysctls`, context, pod),
    ...optionalOneOf(`${field}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']),
    ...profile(`${field}.seccompProfile`, context.seccompProfile),
    ...profile(`${field}.appArmorProfile`, context.appArmorProfile),
    ...optionalOneOf(`${field}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict']),
  );
  if (context.windowsOptions !== undefined && spec.os?.name === 'linux') {
    errors.push(fieldForbidden(`${field}.windowsOptions`, 'windows options cannot be set for a linux pod'));
  }
  return errors;
}

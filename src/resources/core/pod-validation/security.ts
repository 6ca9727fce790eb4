/** Security contexts of pods and containers. */
import type { AppArmorProfile, PodSecurityContext, SeccompProfile, SecurityContext } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldNotSupported, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';
import { localPath, optionalOneOf, rangeText } from '#kube/validation/values.ts';
import type { PodContext } from './context.ts';
import { windowsOptions } from './windows.ts';

const maxId = 2 ** 31 - 1;

/** A user or group id. */
export const idErrors = (field: string, id: number | undefined): FieldError[] =>
  id === undefined || (id >= 0 && id <= maxId) ? [] : [fieldInvalid(field, id, rangeText(0, maxId))];

const profiles = ['Localhost', 'RuntimeDefault', 'Unconfined'];

function seccomp(field: string, profile: SeccompProfile | undefined): FieldError[] {
  if (profile === undefined) return [];
  const { type, localhostProfile: path } = profile;
  const errors: FieldError[] = [];
  if (type === '') errors.push(fieldRequired(`${field}.type`, 'type is required when seccompProfile is set'));
  else if (!profiles.includes(type)) errors.push(fieldNotSupported(`${field}.type`, type, profiles));
  const at = `${field}.localhostProfile`;
  if (type === 'Localhost')
    return [...errors, ...(path === undefined ? [fieldRequired(at, 'must be set when seccomp type is Localhost')] : localPath(at, path))];
  if (path === undefined) return errors;
  // As Go writes the struct.
  return [...errors, fieldInvalid(at, { Type: type, LocalhostProfile: path }, 'can only be set when seccomp type is Localhost')];
}

const longestProfile = 4095;

function appArmor(field: string, profile: AppArmorProfile | undefined): FieldError[] {
  if (profile === undefined) return [];
  const { type, localhostProfile: name } = profile;
  const at = `${field}.localhostProfile`;
  if (type === '') return [fieldRequired(`${field}.type`, 'type is required when appArmorProfile is set')];
  if (!profiles.includes(type)) return [fieldNotSupported(`${field}.type`, type, profiles)];
  if (type !== 'Localhost') return name === undefined ? [] : [fieldInvalid(at, name, 'can only be set when AppArmor type is Localhost')];
  if (name === undefined || name === '') return [fieldRequired(at, 'must be set when AppArmor type is Localhost')];
  return [
    ...(name === name.trim() ? [] : [fieldInvalid(at, name, 'must not be padded with whitespace')]),
    ...(name.length > longestProfile ? [fieldTooLong(at, longestProfile)] : []),
  ];
}

/** As Go writes the struct, which has a place for every part. */
const goSecurity = (c: SecurityContext): object => ({
  Capabilities: c.capabilities === undefined ? null : { Add: c.capabilities.add ?? null, Drop: c.capabilities.drop ?? null },
  Privileged: c.privileged ?? null,
  SELinuxOptions: c.seLinuxOptions ?? null,
  WindowsOptions: c.windowsOptions ?? null,
  RunAsUser: c.runAsUser ?? null,
  RunAsGroup: c.runAsGroup ?? null,
  RunAsNonRoot: c.runAsNonRoot ?? null,
  ReadOnlyRootFilesystem: c.readOnlyRootFilesystem ?? null,
  AllowPrivilegeEscalation: c.allowPrivilegeEscalation ?? null,
  ProcMount: c.procMount ?? null,
  SeccompProfile: c.seccompProfile ?? null,
  AppArmorProfile: c.appArmorProfile ?? null,
});

/** Privileges that a process without more privileges than its parent cannot have. */
function escalation(field: string, context: SecurityContext): FieldError[] {
  if (context.allowPrivilegeEscalation !== false) return [];
  const cannot = (what: string): FieldError =>
    fieldInvalid(field, goSecurity(context), `cannot set \`allowPrivilegeEscalation\` to false and ${what}`);
  return [
    ...(context.privileged === true ? [cannot('`privileged` to true')] : []),
    ...(context.capabilities?.add ?? []).filter((c) => c === 'CAP_SYS_ADMIN').map(() => cannot('`capabilities.Add` CAP_SYS_ADMIN')),
  ];
}

/** ValidateSecurityContext. */
export function containerSecurity(field: string, context: SecurityContext | undefined, pod: PodContext): FieldError[] {
  if (context === undefined) return [];
  const { procMount } = context;
  const unmasked = procMount === 'Unmasked' && pod.spec.hostUsers !== false;
  return [
    ...idErrors(`${field}.runAsUser`, context.runAsUser),
    ...idErrors(`${field}.runAsGroup`, context.runAsGroup),
    ...optionalOneOf(`${field}.procMount`, procMount, ['Default', 'Unmasked']),
    ...(unmasked ? [fieldInvalid(`${field}.procMount`, procMount, '`hostUsers` must be false to use `Unmasked`')] : []),
    ...seccomp(`${field}.seccompProfile`, context.seccompProfile),
    ...escalation(field, context),
    ...windowsOptions(`${field}.windowsOptions`, context.windowsOptions),
    ...appArmor(`${field}.appArmorProfile`, context.appArmorProfile),
  ];
}

const segment = '[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const sysctlForm = `^(${segment}[\\./])*${segment}$`;
const sysctlName = new RegExp(sysctlForm);
/** Parameters of the kernel that each IPC namespace has for itself. */
const ipcPrefixes = ['kernel.shm', 'kernel.msg', 'fs.mqueue.'];
const isIpc = (name: string): boolean => name === 'kernel.sem' || ipcPrefixes.some((prefix) => name.startsWith(prefix));

function sysctls(field: string, context: PodSecurityContext, { spec }: PodContext): FieldError[] {
  const seen = new Set<string>();
  return (context.sysctls ?? []).flatMap(({ name }, i) => {
    const at = `${field}[${i}].name`;
    const errors: FieldError[] = [];
    if (name === '') errors.push(fieldRequired(at));
    else if (name.length > 253 || !sysctlName.test(name))
      errors.push(fieldInvalid(at, name, `must have at most 253 characters and match regex ${sysctlForm}`));
    else if (seen.has(name)) errors.push(fieldDuplicate(at, name));
    seen.add(name);
    const dotted = name.replaceAll('/', '.');
    if (spec.hostNetwork === true && dotted.startsWith('net.'))
      errors.push(fieldInvalid(at, name, "may not be specified when 'hostNetwork' is true"));
    else if (spec.hostIPC === true && isIpc(dotted)) errors.push(fieldInvalid(at, name, "may not be specified when 'hostIPC' is true"));
    return errors;
  });
}

/** validatePodSpecSecurityContext. */
export function podSecurity(field: string, pod: PodContext): FieldError[] {
  const { spec } = pod;
  const context = spec.securityContext ?? {};
  const shared = spec.shareProcessNamespace === true && spec.hostPID === true;
  return [
    ...idErrors(`${field}.fsGroup`, context.fsGroup),
    ...idErrors(`${field}.runAsUser`, context.runAsUser),
    ...idErrors(`${field}.runAsGroup`, context.runAsGroup),
    ...(context.supplementalGroups ?? []).flatMap((id, i) => idErrors(`${field}.supplementalGroups[${i}]`, id)),
    // Upstream keeps the flag in the security context.
    ...(shared ? [fieldInvalid(`${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled')] : []),
    ...sysctls(`${field}.sysctls`, context, pod),
    ...optionalOneOf(`${field}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']),
    ...seccomp(`${field}.seccompProfile`, context.seccompProfile),
    ...windowsOptions(`${field}.windowsOptions`, context.windowsOptions),
    ...appArmor(`${field}.appArmorProfile`, context.appArmorProfile),
    ...optionalOneOf(`${field}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict']),
    ...optionalOneOf(`${field}.seLinuxChangePolicy`, context.seLinuxChangePolicy, ['MountOption', 'Recursive']),
  ];
}

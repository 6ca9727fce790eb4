/** Pods for Windows: their options, and what pods of one operating system may not have of the other. */
import type {
  Container,
  EphemeralContainer,
  PodSecurityContext,
  PodSpec,
  SecurityContext,
  WindowsSecurityContextOptions,
} from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsSubdomain } from '#kube/validation/values.ts';

const limits = { credentialSpec: 64 * 1024, domain: 256, user: 104 };
const netBiosDomain = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const dnsPart = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const dnsDomain = new RegExp(`^${dnsPart}(?:\\.${dnsPart})*$`);
const badInUser = /["/\\:;|=,+*?<>@[\]]/;

/** `DOMAIN\user`, where the domain may be left out. */
function userNameProblems(name: string): string[] {
  if (name === '') return ['runAsUserName cannot be an empty string'];
  if (/\p{Cc}/u.test(name)) return ['runAsUserName cannot contain control characters'];
  const parts = name.split('\\');
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash'];
  const domain = parts.length === 2 ? parts[0] : undefined;
  const user = parts.at(-1) ?? '';
  const problems: string[] = [];
  if ((domain ?? '').length >= limits.domain) problems.push(`runAsUserName's Domain length must be under ${limits.domain} characters`);
  if (domain !== undefined && !netBiosDomain.test(domain) && !dnsDomain.test(domain))
    problems.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  if (user === '') problems.push("runAsUserName's User cannot be empty");
  else if (user.length > limits.user) problems.push(`runAsUserName's User length must not be longer than ${limits.user} characters`);
  if (/^[. ]+$/.test(user)) problems.push("runAsUserName's User cannot contain only periods or spaces");
  if (badInUser.test(user)) problems.push('runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]');
  return problems;
}

/** validateWindowsSecurityContextOptions. */
export function windowsOptions(field: string, options: WindowsSecurityContextOptions | undefined): FieldError[] {
  const { gmsaCredentialSpecName: specName, gmsaCredentialSpec: spec, runAsUserName: user } = options ?? {};
  const errors = specName === undefined ? [] : dnsSubdomain(`${field}.gmsaCredentialSpecName`, specName);
  if (spec === '') errors.push(fieldInvalid(`${field}.gmsaCredentialSpec`, spec, 'gmsaCredentialSpec cannot be an empty string'));
  if (spec !== undefined && spec.length > limits.credentialSpec)
    errors.push(fieldInvalid(`${field}.gmsaCredentialSpec`, spec, 'gmsaCredentialSpec size must be under 64 KiB'));
  if (user === undefined) return errors;
  return [...errors, ...userNameProblems(user).map((why) => fieldInvalid(`${field}.runAsUserName`, user, why))];
}

interface Located {
  readonly field: string;
  readonly container: Container | EphemeralContainer;
}

/** All containers of a pod with their places, in the order in which upstream visits them. */
export const containersOf = (field: string, spec: PodSpec): Located[] =>
  (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((kind) =>
    (spec[kind] ?? []).map((container, i) => ({ field: `${field}.${kind}[${i}]`, container })),
  );

/** Containers that are processes of the host: all or none of a pod's. */
export function hostProcess(field: string, spec: PodSpec): FieldError[] {
  const ofPod = spec.securityContext?.windowsOptions?.hostProcess;
  const all = containersOf(field, spec);
  const errors: FieldError[] = [];
  let count = 0;
  for (const { field: at, container } of all) {
    const own = container.securityContext?.windowsOptions?.hostProcess;
    if (ofPod !== undefined && own !== undefined && ofPod !== own) {
      const why = `pod hostProcess value must be identical if both are specified, was ${ofPod}`;
      errors.push(fieldInvalid(`${at}.securityContext.windowsOptions.hostProcess`, own, why));
    }
    if (own ?? ofPod ?? false) count++;
  }
  if (count === 0) return errors;
  if (count !== all.length)
    errors.push(fieldInvalid(field, '', 'If pod contains any hostProcess containers then all containers must be HostProcess containers'));
  if (spec.hostNetwork !== true)
    errors.push(fieldInvalid(`${field}.hostNetwork`, false, 'hostNetwork must be true if pod contains any hostProcess containers'));
  return errors;
}

const notOnWindows = 'cannot be set for a windows pod';

/** In upstream's order; what stands in the spec itself and what in the security context. */
const podParts: readonly (keyof PodSecurityContext | `spec.${'hostUsers' | 'hostPID' | 'hostIPC' | 'shareProcessNamespace'}`)[] = [
  ...(['appArmorProfile', 'seLinuxOptions', 'spec.hostUsers', 'spec.hostPID', 'spec.hostIPC', 'seccompProfile', 'fsGroup'] as const),
  ...(['fsGroupChangePolicy', 'sysctls', 'spec.shareProcessNamespace', 'runAsUser', 'runAsGroup', 'supplementalGroups'] as const),
  ...(['supplementalGroupsPolicy', 'seLinuxChangePolicy'] as const),
];
const containerParts: readonly (keyof SecurityContext)[] = [
  ...(['appArmorProfile', 'seLinuxOptions', 'seccompProfile', 'capabilities', 'readOnlyRootFilesystem', 'privileged'] as const),
  ...(['allowPrivilegeEscalation', 'procMount', 'runAsUser', 'runAsGroup'] as const),
];

function windowsPod(field: string, spec: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const part of podParts) {
    const name = part.startsWith('spec.')
      ? (part.slice('spec.'.length) as 'hostUsers' | 'hostPID' | 'hostIPC' | 'shareProcessNamespace')
      : undefined;
    const value = name === undefined ? spec.securityContext?.[part as keyof PodSecurityContext] : spec[name];
    // Flags that are not pointers in Go count as not set while they are false.
    const set =
      name === 'hostPID' || name === 'hostIPC' ? value === true : value !== undefined && !(Array.isArray(value) && value.length === 0);
    if (set) errors.push(fieldForbidden(name === undefined ? `${field}.securityContext.${part}` : `${field}.${name}`, notOnWindows));
  }
  for (const { field: at, container } of containersOf(field, spec))
    for (const part of containerParts)
      if (container.securityContext?.[part] !== undefined) errors.push(fieldForbidden(`${at}.securityContext.${part}`, notOnWindows));
  return errors;
}

function linuxPod(field: string, spec: PodSpec): FieldError[] {
  const places = [
    { field, securityContext: spec.securityContext },
    ...containersOf(field, spec).map(({ field: at, container }) => ({ field: at, securityContext: container.securityContext })),
  ];
  return places.flatMap(({ field: at, securityContext }) =>
    securityContext?.windowsOptions === undefined
      ? []
      : [fieldForbidden(`${at}.securityContext.windowsOptions`, 'windows options cannot be set for a linux pod')],
  );
}

/** What the operating system that a pod names demands of it. */
export function operatingSystem(field: string, spec: PodSpec): FieldError[] {
  const { os } = spec;
  if (os === undefined) return [];
  if (os.name === '') return [fieldRequired(`${field}.os.name`, 'cannot be empty')];
  if (os.name === 'linux') return linuxPod(field, spec);
  return os.name === 'windows' ? windowsPod(field, spec) : [fieldNotSupported(`${field}.os`, os.name, ['linux', 'windows'])];
}

/** Specs of pods and of templates: ValidatePodSpec. */
import type { Pod, PodSpec, PodTemplateSpec, Volume } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid } from '#kube/validation/field-error.ts';
import {
  annotations,
  dnsSubdomain,
  labels,
  oneOf,
  optionalOneOf,
  qualifiedName,
  rangeText,
  requiredDnsLabel,
} from '#kube/validation/values.ts';
import { appArmorMatches, podAnnotations, seccompMatches } from './annotations.ts';
import { containers, ephemeralContainers, hostNetworkPorts, imageSpaces, initContainers } from './containers.ts';
import { podContext } from './context.ts';
import { dnsConfig, hostAliases, hostNames } from './dns.ts';
import { affinity, spreadConstraints, tolerations } from './placement.ts';
import { podLevelResources, resourceRequirements } from './resources.ts';
import { podSecurity } from './security.ts';
import { volumes } from './volumes.ts';
import { hostProcess, operatingSystem } from './windows.ts';

export const maxInt32 = 2 ** 31 - 1;

function gates(field: string, spec: PodSpec): FieldError[] {
  const errors = (spec.readinessGates ?? []).flatMap((gate, i) =>
    qualifiedName(`${field}.readinessGates[${i}].conditionType`, gate.conditionType),
  );
  const seen = new Set<string>();
  for (const [i, gate] of (spec.schedulingGates ?? []).entries()) {
    const at = `${field}.schedulingGates[${i}]`;
    errors.push(...qualifiedName(at, gate.name));
    if (seen.has(gate.name)) errors.push(fieldDuplicate(at, gate.name));
    seen.add(gate.name);
  }
  return errors;
}

const optionalSubdomain = (field: string, name: string | undefined): FieldError[] =>
  name === undefined || name === '' ? [] : dnsSubdomain(field, name);

function resourceClaims(field: string, spec: PodSpec): FieldError[] {
  const seen = new Set<string>();
  return (spec.resourceClaims ?? []).flatMap((claim, i) => {
    const at = `${field}[${i}]`;
    const { name, resourceClaimName: own, resourceClaimTemplateName: template } = claim;
    const errors = requiredDnsLabel(`${at}.name`, name);
    if (seen.has(name)) errors.push(fieldDuplicate(`${at}.name`, name));
    else seen.add(name);
    // As Go writes the struct.
    const shown = { Name: name, ResourceClaimName: own ?? null, ResourceClaimTemplateName: template ?? null };
    const all = '`resourceClaimName`, `resourceClaimTemplateName`';
    if (own !== undefined && template !== undefined)
      errors.push(fieldInvalid(at, shown, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'));
    if (own === undefined && template === undefined) errors.push(fieldInvalid(at, shown, `must specify one of: ${all}`));
    if (own !== undefined) errors.push(...dnsSubdomain(`${at}.resourceClaimName`, own));
    if (template !== undefined) errors.push(...dnsSubdomain(`${at}.resourceClaimTemplateName`, template));
    return errors;
  });
}

/** Pods with users of their own may not share these with the node. Upstream's names, capitals included. */
const ofTheHost = { hostNetwork: 'hostNetwork', hostPID: 'HostPID', hostIPC: 'HostIPC' } as const;

const hostUsers = (field: string, spec: PodSpec): FieldError[] =>
  spec.hostUsers !== false
    ? []
    : Object.entries(ofTheHost)
        .filter(([part]) => spec[part as keyof typeof ofTheHost] === true)
        .map(([, shown]) => fieldForbidden(`${field}.${shown}`, 'when `pod.Spec.HostUsers` is false'));

/** The spec of a pod of that name, or of a template. */
function podSpec(field: string, spec: PodSpec, template: boolean, pod: string): FieldError[] {
  const usable = new Map<string, Volume>();
  const volumeErrors = volumes(`${field}.volumes`, spec, template, pod, usable);
  const context = podContext(spec, template, usable);
  const deadline = spec.activeDeadlineSeconds;
  return [
    ...volumeErrors,
    ...resourceClaims(`${field}.resourceClaims`, spec),
    ...containers(`${field}.containers`, context),
    ...initContainers(`${field}.initContainers`, context),
    ...ephemeralContainers(`${field}.ephemeralContainers`, context),
    ...podLevelResources(`${field}.resources`, spec, context.resourceClaims),
    ...hostNetworkPorts(`${field}.containers`, context),
    ...oneOf(`${field}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']),
    ...oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']),
    ...labels(`${field}.nodeSelector`, spec.nodeSelector),
    ...podSecurity(`${field}.securityContext`, context),
    ...affinity(`${field}.affinity`, spec.affinity),
    ...dnsConfig(`${field}.dnsConfig`, spec.dnsConfig, spec.dnsPolicy),
    ...gates(field, spec),
    ...spreadConstraints(`${field}.topologySpreadConstraints`, spec.topologySpreadConstraints),
    ...hostProcess(field, spec),
    ...hostUsers(field, spec),
    ...optionalSubdomain(`${field}.serviceAccountName`, spec.serviceAccountName),
    ...optionalSubdomain(`${field}.nodeName`, spec.nodeName),
    ...(deadline !== undefined && (deadline < 1 || deadline > maxInt32)
      ? [fieldInvalid(`${field}.activeDeadlineSeconds`, deadline, rangeText(1, maxInt32))]
      : []),
    ...hostNames(field, spec),
    ...tolerations(`${field}.tolerations`, spec.tolerations),
    ...hostAliases(`${field}.hostAliases`, spec),
    ...optionalSubdomain(`${field}.priorityClassName`, spec.priorityClassName),
    ...optionalSubdomain(`${field}.runtimeClassName`, spec.runtimeClassName),
    ...optionalOneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ['PreemptLowerPriority', 'Never']),
    ...(spec.overhead === undefined ? [] : resourceRequirements(`${field}.overhead`, { limits: spec.overhead }, new Set())),
    ...operatingSystem(field, spec),
  ];
}

/** A workload's template: labels, annotations and spec. */
export function podTemplate(field: string, template: PodTemplateSpec): FieldError[] {
  const spec = template.spec ?? { containers: [] };
  const meta = template.metadata;
  const errors = [
    ...labels(`${field}.labels`, meta?.labels),
    ...annotations(`${field}.annotations`, meta?.annotations),
    ...podAnnotations(`${field}.annotations`, meta?.annotations, spec),
    ...podSpec(`${field}.spec`, spec, true, ''),
    ...seccompMatches(`${field}.spec`, meta?.annotations, spec),
  ];
  if ((spec.ephemeralContainers ?? []).length > 0) {
    errors.push(fieldForbidden(`${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
  return errors;
}

/** Tokens are those of a service account. */
const needlessTokens = (spec: PodSpec): FieldError[] =>
  (spec.serviceAccountName ?? '') !== ''
    ? []
    : (spec.volumes ?? []).flatMap(({ projected }, i) =>
        (projected?.sources ?? []).flatMap(({ serviceAccountToken }, j) =>
          serviceAccountToken === undefined
            ? []
            : [
                fieldForbidden(
                  `spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`,
                  'must not be specified when serviceAccountName is not set',
                ),
              ],
        ),
      );

/** All of a pod but its metadata: validatePodMetadataAndSpec. */
export function wholePod(pod: Pod): FieldError[] {
  const spec = pod.spec ?? { containers: [] };
  return [
    ...podAnnotations('metadata.annotations', pod.metadata?.annotations, spec),
    ...podSpec('spec', spec, false, pod.metadata?.name ?? ''),
    ...needlessTokens(spec),
    ...imageSpaces('spec.containers', spec.containers),
    ...imageSpaces('spec.initContainers', spec.initContainers),
  ];
}

/** A new pod. */
export function podCreate(pod: Pod): FieldError[] {
  const spec = pod.spec ?? { containers: [] };
  const errors = wholePod(pod);
  if ((spec.ephemeralContainers ?? []).length > 0) errors.push(fieldForbidden('spec.ephemeralContainers', 'cannot be set on create'));
  if ((spec.nodeName ?? '') !== '' && (spec.schedulingGates ?? []).length > 0) {
    errors.push(fieldForbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  const given = pod.metadata?.annotations;
  return [...errors, ...seccompMatches('spec', given, spec), ...appArmorMatches('spec', given, spec)];
}

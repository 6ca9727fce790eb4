/** Specs of pods and of templates: ValidatePodSpec. */
import type { Pod, PodDNSConfig, PodSpec, PodTemplateSpec } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { ipAddress } from '#kube/validation/addresses.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import {
  annotations,
  dnsLabel,
  dnsSubdomain,
  labels,
  oneOf,
  optionalOneOf,
  qualifiedName,
  rangeText,
  requiredDnsLabel,
} from '#kube/validation/values.ts';
import { containers, ephemeralContainers, initContainers } from './containers.ts';
import { podContext } from './context.ts';
import { affinity, spreadConstraints, tolerations } from './placement.ts';
import { resourceRequirements } from './resources.ts';
import { podSecurity } from './security.ts';
import { volumes } from './volumes.ts';

export const maxInt32 = 2 ** 31 - 1;

function dnsConfig(field: string, config: PodDNSConfig | undefined, policy: string | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const servers = config?.nameservers ?? [];
  if (policy === 'None' && servers.length === 0) {
    errors.push(
      fieldRequired(
        config === undefined ? field : `${field}.nameservers`,
        'must provide at least one DNS nameserver when `dnsPolicy` is None',
      ),
    );
  }
  if (servers.length > 3) errors.push(fieldInvalid(`${field}.nameservers`, servers, 'must not have more than 3 nameservers'));
  for (const [i, server] of servers.entries()) errors.push(...ipAddress(`${field}.nameservers[${i}]`, server));
  const searches = config?.searches ?? [];
  if (searches.length > 32) errors.push(fieldInvalid(`${field}.searches`, searches, 'must not have more than 32 search paths'));
  for (const [i, search] of searches.entries()) {
    const name = search.replace(/\.$/, '');
    if (search !== '.')
      for (const why of isDns1123Subdomain(name.replaceAll('_', '-'))) errors.push(fieldInvalid(`${field}.searches[${i}]`, search, why));
  }
  for (const [i, option] of (config?.options ?? []).entries()) {
    if ((option.name ?? '') === '') errors.push(fieldRequired(`${field}.options[${i}]`, 'must not be empty'));
  }
  return errors;
}

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

function hostAliases(field: string, spec: PodSpec): FieldError[] {
  return (spec.hostAliases ?? []).flatMap((alias, i) => [
    ...ipAddress(`${field}[${i}].ip`, alias.ip),
    ...(alias.hostnames ?? []).flatMap((name, j) => dnsSubdomain(`${field}[${i}].hostnames[${j}]`, name)),
  ]);
}

function names(field: string, spec: PodSpec): FieldError[] {
  const optional = (part: string, name: string | undefined, check: (f: string, n: string) => FieldError[]): FieldError[] =>
    name === undefined || name === '' ? [] : check(`${field}.${part}`, name);
  return [
    ...optional('serviceAccountName', spec.serviceAccountName, dnsSubdomain),
    ...optional('nodeName', spec.nodeName, dnsSubdomain),
    ...optional('hostname', spec.hostname, dnsLabel),
    ...optional('subdomain', spec.subdomain, dnsLabel),
    ...optional('priorityClassName', spec.priorityClassName, dnsSubdomain),
    ...optional('runtimeClassName', spec.runtimeClassName, dnsSubdomain),
  ];
}

function resourceClaims(field: string, spec: PodSpec): FieldError[] {
  const seen = new Set<string>();
  return (spec.resourceClaims ?? []).flatMap((claim, i) => {
    const at = `${field}[${i}]`;
    const errors = requiredDnsLabel(`${at}.name`, claim.name);
    if (seen.has(claim.name)) errors.push(fieldDuplicate(`${at}.name`, claim.name));
    seen.add(claim.name);
    const sources = Number(claim.resourceClaimName !== undefined) + Number(claim.resourceClaimTemplateName !== undefined);
    if (sources > 1)
      errors.push(fieldInvalid(at, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'));
    if (sources === 0) errors.push(fieldInvalid(at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'));
    return errors;
  });
}

/** The spec of a pod, or of a template. */
export function podSpec(field: string, spec: PodSpec, template: boolean): FieldError[] {
  const context = podContext(spec, template);
  const errors = [
    ...volumes(`${field}.volumes`, spec, template),
    ...resourceClaims(`${field}.resourceClaims`, spec),
    ...containers(`${field}.containers`, context),
    ...initContainers(`${field}.initContainers`, context),
    ...ephemeralContainers(`${field}.ephemeralContainers`, context),
    ...resourceRequirements(`${field}.resources`, spec.resources, context.resourceClaims),
    ...oneOf(`${field}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']),
    ...oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']),
    ...labels(`${field}.nodeSelector`, spec.nodeSelector),
    ...podSecurity(`${field}.securityContext`, context),
    ...(spec.imagePullSecrets ?? []).flatMap((ref, i) =>
      (ref.name ?? '') === '' ? [fieldRequired(`${field}.imagePullSecrets[${i}].name`)] : [],
    ),
    ...affinity(`${field}.affinity`, spec.affinity),
    ...dnsConfig(`${field}.dnsConfig`, spec.dnsConfig, spec.dnsPolicy),
    ...gates(field, spec),
    ...spreadConstraints(`${field}.topologySpreadConstraints`, spec.topologySpreadConstraints),
    ...names(field, spec),
    ...tolerations(`${field}.tolerations`, spec.tolerations),
    ...hostAliases(`${field}.hostAliases`, spec),
    ...optionalOneOf(`${field}.preemptionPolicy`, spec.preemptionPolicy, ['PreemptLowerPriority', 'Never']),
    ...optionalOneOf(`${field}.os.name`, spec.os?.name, ['linux', 'windows']),
  ];
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > maxInt32)) {
    errors.push(fieldInvalid(`${field}.activeDeadlineSeconds`, deadline, rangeText(1, maxInt32)));
  }
  if (spec.hostUsers === false) {
    for (const part of ['hostNetwork', 'hostPID', 'hostIPC'] as const) {
      if (spec[part] === true) errors.push(fieldForbidden(`${field}.${part}`, 'when `hostUsers` is false'));
    }
  }
  return errors;
}

/** A workload's template: labels, annotations and spec. */
export function podTemplate(field: string, template: PodTemplateSpec): FieldError[] {
  const spec = template.spec ?? { containers: [] };
  const errors = [
    ...labels(`${field}.labels`, template.metadata?.labels),
    ...annotations(`${field}.annotations`, template.metadata?.annotations),
    ...podSpec(`${field}.spec`, spec, true),
  ];
  if ((spec.ephemeralContainers ?? []).length > 0) {
    errors.push(fieldForbidden(`${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
  return errors;
}

/** A new pod. */
export function podCreate(pod: Pod): FieldError[] {
  const spec = pod.spec ?? { containers: [] };
  const errors = podSpec('spec', spec, false);
  if ((spec.ephemeralContainers ?? []).length > 0) errors.push(fieldForbidden('spec.ephemeralContainers', 'cannot be set on create'));
  if ((spec.nodeName ?? '') !== '' && (spec.schedulingGates ?? []).length > 0) {
    errors.push(fieldForbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  return errors;
}

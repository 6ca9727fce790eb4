/** What a write of a pod's status may not do: ValidatePodStatusUpdate. */
import type {
  Container,
  ContainerStatus,
  Pod,
  PodResourceClaimStatus,
  PodSpec,
  PodStatus,
  ResourceStatus,
} from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { ipAddress, ipFamily, isDualStack } from '#kube/validation/addresses.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldNotSupported, fieldProblems } from '#kube/validation/field-error.ts';
import { immutable, nonNegative, qualifiedName } from '#kube/validation/values.ts';
import { podAnnotationUpdate } from './annotations.ts';
import { idErrors } from './security.ts';

type Statuses = readonly ContainerStatus[] | undefined;

/** A container that has ended for good stays so. Places are those of the old statuses, as upstream's. */
function awoken(field: string, now: Statuses, before: Statuses, restarts: (name: string, exitCode: number) => boolean): FieldError[] {
  return (before ?? []).flatMap(({ name, state }, i) => {
    if (state?.terminated === undefined || restarts(name, state.terminated.exitCode)) return [];
    const again = (now ?? []).filter((status) => status.name === name && status.state?.terminated === undefined);
    return again.map(() => fieldForbidden(`${field}[${i}].state`, 'may not be transitioned to non-terminated state'));
  });
}

/** Whether a container is started again once it has ended with an exit code. */
function restartsOf(containers: readonly Container[] | undefined, podPolicy: string) {
  const policies = new Map((containers ?? []).map((c) => [c.name, c.restartPolicy ?? podPolicy]));
  const withRules = new Set((containers ?? []).filter((c) => (c.restartPolicyRules ?? []).length > 0).map((c) => c.name));
  return (name: string, exitCode: number): boolean => {
    const policy = policies.get(name);
    return policy === 'Always' || withRules.has(name) || (policy === 'OnFailure' && exitCode !== 0);
  };
}

const systemConditions = new Set(['PodScheduled', 'Ready', 'Initialized']);

function claimStatuses(field: string, statuses: readonly PodResourceClaimStatus[] | undefined, spec: PodSpec): FieldError[] {
  const names = new Set((spec.resourceClaims ?? []).map((claim) => claim.name));
  const seen = new Set<string>();
  return (statuses ?? []).flatMap(({ name, resourceClaimName: claim }, i) => {
    const at = `${field}[${i}].name`;
    const errors = names.has(name) ? [] : [fieldInvalid(at, name, 'must match the name of an entry in `spec.resourceClaims`')];
    if (seen.has(name)) errors.push(fieldDuplicate(at, name));
    seen.add(name);
    // Upstream names the entry's own name here too.
    if (claim !== undefined) errors.push(...fieldProblems(at, claim, isDns1123Subdomain(claim)));
    return errors;
  });
}

/** Addresses of a pod or of its node: at most one of each family, none twice. */
function addresses(field: string, list: readonly { readonly ip?: string }[] | undefined, old: typeof list): FieldError[] {
  const ips = (list ?? []).map(({ ip = '' }) => ip);
  const known = (old ?? []).map(({ ip = '' }) => ip);
  const errors = ips.flatMap((ip, i) => ipAddress(`${field}[${i}]`, ip, known));
  if (ips.length < 2) return errors;
  if (ips.length > 2 || !isDualStack(ips.map(ipFamily))) {
    const shown = ips.map((ip) => ({ IP: ip }));
    errors.push(fieldInvalid(field, shown, 'may specify no more than one IP for each IP family'));
  }
  const seen = new Set<string>();
  for (const [i, ip] of ips.entries()) {
    if (seen.has(ip)) errors.push(fieldDuplicate(`${field}[${i}]`, { IP: ip }));
    seen.add(ip);
  }
  return errors;
}

/** The first of the node's addresses is the one that has a field of its own. */
function firstHostIp({ hostIP = '', hostIPs = [] }: PodStatus): FieldError[] {
  const [first] = hostIPs;
  if (first === undefined || first.ip === hostIP) return [];
  return [fieldInvalid('status.hostIPs[0].ip', first.ip, 'must be equal to `hostIP`')];
}

function users(field: string, statuses: Statuses, os: string | undefined): FieldError[] {
  return (statuses ?? []).flatMap(({ user }, i) => {
    const linux = user?.linux;
    const at = `${field}[${i}].linux`;
    if (linux === undefined) return [];
    if (os === 'windows') return [fieldForbidden(at, 'cannot be set for a windows pod')];
    return [
      ...idErrors(`${at}.uid`, linux.uid),
      ...idErrors(`${at}.gid`, linux.gid),
      ...(linux.supplementalGroups ?? []).flatMap((id, j) => idErrors(`${at}.supplementalGroups[${j}]`, id)),
    ];
  });
}

const healths = ['Healthy', 'Unhealthy', 'Unknown'];

function resourceStatus(field: string, { name, resources }: ResourceStatus, container: Container | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const { requests = {}, claims = [] } = container?.resources ?? {};
  const asked = name.startsWith('claim:')
    ? claims.some((claim) => name === `claim:${claim.name}${(claim.request ?? '') === '' ? '' : `/${claim.request}`}`)
    : Object.hasOwn(requests, name);
  const of = name.startsWith('claim:')
    ? "resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
    : 'resource requests';
  if (container !== undefined && !asked) errors.push(fieldInvalid(`${field}.name`, name, `must match one of the container's ${of}`));
  const seen = new Set<string>();
  for (const [i, { resourceID: id, health = '' }] of (resources ?? []).entries()) {
    const at = `${field}.resources[${i}]`;
    if (!healths.includes(health)) errors.push(fieldNotSupported(`${at}.health`, health, healths));
    if (seen.has(id)) errors.push(fieldDuplicate(`${at}.resourceID`, id));
    seen.add(id);
  }
  return errors;
}

/** What is said of the devices that containers were given. */
const allocated = (field: string, statuses: Statuses, containers: readonly Container[] | undefined): FieldError[] =>
  (statuses ?? []).flatMap(({ name, allocatedResourcesStatus: list }, i) =>
    (list ?? []).flatMap((status, j) =>
      resourceStatus(
        `${field}[${i}].allocatedResourcesStatus[${j}]`,
        status,
        containers?.find((c) => c.name === name),
      ),
    ),
  );

export function podStatusUpdate(pod: Pod, old: Pod): FieldError[] {
  const spec = pod.spec ?? { containers: [] };
  const { status = {} } = pod;
  const { status: was = {} } = old;
  const { restartPolicy: policy = 'Always', containers, initContainers, nodeName } = old.spec ?? { containers: [] };
  const errors = podAnnotationUpdate('metadata.annotations', pod.metadata ?? {}, old.metadata ?? {}, spec);
  for (const [i, { type }] of (status.conditions ?? []).entries())
    if (!systemConditions.has(type)) errors.push(...qualifiedName(`metadata.conditions[${i}].Type`, type));
  if (spec.nodeName !== nodeName) errors.push(fieldForbidden('status.nodeName', 'may not be changed directly'));
  const { nominatedNodeName: nominated = '' } = status;
  if (nominated !== '' && nominated !== was.nominatedNodeName)
    errors.push(...fieldProblems('status.nominatedNodeName', nominated, isDns1123Subdomain(nominated)));
  errors.push(
    ...immutable('status.qosClass', status.qosClass, was.qosClass),
    ...nonNegative('status.observedGeneration', status.observedGeneration),
  );
  if (policy !== 'Always') {
    // Init containers that fail are tried again under OnFailure.
    errors.push(
      ...awoken('status.containerStatuses', status.containerStatuses, was.containerStatuses, restartsOf(containers, policy)),
      ...awoken(
        'status.initContainerStatuses',
        status.initContainerStatuses,
        was.initContainerStatuses,
        restartsOf(initContainers, policy),
      ),
    );
  }
  const { ephemeralContainerStatuses: ephemeral } = status;
  const os = spec.os?.name;
  return [
    ...errors,
    ...awoken('status.ephemeralContainerStatuses', ephemeral, was.ephemeralContainerStatuses, () => false),
    ...claimStatuses('status.resourceClaimStatuses', status.resourceClaimStatuses, spec),
    ...addresses('status.podIPs', status.podIPs, was.podIPs),
    ...firstHostIp(status),
    ...addresses('status.hostIPs', status.hostIPs, was.hostIPs),
    ...users('status.containerStatuses', status.containerStatuses, os),
    ...users('status.initContainerStatuses', status.initContainerStatuses, os),
    ...users('status.ephemeralContainerStatuses', ephemeral, os),
    ...allocated('status.containerStatuses', status.containerStatuses, spec.containers),
    ...allocated('status.initContainerStatuses', status.initContainerStatuses, spec.initContainers),
    ...(ephemeral ?? []).flatMap((s, i) =>
      (s.allocatedResourcesStatus ?? []).length > 0
        ? [fieldForbidden(`status.ephemeralContainerStatuses[${i}].allocatedResourcesStatus`, 'must not be specified in container status')]
        : [],
    ),
  ];
}

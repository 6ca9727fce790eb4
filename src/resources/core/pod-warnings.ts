/** What kubectl prints as Warning for pods and templates that are accepted: pkg/api/pod/warnings.go, pkg/api/node/util.go. */
import type { Container, ContainerPort, EphemeralContainer, NodeSelectorTerm, PodSpec, Volume } from '#kube/generated/core-v1.ts';
import type { ObjectMeta } from '#kube/generated/meta-v1.ts';
import { isDns1123Label } from '#kube/names.ts';
import type { KubeObject } from '#kube/object.ts';
import { milliValue } from '#kube/quantity.ts';
import { ipWarnings } from '#kube/validation/addresses.ts';
import { pathWarnings } from './path-warnings.ts';

type Amounts = Readonly<Record<string, string | number>> | undefined;

const deprecatedNodeLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};
export const deprecationOf = (label: string): string | undefined =>
  Object.hasOwn(deprecatedNodeLabels, label) ? deprecatedNodeLabels[label] : undefined;

const deprecatedAnnotations: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod': 'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
};

const removedVolumes: readonly (readonly [keyof Volume, string])[] = [
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['gitRepo', 'deprecated in v1.11'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['flocker', 'deprecated in v1.22, non-functional in v1.25+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
  ['quobyte', 'deprecated in v1.22, non-functional in v1.25+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
];

/** Amounts of bytes that are no whole bytes. */
export function fractionalBytes(field: string, amounts: Amounts, names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const amount = amounts?.[name];
    if (amount === undefined || milliValue(amount) % 1000 === 0) return [];
    return [`${field}[${name}]: fractional byte value ${JSON.stringify(String(amount))} is invalid, must be an integer`];
  });
}
const byteAmounts = ['memory', 'ephemeral-storage'];

/** Deprecated node labels that a term asks for. */
export const selectorTermWarnings = (field: string, term: NodeSelectorTerm): string[] =>
  (term.matchExpressions ?? []).flatMap(({ key }, i) => {
    const deprecation = deprecationOf(key);
    return deprecation === undefined ? [] : [`${field}.matchExpressions[${i}].key: ${key} is ${deprecation}`];
  });

function placementWarnings(at: string, spec: PodSpec): string[] {
  const warnings = Object.keys(spec.nodeSelector ?? {}).flatMap((key) => {
    const deprecation = deprecationOf(key);
    return deprecation === undefined ? [] : [`${at}.nodeSelector[${key}]: ${deprecation}`];
  });
  const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution: preferred } =
    spec.affinity?.nodeAffinity ?? {};
  const affinity = `${at}.affinity.nodeAffinity`;
  for (const [i, term] of (required?.nodeSelectorTerms ?? []).entries())
    warnings.push(...selectorTermWarnings(`${affinity}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[${i}]`, term));
  for (const [i, { preference }] of (preferred ?? []).entries())
    warnings.push(...selectorTermWarnings(`${affinity}.preferredDuringSchedulingIgnoredDuringExecution[${i}].preference`, preference));
  for (const [i, spread] of (spec.topologySpreadConstraints ?? []).entries()) {
    const field = `${at}.topologySpreadConstraints[${i}]`;
    const deprecation = deprecationOf(spread.topologyKey);
    if (deprecation !== undefined) warnings.push(`${field}.topologyKey: ${spread.topologyKey} is ${deprecation}`);
    if (spread.labelSelector === undefined) warnings.push(`${field}.${noPod}`);
  }
  return warnings;
}

const noPod = 'labelSelector: a null labelSelector results in matching no pod';

function podAffinityWarnings(at: string, spec: PodSpec): string[] {
  const warnings: string[] = [];
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution: preferred } =
      spec.affinity?.[kind] ?? {};
    const field = `${at}.affinity.${kind}`;
    for (const [i, term] of (required ?? []).entries())
      if (term.labelSelector === undefined) warnings.push(`${field}.requiredDuringSchedulingIgnoredDuringExecution[${i}].${noPod}`);
    for (const [i, { podAffinityTerm }] of (preferred ?? []).entries())
      if (podAffinityTerm.labelSelector === undefined)
        warnings.push(`${field}.preferredDuringSchedulingIgnoredDuringExecution[${i}].podAffinityTerm.${noPod}`);
  }
  return warnings;
}

function volumeWarnings(at: string, volumes: readonly Volume[]): string[] {
  const warnings = volumes.flatMap((volume, i) => [
    ...removedVolumes.flatMap(([source, what]) =>
      volume[source] === undefined ? [] : [`${at}.volumes[${i}].${source === 'storageos' ? 'storageOS' : source}: ${what}`],
    ),
    ...fractionalBytes(
      `${at}.volumes[${i}].ephemeral.volumeClaimTemplate.spec.resources.requests`,
      volume.ephemeral?.volumeClaimTemplate?.spec.resources?.requests,
      ['storage'],
    ),
  ]);
  return [...warnings, ...pathWarnings(volumes)];
}

interface Located {
  readonly field: string;
  readonly container: Container | EphemeralContainer;
}

const containersOf = (at: string, spec: PodSpec): Located[] =>
  (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((kind) =>
    (spec[kind] ?? []).map((container, i) => ({ field: `${at}.${kind}[${i}]`, container })),
  );

function environmentWarnings({ field, container }: Located): string[] {
  const names = new Set<string>();
  return (container.env ?? []).flatMap(({ name, value = '', valueFrom }, i) => {
    const again = names.has(name);
    names.add(name);
    const reference = `$(${name})`;
    // A value made with the one before may well be meant.
    if (!again || (valueFrom === undefined && value !== reference && value.includes(reference))) return [];
    return [`${field}.env[${i}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`];
  });
}

/** How two ports of one number clash; undefined where they do not. */
function portClash(a: ContainerPort, b: ContainerPort): string | undefined {
  const [ipA, ipB] = [a.hostIP ?? '', b.hostIP ?? ''];
  const [portA, portB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  if (ipA === ipB && portA === portB) return 'duplicate';
  if (portA === 0 || portB === 0) return 'overlapping';
  return portA === portB && (ipA === '') !== (ipB === '') ? 'dangerously ambiguous' : undefined;
}

function portWarnings(containers: readonly Located[]): string[] {
  const warnings: string[] = [];
  const seen = new Map<string, { readonly field: string; readonly port: ContainerPort }[]>();
  for (const { field, container } of containers)
    for (const [i, port] of (container.ports ?? []).entries()) {
      const at = `${field}.ports[${i}]`;
      const { name = '', containerPort, hostIP = '', hostPort = 0, protocol = '' } = port;
      if (hostIP !== '' && hostPort === 0)
        warnings.push(
          `${at}: hostIP set without hostPort: {Name:${name} HostPort:0 ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`,
        );
      const key = `${containerPort}/${protocol}`;
      const others = seen.get(key) ?? [];
      for (const other of others) {
        const clash = portClash(port, other.port);
        if (clash !== undefined) warnings.push(`${at}: ${clash} port definition with ${other.field}`);
      }
      seen.set(key, [...others, { field: at, port }]);
    }
  return warnings;
}

function twice<T>(list: readonly T[] | undefined, value: (item: T) => string, text: (i: number, value: string) => string): string[] {
  const seen = new Set<string>();
  return (list ?? []).flatMap((item, i) => {
    const known = seen.has(value(item));
    seen.add(value(item));
    return known ? [text(i, value(item))] : [];
  });
}

function annotationWarnings(path: string, meta: ObjectMeta | undefined, spec: PodSpec): string[] {
  const annotations = meta?.annotations ?? {};
  const field = `${path}metadata.annotations`;
  const warnings = Object.entries(deprecatedAnnotations).flatMap(([key, what]) =>
    Object.hasOwn(annotations, key) ? [`${field}[${key}]: ${what}`] : [],
  );
  const seccomp = (key: string): void => {
    if (Object.hasOwn(annotations, key))
      warnings.push(`${field}[${key}]: non-functional in v1.27+; use the "seccompProfile" field instead`);
  };
  if (spec.securityContext?.seccompProfile === undefined) seccomp('seccomp.security.alpha.kubernetes.io/pod');
  for (const { container } of containersOf('', spec)) {
    const { securityContext, name } = container;
    if (securityContext?.seccompProfile === undefined) seccomp(`container.seccomp.security.alpha.kubernetes.io/${name}`);
    const armor = `container.apparmor.security.beta.kubernetes.io/${name}`;
    const armored = spec.securityContext?.appArmorProfile !== undefined || securityContext?.appArmorProfile !== undefined;
    if (path !== '' && !armored && Object.hasOwn(annotations, armor))
      warnings.push(`${field}[${armor}]: deprecated since v1.30; use the "appArmorProfile" field instead`);
  }
  return warnings;
}

/** Warnings about a pod, or a template at a path such as spec.template. */
export function podWarnings(path: string, pod: { readonly metadata?: ObjectMeta; readonly spec?: PodSpec } | undefined): string[] {
  const spec = pod?.spec;
  if (spec === undefined) return [];
  const prefix = path === '' ? '' : `${path}.`;
  const at = `${prefix}spec`;
  const containers = containersOf(at, spec);
  const grace = spec.terminationGracePeriodSeconds;
  return [
    ...placementWarnings(at, spec),
    ...annotationWarnings(prefix, pod?.metadata, spec),
    ...volumeWarnings(at, spec.volumes ?? []),
    ...twice(
      spec.hostAliases,
      (a) => a.ip,
      (i, ip) => `${at}.hostAliases[${i}].ip: duplicate ip ${JSON.stringify(ip)}`,
    ),
    ...twice(
      spec.imagePullSecrets,
      (s) => s.name ?? '',
      (i, name) => `${at}.imagePullSecrets[${i}].name: duplicate name ${JSON.stringify(name)}`,
    ),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name = '' }, i) =>
      name === '' ? [`${at}.imagePullSecrets[${i}].name: invalid empty name ""`] : [],
    ),
    ...fractionalBytes(`${at}.overhead`, spec.overhead, byteAmounts),
    ...containers.flatMap((c) => [
      ...fractionalBytes(`${c.field}.resources.limits`, c.container.resources?.limits, byteAmounts),
      ...fractionalBytes(`${c.field}.resources.requests`, c.container.resources?.requests, byteAmounts),
      ...environmentWarnings(c),
    ]),
    ...portWarnings(containers),
    ...(grace !== undefined && grace < 0
      ? [`${at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`]
      : []),
    ...podAffinityWarnings(at, spec),
    ...(spec.dnsConfig?.nameservers ?? []).flatMap((ip, i) => ipWarnings(`${at}.dnsConfig.nameservers[${i}]`, ip)),
    ...(spec.hostAliases ?? []).flatMap(({ ip }, i) => ipWarnings(`${at}.hostAliases[${i}].ip`, ip)),
  ];
}

/** Names that become host names should be labels. `what`: upstream's words for where the name is used. */
export function nameWarnings(object: KubeObject, what: string): string[] {
  const problems = isDns1123Label(object.metadata.name ?? '');
  if (problems.length === 0) return [];
  return [`metadata.name: ${what}, which can result in surprising behavior; a DNS label is recommended: [${problems.join(' ')}]`];
}

export const inPodHostname = "this is used in the Pod's hostname";
export const inPodNames = 'this is used in Pod names and hostnames';

/**
 * The Pod Security Standards: what each check finds wrong with a pod, in upstream's words
 * (k8s.io/pod-security-admission/policy).
 */
import type { Container, PodSecurityContext, PodSpec, SecurityContext } from '#kube/generated/core-v1.ts';
import type { ObjectMeta } from '#kube/object.ts';

export interface Violation {
  /** The check's short reason: "privileged". */
  readonly reason: string;
  /** Which containers or fields, and what they must not have. */
  readonly detail: string;
}

export interface PodUnderCheck {
  readonly metadata: ObjectMeta;
  readonly spec: PodSpec;
}

export type Check = (pod: PodUnderCheck) => Violation | undefined;

const plural = (n: number, one: string, many: string): string => (n === 1 ? one : many);
const quoted = (names: readonly string[]): string => names.map((n) => JSON.stringify(n)).join(', ');
const unique = (names: readonly string[]): string[] => [...new Set(names)].sort();

const containersOf = (spec: PodSpec): readonly Container[] => [
  ...(spec.initContainers ?? []),
  ...spec.containers,
  ...((spec.ephemeralContainers ?? []) as readonly Container[]),
];

const named = (names: readonly string[]): string => `${plural(names.length, 'container', 'containers')} ${quoted(names)}`;

/** A violation that names the containers whose security context a test finds wanting. */
const perContainer =
  (reason: string, wrong: (s: SecurityContext | undefined, c: Container) => boolean, must: string): Check =>
  ({ spec }) => {
    const names = containersOf(spec)
      .filter((c) => wrong(c.securityContext, c))
      .map((c) => c.name);
    return names.length === 0 ? undefined : { reason, detail: `${named(names)} ${must}` };
  };

export const hostNamespaces: Check = ({ spec }) => {
  const on = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((f) => spec[f] === true);
  return on.length === 0 ? undefined : { reason: 'host namespaces', detail: on.map((f) => `${f}=true`).join(', ') };
};

export const hostPathVolumes: Check = ({ spec }) => {
  const names = (spec.volumes ?? []).filter((v) => v.hostPath !== undefined).map((v) => v.name);
  return names.length === 0
    ? undefined
    : { reason: 'hostPath volumes', detail: `${plural(names.length, 'volume', 'volumes')} ${quoted(names)}` };
};

export const hostPorts: Check = ({ spec }) => {
  const using = containersOf(spec).map((c) => ({ c, ports: (c.ports ?? []).map((p) => p.hostPort ?? 0).filter((p) => p !== 0) }));
  const bad = using.filter((u) => u.ports.length > 0);
  if (bad.length === 0) return undefined;
  const ports = [...new Set(bad.flatMap((u) => u.ports))].sort((a, b) => a - b);
  const names = bad.map((u) => u.c.name);
  const uses = `${named(names)} ${plural(names.length, 'uses', 'use')}`;
  return { reason: 'hostPort', detail: `${uses} ${plural(ports.length, 'hostPort', 'hostPorts')} ${ports.join(', ')}` };
};

const baselineCapabilities = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(' '),
);

const addedCapabilities =
  (reason: string, allowed: ReadonlySet<string>): Check =>
  ({ spec }) => {
    const bad = containersOf(spec)
      .map((c) => ({ name: c.name, added: (c.securityContext?.capabilities?.add ?? []).filter((k) => !allowed.has(k)) }))
      .filter((c) => c.added.length > 0);
    if (bad.length === 0) return undefined;
    const names = bad.map((b) => b.name);
    const added = unique(bad.flatMap((b) => b.added));
    return { reason, detail: `${named(names)} must not include ${quoted(added)} in securityContext.capabilities.add` };
  };

/** Where a setting may stand: in the pod, in containers, or both; and how a sentence begins about that. */
function setters(podSets: boolean, containers: readonly string[]): string {
  const parts = [...(podSets ? ['pod'] : []), ...(containers.length > 0 ? [named(containers)] : [])];
  return parts.join(' and ');
}

export const seLinuxOptions =
  (allowedTypes: ReadonlySet<string>): Check =>
  ({ spec }) => {
    const pod = spec.securityContext?.seLinuxOptions;
    const contexts = [
      { name: undefined, options: pod },
      ...containersOf(spec).map((c) => ({ name: c.name, options: c.securityContext?.seLinuxOptions })),
    ];
    const wrong = contexts.filter(
      (c) => !allowedTypes.has(c.options?.type ?? '') || (c.options?.user ?? '') !== '' || (c.options?.role ?? '') !== '',
    );
    if (wrong.length === 0) return undefined;
    const problems: string[] = [];
    const types = unique(wrong.map((c) => c.options?.type ?? '').filter((t) => !allowedTypes.has(t)));
    if (types.length > 0) problems.push(`${plural(types.length, 'type', 'types')} ${quoted(types)}`);
    if (wrong.some((c) => (c.options?.user ?? '') !== '')) problems.push('user may not be set');
    if (wrong.some((c) => (c.options?.role ?? '') !== '')) problems.push('role may not be set');
    const names = wrong.flatMap((c) => c.name ?? []);
    return {
      reason: 'seLinuxOptions',
      detail: `${setters(
        wrong.some((c) => c.name === undefined),
        names,
      )} set forbidden securityContext.seLinuxOptions: ${problems.join('; ')}`,
    };
  };

export const procMount: Check = ({ spec }) => {
  const bad = containersOf(spec).filter((c) => !['', 'Default'].includes(c.securityContext?.procMount ?? ''));
  if (bad.length === 0) return undefined;
  const forbidden = unique(bad.map((c) => c.securityContext?.procMount ?? ''));
  return { reason: 'procMount', detail: `${named(bad.map((c) => c.name))} must not set securityContext.procMount to ${quoted(forbidden)}` };
};

export const sysctls =
  (allowed: ReadonlySet<string>): Check =>
  ({ spec }) => {
    const names = (spec.securityContext?.sysctls ?? []).map((s) => s.name).filter((n) => !allowed.has(n));
    return names.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: names.join(', ') };
  };

/** A profile that may be set in the pod and in containers, where only some values are fine. */
const forbiddenProfile =
  (
    reason: string,
    field: string,
    typeIn: (s: SecurityContext | PodSecurityContext | undefined) => string,
    fine: (v: string) => boolean,
  ): Check =>
  ({ spec }) => {
    const podValue = typeIn(spec.securityContext);
    const podWrong = podValue !== '' && !fine(podValue);
    const wrong = containersOf(spec).filter((c) => {
      const v = typeIn(c.securityContext);
      return v !== '' && !fine(v);
    });
    if (!podWrong && wrong.length === 0) return undefined;
    const values = unique([...(podWrong ? [podValue] : []), ...wrong.map((c) => typeIn(c.securityContext))]);
    return {
      reason,
      detail: `${setters(
        podWrong,
        wrong.map((c) => c.name),
      )} must not set ${field} to ${quoted(values)}`,
    };
  };

const seccompOf = (s: SecurityContext | PodSecurityContext | undefined): string => s?.seccompProfile?.type ?? '';
const appArmorOf = (s: SecurityContext | PodSecurityContext | undefined): string => s?.appArmorProfile?.type ?? '';

/** Annotations that set AppArmor profiles other than the runtime's own and those of the node, as key="value". */
function appArmorAnnotations({ metadata }: PodUnderCheck): string[] {
  const prefix = 'container.apparmor.security.beta.kubernetes.io/';
  const fine = (v: string): boolean => v === '' || v === 'runtime/default' || v.startsWith('localhost/');
  const bad = Object.entries(metadata.annotations ?? {}).filter(([k, v]) => k.startsWith(prefix) && !fine(v));
  return bad.map(([k, v]) => `${k}=${JSON.stringify(v)}`).sort();
}

export const appArmor: Check = (pod) => {
  const { spec } = pod;
  const wrong = (s: SecurityContext | PodSecurityContext | undefined): boolean => appArmorOf(s) === 'Unconfined';
  const names = containersOf(spec)
    .filter((c) => wrong(c.securityContext))
    .map((c) => c.name);
  const annotations = appArmorAnnotations(pod);
  const who = [
    ...(wrong(spec.securityContext) ? ['pod'] : []),
    ...(names.length > 0 ? [named(names)] : []),
    ...(annotations.length > 0 ? [plural(annotations.length, 'annotation', 'annotations')] : []),
  ];
  if (who.length === 0) return undefined;
  const values = [...(wrong(spec.securityContext) || names.length > 0 ? ['Unconfined'] : []), ...annotations];
  return {
    reason: plural(values.length, 'forbidden AppArmor profile', 'forbidden AppArmor profiles'),
    // Upstream puts quotes around the annotations as they are.
    detail: `${who.join(' and ')} must not set AppArmor profile type to ${values.map((v) => `"${v}"`).join(', ')}`,
  };
};

export const hostProcess: Check = ({ spec }) => {
  const pod = spec.securityContext?.windowsOptions?.hostProcess === true;
  const names = containersOf(spec)
    .filter((c) => c.securityContext?.windowsOptions?.hostProcess === true)
    .map((c) => c.name);
  if (!pod && names.length === 0) return undefined;
  return { reason: 'hostProcess', detail: `${setters(pod, names)} must not set securityContext.windowsOptions.hostProcess=true` };
};

/** The hosts that the probes and hooks of a container name. */
const handlerHosts = (c: Container): readonly string[] =>
  [c.livenessProbe, c.readinessProbe, c.startupProbe, c.lifecycle?.postStart, c.lifecycle?.preStop]
    .flatMap((handler) => [handler?.httpGet?.host ?? '', handler?.tcpSocket?.host ?? ''])
    .filter((host) => host !== '');

export const hostProbes: Check = ({ spec }) => {
  const bad = containersOf(spec).filter((c) => handlerHosts(c).length > 0);
  if (bad.length === 0) return undefined;
  const names = unique(bad.map((c) => c.name));
  const hosts = unique(bad.flatMap(handlerHosts));
  const what = plural(hosts.length, 'probe or lifecycle host', 'probe or lifecycle hosts');
  return { reason: 'probe or lifecycle host', detail: `${named(names)} ${plural(names.length, 'uses', 'use')} ${what} ${quoted(hosts)}` };
};

const restrictedVolumeTypes = new Set(
  'configMap downwardAPI emptyDir projected secret csi persistentVolumeClaim ephemeral image'.split(' '),
);

export const restrictedVolumes: Check = ({ spec }) => {
  const bad = (spec.volumes ?? [])
    .map((v) => ({ name: v.name, types: Object.keys(v).filter((k) => k !== 'name') }))
    .filter((v) => !v.types.some((type) => restrictedVolumeTypes.has(type)));
  if (bad.length === 0) return undefined;
  const types = unique(bad.map((v) => v.types[0] ?? 'unknown'));
  const uses = `${plural(bad.length, 'volume', 'volumes')} ${quoted(bad.map((v) => v.name))} ${plural(bad.length, 'uses', 'use')}`;
  return {
    reason: 'restricted volume types',
    detail: `${uses} restricted volume ${plural(types.length, 'type', 'types')} ${quoted(types)}`,
  };
};

/** A check that is not for pods on Windows. */
export const unlessWindows =
  (check: Check): Check =>
  (pod) =>
    pod.spec.os?.name === 'windows' ? undefined : check(pod);

/** A check that is not for pods with a user namespace of their own (KEP-127). */
export const unlessOwnUsers =
  (check: Check): Check =>
  (pod) =>
    pod.spec.hostUsers === false ? undefined : check(pod);

export const privilegeEscalation: Check = perContainer(
  'allowPrivilegeEscalation != false',
  (c) => c?.allowPrivilegeEscalation !== false,
  'must set securityContext.allowPrivilegeEscalation=false',
);

export const privileged: Check = perContainer('privileged', (c) => c?.privileged === true, 'must not set securityContext.privileged=true');

export const runAsNonRoot: Check = ({ spec }) => {
  const pod = spec.securityContext?.runAsNonRoot;
  const explicit = containersOf(spec)
    .filter((c) => c.securityContext?.runAsNonRoot === false)
    .map((c) => c.name);
  const reason = 'runAsNonRoot != true';
  if (pod === false || explicit.length > 0) {
    return { reason, detail: `${setters(pod === false, explicit)} must not set securityContext.runAsNonRoot=false` };
  }
  const unset =
    pod === true
      ? []
      : containersOf(spec)
          .filter((c) => c.securityContext?.runAsNonRoot === undefined)
          .map((c) => c.name);
  return unset.length === 0 ? undefined : { reason, detail: `pod or ${named(unset)} must set securityContext.runAsNonRoot=true` };
};

export const runAsUser: Check = ({ spec }) => {
  const pod = spec.securityContext?.runAsUser === 0;
  const names = containersOf(spec)
    .filter((c) => c.securityContext?.runAsUser === 0)
    .map((c) => c.name);
  if (!pod && names.length === 0) return undefined;
  return { reason: 'runAsUser=0', detail: `${setters(pod, names)} must not set runAsUser=0` };
};

const seccompKey = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompPrefix = 'container.seccomp.security.alpha.kubernetes.io/';

/** Before Kubernetes 1.19, seccomp profiles were annotations. */
export const seccompAnnotations: Check = ({ metadata, spec }) => {
  const keys = [seccompKey, ...containersOf(spec).map((c) => seccompPrefix + c.name)];
  const fine = (v: string): boolean => v === 'runtime/default' || v === 'docker/default' || v.startsWith('localhost/');
  const bad = keys.flatMap((key) => {
    const value = metadata.annotations?.[key];
    return value === undefined || fine(value) ? [] : [`${key}=${JSON.stringify(value)}`];
  });
  if (bad.length === 0) return undefined;
  return { reason: 'seccompProfile', detail: `forbidden ${plural(bad.length, 'annotation', 'annotations')} ${unique(bad).join(', ')}` };
};

export const seccompBaseline: Check = forbiddenProfile(
  'seccompProfile',
  'securityContext.seccompProfile.type',
  seccompOf,
  (v) => v !== 'Unconfined',
);

export const seccompRestricted: Check = (pod) => {
  const { spec } = pod;
  const fine = (v: string): boolean => v === 'RuntimeDefault' || v === 'Localhost';
  const wrong = forbiddenProfile('seccompProfile', 'securityContext.seccompProfile.type', seccompOf, fine)(pod);
  if (wrong !== undefined) return wrong;
  if (seccompOf(spec.securityContext) !== '') return undefined;
  const unset = containersOf(spec)
    .filter((c) => seccompOf(c.securityContext) === '')
    .map((c) => c.name);
  if (unset.length === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `pod or ${named(unset)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
};

export const restrictedCapabilities: Check = (pod) => {
  const { spec } = pod;
  const undropped = containersOf(spec)
    .filter((c) => !(c.securityContext?.capabilities?.drop ?? []).includes('ALL'))
    .map((c) => c.name);
  const added = addedCapabilities('', new Set(['NET_BIND_SERVICE']))(pod)?.detail;
  const details = [
    ...(undropped.length > 0 ? [`${named(undropped)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(added === undefined ? [] : [added]),
  ];
  return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') };
};

export const baselineCapabilitiesOnly: Check = addedCapabilities('non-default capabilities', baselineCapabilities);

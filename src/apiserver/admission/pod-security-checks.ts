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

type Check = (pod: PodUnderCheck) => Violation | undefined;

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

const hostNamespaces: Check = ({ spec }) => {
  const on = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((f) => spec[f] === true);
  return on.length === 0 ? undefined : { reason: 'host namespaces', detail: on.map((f) => `${f}=true`).join(', ') };
};

const hostPathVolumes: Check = ({ spec }) => {
  const names = (spec.volumes ?? []).filter((v) => v.hostPath !== undefined).map((v) => v.name);
  return names.length === 0
    ? undefined
    : { reason: 'hostPath volumes', detail: `${plural(names.length, 'volume', 'volumes')} ${quoted(names)}` };
};

const hostPorts: Check = ({ spec }) => {
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

const seLinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']);

/** Where a setting may stand: in the pod, in containers, or both; and how a sentence begins about that. */
function setters(podSets: boolean, containers: readonly string[]): string {
  const parts = [...(podSets ? ['pod'] : []), ...(containers.length > 0 ? [named(containers)] : [])];
  return parts.join(' and ');
}

const seLinuxOptions: Check = ({ spec }) => {
  const pod = spec.securityContext?.seLinuxOptions;
  const contexts = [
    { name: undefined, options: pod },
    ...containersOf(spec).map((c) => ({ name: c.name, options: c.securityContext?.seLinuxOptions })),
  ];
  const wrong = contexts.filter(
    (c) => !seLinuxTypes.has(c.options?.type ?? '') || (c.options?.user ?? '') !== '' || (c.options?.role ?? '') !== '',
  );
  if (wrong.length === 0) return undefined;
  const problems: string[] = [];
  const types = unique(wrong.map((c) => c.options?.type ?? '').filter((t) => !seLinuxTypes.has(t)));
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

const procMount: Check = ({ spec }) => {
  if (spec.hostUsers === false) return undefined;
  const bad = containersOf(spec).filter((c) => !['', 'Default'].includes(c.securityContext?.procMount ?? ''));
  if (bad.length === 0) return undefined;
  const forbidden = unique(bad.map((c) => c.securityContext?.procMount ?? ''));
  return { reason: 'procMount', detail: `${named(bad.map((c) => c.name))} must not set securityContext.procMount to ${quoted(forbidden)}` };
};

const allowedSysctls = new Set(
  'kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.tcp_syncookies net.ipv4.ping_group_range net.ipv4.ip_unprivileged_port_start net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem'.split(
    ' ',
  ),
);

const sysctls: Check = ({ spec }) => {
  const names = (spec.securityContext?.sysctls ?? []).map((s) => s.name).filter((n) => !allowedSysctls.has(n));
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

const appArmorAnnotations: Check = ({ metadata }) => {
  const prefix = 'container.apparmor.security.beta.kubernetes.io/';
  const fine = (v: string): boolean => v === '' || v === 'runtime/default' || v.startsWith('localhost/');
  const bad = Object.entries(metadata.annotations ?? {}).filter(([k, v]) => k.startsWith(prefix) && !fine(v));
  if (bad.length === 0) return undefined;
  const text = bad.map(([k, v]) => `${k}=${JSON.stringify(v)}`).sort();
  return { reason: plural(bad.length, 'forbidden AppArmor profile', 'forbidden AppArmor profiles'), detail: text.join(', ') };
};

const appArmor: Check = (pod) =>
  forbiddenProfile('forbidden AppArmor profile', 'securityContext.appArmorProfile.type', appArmorOf, (v) => v !== 'Unconfined')(pod) ??
  appArmorAnnotations(pod);

const hostProcess: Check = ({ spec }) => {
  const pod = spec.securityContext?.windowsOptions?.hostProcess === true;
  const names = containersOf(spec)
    .filter((c) => c.securityContext?.windowsOptions?.hostProcess === true)
    .map((c) => c.name);
  if (!pod && names.length === 0) return undefined;
  return { reason: 'hostProcess', detail: `${setters(pod, names)} must not set securityContext.windowsOptions.hostProcess=true` };
};

const hostProbes: Check = ({ spec }) => {
  const bad = containersOf(spec).filter((c) =>
    [c.livenessProbe, c.readinessProbe, c.startupProbe, c.lifecycle?.postStart, c.lifecycle?.preStop].some(
      (h) => (h?.httpGet?.host ?? '') !== '' || (h?.tcpSocket?.host ?? '') !== '',
    ),
  );
  if (bad.length === 0) return undefined;
  const names = bad.map((c) => c.name);
  return { reason: 'probe or lifecycle host', detail: `${named(names)} ${plural(names.length, 'uses', 'use')} probe or lifecycle host` };
};

const restrictedVolumeTypes = new Set(
  'configMap downwardAPI emptyDir projected secret csi persistentVolumeClaim ephemeral image'.split(' '),
);

const restrictedVolumes: Check = ({ spec }) => {
  const bad = (spec.volumes ?? [])
    .map((v) => ({ name: v.name, type: Object.keys(v).find((k) => k !== 'name' && !restrictedVolumeTypes.has(k)) }))
    .filter((v) => v.type !== undefined);
  if (bad.length === 0) return undefined;
  const types = unique(bad.map((v) => v.type ?? ''));
  const uses = `${plural(bad.length, 'volume', 'volumes')} ${quoted(bad.map((v) => v.name))} ${plural(bad.length, 'uses', 'use')}`;
  return {
    reason: 'restricted volume types',
    detail: `${uses} restricted volume ${plural(types.length, 'type', 'types')} ${quoted(types)}`,
  };
};

const isWindows = (spec: PodSpec): boolean => spec.os?.name === 'windows';

const privilegeEscalation: Check = (pod) =>
  isWindows(pod.spec)
    ? undefined
    : perContainer(
        'allowPrivilegeEscalation != false',
        (s) => s?.allowPrivilegeEscalation !== false,
        'must set securityContext.allowPrivilegeEscalation=false',
      )(pod);

const runAsNonRoot: Check = ({ spec }) => {
  if (spec.hostUsers === false) return undefined;
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

const runAsUser: Check = ({ spec }) => {
  if (spec.hostUsers === false) return undefined;
  const pod = spec.securityContext?.runAsUser === 0;
  const names = containersOf(spec)
    .filter((c) => c.securityContext?.runAsUser === 0)
    .map((c) => c.name);
  if (!pod && names.length === 0) return undefined;
  return { reason: 'runAsUser=0', detail: `${setters(pod, names)} must not set runAsUser=0` };
};

const seccompRestricted: Check = (pod) => {
  const { spec } = pod;
  if (isWindows(spec)) return undefined;
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

const restrictedCapabilities: Check = (pod) => {
  const { spec } = pod;
  if (isWindows(spec)) return undefined;
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

const baseline: readonly Check[] = [
  appArmor,
  addedCapabilities('non-default capabilities', baselineCapabilities),
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  hostProbes,
  perContainer('privileged', (s) => s?.privileged === true, 'must not set securityContext.privileged=true'),
  procMount,
  forbiddenProfile('seccompProfile', 'securityContext.seccompProfile.type', seccompOf, (v) => v !== 'Unconfined'),
  seLinuxOptions,
  sysctls,
  hostProcess,
];

/** In restricted, its own checks stand for the weaker ones of the baseline about the same. */
const restricted: readonly Check[] = [
  appArmor,
  privilegeEscalation,
  restrictedCapabilities,
  hostNamespaces,
  hostPorts,
  hostProbes,
  perContainer('privileged', (s) => s?.privileged === true, 'must not set securityContext.privileged=true'),
  procMount,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
  seLinuxOptions,
  sysctls,
  hostProcess,
];

export type Level = 'privileged' | 'baseline' | 'restricted';

/** What keeps a pod from a level; nothing when it may run there. */
export function violations(level: Level, pod: PodUnderCheck): Violation[] {
  const checks = level === 'privileged' ? [] : level === 'baseline' ? baseline : restricted;
  return checks.flatMap((check) => check(pod) ?? []);
}

/** Which checks make up the levels, in which version of Kubernetes each came or changed (k8s.io/pod-security-admission/policy). */
import {
  appArmor,
  baselineCapabilitiesOnly,
  type Check,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  hostProbes,
  hostProcess,
  type PodUnderCheck,
  privileged,
  privilegeEscalation,
  procMount,
  restrictedCapabilities,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompAnnotations,
  seccompBaseline,
  seccompRestricted,
  seLinuxOptions,
  sysctls,
  unlessOwnUsers,
  unlessWindows,
  type Violation,
} from './pod-security-checks.ts';

export type Level = 'privileged' | 'baseline' | 'restricted';

interface VersionedCheck {
  readonly id: string;
  readonly restricted?: true;
  /** The minor version of Kubernetes from which on a form of the check holds, ascending. */
  readonly versions: readonly (readonly [minor: number, check: Check])[];
  /** The check of the baseline that this one stands for in the restricted level. */
  readonly instead?: string;
}

const seLinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t'];
const firstSysctls = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
];
const sysctls27 = [...firstSysctls, 'net.ipv4.ip_local_reserved_ports'];
const sysctls29 = [
  ...sysctls27,
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
];
const sysctls32 = [...sysctls29, 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem'];
const allowing = (names: readonly string[]): Check => sysctls(new Set(names));

/** In the order in which upstream tells violations: by level, then by id. */
const checks: readonly VersionedCheck[] = [
  { id: 'appArmorProfile', versions: [[0, appArmor]] },
  { id: 'capabilities_baseline', versions: [[0, baselineCapabilitiesOnly]] },
  { id: 'hostNamespaces', versions: [[0, hostNamespaces]] },
  { id: 'hostPathVolumes', versions: [[0, hostPathVolumes]] },
  { id: 'hostPorts', versions: [[0, hostPorts]] },
  { id: 'hostProbesAndHostLifecycle', versions: [[34, hostProbes]] },
  { id: 'privileged', versions: [[0, privileged]] },
  {
    id: 'procMount',
    versions: [
      [0, procMount],
      [35, unlessOwnUsers(procMount)],
    ],
  },
  {
    id: 'seLinuxOptions',
    versions: [
      [0, seLinuxOptions(new Set(seLinuxTypes))],
      [31, seLinuxOptions(new Set([...seLinuxTypes, 'container_engine_t']))],
    ],
  },
  {
    id: 'seccompProfile_baseline',
    versions: [
      [0, seccompAnnotations],
      [19, seccompBaseline],
    ],
  },
  {
    id: 'sysctls',
    versions: [
      [0, allowing(firstSysctls)],
      [27, allowing(sysctls27)],
      [29, allowing(sysctls29)],
      [32, allowing(sysctls32)],
    ],
  },
  { id: 'windowsHostProcess', versions: [[0, hostProcess]] },
  {
    id: 'allowPrivilegeEscalation',
    restricted: true,
    versions: [
      [8, privilegeEscalation],
      [25, unlessWindows(privilegeEscalation)],
    ],
  },
  {
    id: 'capabilities_restricted',
    restricted: true,
    instead: 'capabilities_baseline',
    versions: [
      [22, restrictedCapabilities],
      [25, unlessWindows(restrictedCapabilities)],
    ],
  },
  { id: 'restrictedVolumes', restricted: true, instead: 'hostPathVolumes', versions: [[0, restrictedVolumes]] },
  {
    id: 'runAsNonRoot',
    restricted: true,
    versions: [
      [0, runAsNonRoot],
      [35, unlessOwnUsers(runAsNonRoot)],
    ],
  },
  {
    id: 'runAsUser',
    restricted: true,
    versions: [
      [23, runAsUser],
      [35, unlessOwnUsers(runAsUser)],
    ],
  },
  {
    id: 'seccompProfile_restricted',
    restricted: true,
    instead: 'seccompProfile_baseline',
    versions: [
      [19, seccompRestricted],
      [25, unlessWindows(seccompRestricted)],
    ],
  },
];

/** The minor version that a label names: that of "latest", and of versions to come, is beyond all. */
export const minorOf = (version: string): number => (version === 'latest' ? Number.POSITIVE_INFINITY : Number(version.slice('v1.'.length)));

function checksOf(level: Level, version: string): readonly Check[] {
  if (level === 'privileged') return [];
  const minor = minorOf(version);
  const inForce = checks.flatMap((c) => {
    const form = c.versions.findLast(([since]) => since <= minor);
    return form === undefined || (c.restricted === true && level === 'baseline') ? [] : [{ ...c, check: form[1] }];
  });
  const replaced = new Set(inForce.map((c) => c.instead));
  return inForce.filter((c) => !replaced.has(c.id)).map((c) => c.check);
}

const known = new Map<string, readonly Check[]>();
/** Versions that labels may name are without number, but few are. */
const maxKnown = 100;

/** What keeps a pod from a level as a version of Kubernetes has it ("latest" or "v1.30"); nothing when it may run there. */
export function violations(level: Level, pod: PodUnderCheck, version = 'latest'): Violation[] {
  const key = `${level}:${version}`;
  let found = known.get(key);
  if (found === undefined) {
    found = checksOf(level, version);
    if (known.size < maxKnown) known.set(key, found);
  }
  return found.flatMap((check) => check(pod) ?? []);
}

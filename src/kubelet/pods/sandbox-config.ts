/** What the runtime is told about a pod as a whole: pkg/kubelet/kuberuntime/kuberuntime_sandbox.go. Pure. */
import { join } from 'node:path';
import type { Container, Pod, PodSecurityContext, SeccompProfile } from '#kube/generated/core-v1.ts';
import type { Init } from '../cri/client.ts';
import type {
  DNSConfig,
  LinuxSandboxSecurityContext,
  NamespaceOption,
  PodSandboxConfig,
  PortMapping,
  SecurityProfile,
} from '../cri/generated/cri.ts';
import { podHostname } from './hosts.ts';
import { identityOf, type KubeletPaths, labels, podAnnotations, podLogDir } from './names.ts';

export interface SandboxInput {
  readonly pod: Pod;
  readonly attempt: number;
  readonly paths: KubeletPaths;
  readonly dns: DNSConfig;
  readonly clusterDomain: string;
  readonly cgroupParent: string;
}

/** The namespaces that a container (or the sandbox) shares. Each has its own process tree unless the pod shares one. */
export function namespaceOptions(pod: Pod): Init<NamespaceOption> {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace } = pod.spec ?? {};
  return {
    network: hostNetwork === true ? 'NODE' : 'POD',
    pid: hostPID === true ? 'NODE' : shareProcessNamespace === true ? 'POD' : 'CONTAINER',
    ipc: hostIPC === true ? 'NODE' : 'POD',
  };
}

/** Unconfined is the default, as it is upstream unless seccompDefault is set. */
export function seccompProfile(profile: SeccompProfile | undefined, seccompDir: string): Init<SecurityProfile> {
  if (profile?.type === 'RuntimeDefault') return { profileType: 'RuntimeDefault' };
  if (profile?.type === 'Localhost') return { profileType: 'Localhost', localhostRef: join(seccompDir, profile.localhostProfile ?? '') };
  return { profileType: 'Unconfined' };
}

const allContainers = (pod: Pod): readonly Container[] => [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];

function sandboxSecurity(pod: Pod, root: string): Init<LinuxSandboxSecurityContext> {
  const security: PodSecurityContext = pod.spec?.securityContext ?? {};
  const groups = [...(security.supplementalGroups ?? []), ...(security.fsGroup === undefined ? [] : [security.fsGroup])];
  return {
    namespaceOptions: namespaceOptions(pod),
    privileged: allContainers(pod).some((c) => c.securityContext?.privileged === true),
    seccomp: { profileType: 'RuntimeDefault' },
    supplementalGroups: groups,
    readonlyRootfs: false,
    ...(security.runAsUser === undefined ? {} : { runAsUser: { value: security.runAsUser } }),
    ...(security.runAsGroup === undefined || security.runAsUser === undefined ? {} : { runAsGroup: { value: security.runAsGroup } }),
    ...(security.seccompProfile === undefined ? {} : { seccomp: seccompProfile(security.seccompProfile, join(root, 'seccomp')) }),
  };
}

function portMappings(pod: Pod): readonly Init<PortMapping>[] {
  if (pod.spec?.hostNetwork === true) return [];
  return allContainers(pod).flatMap((c) =>
    (c.ports ?? [])
      .filter((p) => (p.hostPort ?? 0) > 0)
      .map((p) => ({
        protocol: (p.protocol ?? 'TCP') as PortMapping['protocol'],
        containerPort: p.containerPort,
        hostPort: p.hostPort ?? 0,
        hostIp: p.hostIP ?? '',
      })),
  );
}

export function sandboxConfig(input: SandboxInput): Init<PodSandboxConfig> {
  const { pod } = input;
  const identity = identityOf(pod);
  const sysctls = Object.fromEntries((pod.spec?.securityContext?.sysctls ?? []).map((s) => [s.name, s.value]));
  return {
    metadata: { name: identity.name, namespace: identity.namespace, uid: identity.uid, attempt: input.attempt },
    // A pod in the node's network has the node's name.
    hostname: pod.spec?.hostNetwork === true ? '' : podHostname(pod, input.clusterDomain).hostname,
    logDirectory: podLogDir(input.paths, identity),
    dnsConfig: input.dns,
    portMappings: portMappings(pod),
    labels: {
      ...pod.metadata.labels,
      [labels.podName]: identity.name,
      [labels.podNamespace]: identity.namespace,
      [labels.podUid]: identity.uid,
    },
    annotations: { [podAnnotations.source]: 'api', ...pod.metadata.annotations },
    linux: {
      cgroupParent: input.cgroupParent,
      sysctls,
      securityContext: sandboxSecurity(pod, input.paths.root),
    },
  };
}

/** How a pod's requests and limits become kernel settings. Pure; figures as in upstream's pkg/kubelet/cm and qos. */
import { basename } from 'node:path';
import type { Container, Pod, ResourceRequirements } from '#kube/generated/core-v1.ts';
import { bytesValue, milliValue } from '#kube/quantity.ts';
import type { CgroupHost } from '../cgroup-host.ts';
import type { LinuxContainerResources } from '../cri/generated/cri.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const minShares = 2;
const maxShares = 262_144;
const quotaPeriodUs = 100_000;
const minQuotaUs = 1000;
const criticalPriority = 2_000_000_000;

type Resources = Pick<Container, 'resources'>;

const amount = (list: Readonly<Record<string, string | number>> | undefined, name: string): string | number | undefined => list?.[name];
const milli = (list: ResourceRequirements['limits'], name: string): number => milliValue(amount(list, name) ?? 0);
const bytes = (list: ResourceRequirements['limits'], name: string): number => bytesValue(amount(list, name) ?? 0);

/** Requests as the API server defaults them: a limit without a request is also the request. */
export function requestsOf(resources: ResourceRequirements | undefined): Readonly<Record<string, string | number>> {
  return { ...resources?.limits, ...resources?.requests };
}

/** The class that decides who is killed first: k8s.io/kubernetes pkg/apis/core/v1/helper/qos. */
export function qosClass(pod: Pod): QosClass {
  const containers: readonly Resources[] = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const all = pod.spec?.resources === undefined ? containers : [{ resources: pod.spec.resources }];
  let any = false;
  let guaranteed = true;
  for (const { resources } of all) {
    const requests = requestsOf(resources);
    for (const name of ['cpu', 'memory']) {
      const request = milli(requests, name);
      const limit = milli(resources?.limits, name);
      if (request > 0 || limit > 0) any = true;
      if (limit === 0 || limit !== request) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

/** cgroup v1 weight of an amount of CPU. */
export function cpuShares(milliCpu: number): number {
  if (milliCpu === 0) return minShares;
  return Math.min(maxShares, Math.max(minShares, Math.floor((milliCpu * 1024) / 1000)));
}

/** cpu.shares → cpu.weight, as runc converts. */
export const cpuWeight = (shares: number): number => (shares === 0 ? 0 : 1 + Math.floor(((shares - 2) * 9999) / 262_142));

/** Microseconds of CPU in each period of 100 ms; 0 for no limit. */
export function cpuQuota(milliCpu: number): number {
  if (milliCpu === 0) return 0;
  return Math.max(minQuotaUs, Math.floor((milliCpu * quotaPeriodUs) / 1000));
}

/** Who the kernel kills first when memory runs out: pkg/kubelet/qos/policy.go. */
export function oomScoreAdj(pod: Pod, container: Resources, memoryCapacity: number): number {
  if ((pod.spec?.priority ?? 0) >= criticalPriority) return -997;
  const qos = qosClass(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const request = bytes(requestsOf(container.resources), 'memory');
  const score = 1000 - Math.floor((1000 * request) / memoryCapacity);
  if (score < 3) return 3;
  return score === 1000 ? 999 : score;
}

/** What of the node bears on a container's resources. */
export interface NodeMemory {
  readonly capacityBytes: number;
  readonly cgroups: CgroupHost;
}

/** pkg/kubelet/kuberuntime/kuberuntime_container_linux.go: all of a container is killed when its memory runs out, and it does not swap. */
function unified({ version, swap }: CgroupHost): Record<string, string> {
  return version === 1 ? {} : { 'memory.oom.group': '1', ...(swap ? { 'memory.swap.max': '0' } : {}) };
}

/** What the CRI is told about one container. */
export function containerResources(pod: Pod, container: Resources, node: NodeMemory): Partial<LinuxContainerResources> {
  const { limits } = container.resources ?? {};
  const requests = container.resources?.requests ?? {};
  // As upstream: without a request the limit counts, and without both the least weight there is.
  const cpuRequest = 'cpu' in requests ? milli(requests, 'cpu') : milli(limits, 'cpu');
  const quota = cpuQuota(milli(limits, 'cpu'));
  const hugepages = Object.keys(limits ?? {}).filter((name) => name.startsWith('hugepages-'));
  return {
    cpuPeriod: quotaPeriodUs,
    ...(quota === 0 ? {} : { cpuQuota: quota }),
    cpuShares: cpuShares(cpuRequest),
    memoryLimitInBytes: bytes(limits, 'memory'),
    oomScoreAdj: oomScoreAdj(pod, container, node.capacityBytes),
    unified: unified(node.cgroups),
    hugepageLimits: hugepages.map((name) => ({ pageSize: hugepageSize(name), limit: bytes(limits, name) })),
  };
}

/** "hugepages-2Mi" → "2MB", as the hugetlb controller names it. */
const hugepageSize = (resource: string): string => resource.slice('hugepages-'.length).replace(/i$/, 'B');

export interface CgroupLimits {
  readonly shares: number;
  /** Absent: unlimited. */
  readonly quotaUs?: number;
  readonly memoryBytes?: number;
}

export interface PodCgroup extends CgroupLimits {
  /** Below each controller's mount (cgroupfs), or as nested slices (systemd). */
  readonly path: string;
}

/** Sum over what runs at one time: containers and sidecars together, or the largest init container. */
export function podTotal(pod: Pod, of: (r: Resources) => number): number {
  if (pod.spec?.resources !== undefined) return of({ resources: pod.spec.resources });
  let running = (pod.spec?.containers ?? []).reduce((sum, c) => sum + of(c), 0);
  let sidecars = 0;
  let largestInit = 0;
  for (const init of pod.spec?.initContainers ?? []) {
    if (init.restartPolicy === 'Always') {
      running += of(init);
      sidecars += of(init);
      largestInit = Math.max(largestInit, sidecars);
    } else largestInit = Math.max(largestInit, sidecars + of(init));
  }
  return Math.max(running, largestInit) + of({ resources: { requests: pod.spec?.overhead ?? {}, limits: pod.spec?.overhead ?? {} } });
}

/** What a pod requests of the CPU, in thousandths of one. */
export const podCpuRequest = (pod: Pod): number => podTotal(pod, (c) => milli(requestsOf(c.resources), 'cpu'));

/** Where a pod's processes are accounted and what bounds them together: pkg/kubelet/cm ResourceConfigForPod. */
export function podCgroup(pod: Pod, systemd: boolean): PodCgroup {
  const qos = qosClass(pod);
  const uid = pod.metadata.uid ?? '';
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const limited = (name: string): boolean =>
    pod.spec?.resources === undefined
      ? containers.every((c) => bytes(c.resources?.limits, name) > 0)
      : bytes(pod.spec.resources.limits, name) > 0;
  const shares = qos === 'BestEffort' ? minShares : cpuShares(podCpuRequest(pod));
  return {
    path: podCgroupPath(qos, uid, systemd),
    shares,
    ...(qos !== 'BestEffort' && limited('cpu') ? { quotaUs: cpuQuota(podTotal(pod, (c) => milli(c.resources?.limits, 'cpu'))) } : {}),
    ...(qos !== 'BestEffort' && limited('memory') ? { memoryBytes: podTotal(pod, (c) => bytes(c.resources?.limits, 'memory')) } : {}),
  };
}

/** The cgroup that holds the pods of a class; that of guaranteed pods holds the other two. */
export function tierCgroupPath(qos: QosClass, systemd: boolean): string {
  const top = systemd ? '/kubepods.slice' : '/kubepods';
  if (qos === 'Guaranteed') return top;
  return systemd ? `${top}/kubepods-${qos.toLowerCase()}.slice` : `${top}/${qos.toLowerCase()}`;
}

/** The cgroup of a pod of a class. */
export function podCgroupPath(qos: QosClass, uid: string, systemd: boolean): string {
  const tier = tierCgroupPath(qos, systemd);
  if (!systemd) return `${tier}/pod${uid}`;
  // A slice's name tells where it is: every dash is a level.
  return `${tier}/${basename(tier, '.slice')}-pod${uid.replaceAll('-', '_')}.slice`;
}

/** The cgroup of a container, or of a sandbox's own process, below its pod's: as containerd names it. */
export const containerCgroupPath = (podPath: string, id: string, systemd: boolean): string =>
  systemd ? `${podPath}/cri-containerd-${id}.scope` : `${podPath}/${id}`;

/** cAdvisor's names for what containers use: google/cadvisor metrics/prometheus.go, in the selection of the upstream kubelet. */
import type { CgroupStats } from '../cgroup-stats.ts';
import type { Machine } from '../node/machine.ts';
import type { InterfaceUse } from './network-use.ts';
import { type Family, type Labels, prometheusText } from './prometheus-text.ts';

export interface DiskFigures {
  readonly device: string;
  readonly usageBytes: number;
  readonly limitBytes: number;
  readonly inodes?: number;
  readonly inodesFree?: number;
}

/** One cgroup: the machine, a tier, a pod, a sandbox or a container. What is not known is empty. */
export interface Measured {
  readonly labels: {
    readonly container: string;
    readonly id: string;
    readonly image: string;
    readonly name: string;
    readonly namespace: string;
    readonly pod: string;
  };
  readonly startMs: number;
  readonly stats: CgroupStats;
  readonly interfaces: readonly InterfaceUse[];
  readonly disks: readonly DiskFigures[];
}

export interface CadvisorSnapshot {
  readonly nowMs: number;
  readonly machine: Pick<Machine, 'milliCpu' | 'memoryBytes' | 'info'>;
  readonly swapBytes: number;
  readonly cgroups: readonly Measured[];
  /** Device names by major:minor. */
  readonly devices: ReadonlyMap<string, string>;
}

type Values = readonly (readonly [Labels, number])[];
interface Metric {
  readonly name: string;
  readonly type: Family['type'];
  readonly help: string;
  readonly values: (m: Measured, snapshot: CadvisorSnapshot) => Values;
}

const counter = (name: string, help: string, values: Metric['values']): Metric => ({ name, type: 'counter', help, values });
const gauge = (name: string, help: string, values: Metric['values']): Metric => ({ name, type: 'gauge', help, values });
const one = (value: number): Values => [[{}, value]];
const total = (value: number): Values => [[{ cpu: 'total' }, value]];

const cpu: readonly Metric[] = [
  counter('container_cpu_usage_seconds_total', 'Cumulative cpu time consumed in seconds.', (m) => total(m.stats.cpu.usageSeconds)),
  counter('container_cpu_user_seconds_total', 'Cumulative user cpu time consumed in seconds.', (m) => one(m.stats.cpu.userSeconds)),
  counter('container_cpu_system_seconds_total', 'Cumulative system cpu time consumed in seconds.', (m) => one(m.stats.cpu.systemSeconds)),
  counter('container_cpu_cfs_periods_total', 'Number of elapsed enforcement period intervals.', (m) =>
    m.stats.cpu.quotaUs === 0 ? [] : one(m.stats.cpu.periods),
  ),
  counter('container_cpu_cfs_throttled_periods_total', 'Number of throttled period intervals.', (m) =>
    m.stats.cpu.quotaUs === 0 ? [] : one(m.stats.cpu.throttledPeriods),
  ),
  counter('container_cpu_cfs_throttled_seconds_total', 'Total time duration the container has been throttled.', (m) =>
    m.stats.cpu.quotaUs === 0 ? [] : one(m.stats.cpu.throttledSeconds),
  ),
];

const memory: readonly Metric[] = [
  gauge('container_memory_usage_bytes', 'Current memory usage in bytes, including all memory regardless of when it was accessed', (m) =>
    one(m.stats.memory.usage),
  ),
  gauge('container_memory_working_set_bytes', 'Current working set in bytes.', (m) => one(m.stats.memory.workingSet)),
  gauge('container_memory_rss', 'Size of RSS in bytes.', (m) => one(m.stats.memory.rss)),
  gauge('container_memory_cache', 'Number of bytes of page cache memory.', (m) => one(m.stats.memory.cache)),
  gauge('container_memory_kernel_usage', 'Size of kernel memory allocated in bytes.', (m) => one(m.stats.memory.kernel)),
  gauge('container_memory_mapped_file', 'Size of memory mapped files in bytes.', (m) => one(m.stats.memory.mappedFile)),
  gauge('container_memory_swap', 'Container swap usage in bytes.', (m) => one(m.stats.memory.swap)),
  gauge('container_memory_max_usage_bytes', 'Maximum memory usage recorded in bytes', (m) => one(m.stats.memory.maxUsage)),
  counter('container_memory_failcnt', 'Number of memory usage hits limits', (m) => one(m.stats.memory.failures)),
  gauge('container_memory_total_active_file_bytes', 'Current total active file in bytes.', (m) => one(m.stats.memory.activeFile)),
  gauge('container_memory_total_inactive_file_bytes', 'Current total inactive file in bytes.', (m) => one(m.stats.memory.inactiveFile)),
  counter('container_memory_failures_total', 'Cumulative count of memory allocation failures.', (m) => [
    [{ failure_type: 'pgfault', scope: 'hierarchy' }, m.stats.memory.pageFaults],
    [{ failure_type: 'pgmajfault', scope: 'hierarchy' }, m.stats.memory.majorPageFaults],
  ]),
  counter('container_oom_events_total', 'Count of out of memory events observed for the container', (m) => one(m.stats.memory.oomKills)),
];

type BlockFigure = (b: CgroupStats['blocks'][number]) => number;
const blocks =
  (of: BlockFigure): Metric['values'] =>
  (m, s) =>
    m.stats.blocks.map((b) => [{ device: s.devices.get(b.device) ?? b.device }, of(b)]);
const disks =
  (of: (d: DiskFigures) => number | undefined): Metric['values'] =>
  (m) =>
    m.disks.flatMap((d) => {
      const value = of(d);
      return value === undefined ? [] : [[{ device: d.device }, value] as const];
    });

const disk: readonly Metric[] = [
  counter(
    'container_fs_reads_bytes_total',
    'Cumulative count of bytes read',
    blocks((b) => b.readBytes),
  ),
  counter(
    'container_fs_reads_total',
    'Cumulative count of reads completed',
    blocks((b) => b.reads),
  ),
  counter(
    'container_fs_writes_bytes_total',
    'Cumulative count of bytes written',
    blocks((b) => b.writeBytes),
  ),
  counter(
    'container_fs_writes_total',
    'Cumulative count of writes completed',
    blocks((b) => b.writes),
  ),
  gauge(
    'container_fs_usage_bytes',
    'Number of bytes that are consumed by the container on this filesystem.',
    disks((d) => d.usageBytes),
  ),
  gauge(
    'container_fs_limit_bytes',
    'Number of bytes that can be consumed by the container on this filesystem.',
    disks((d) => d.limitBytes),
  ),
  gauge(
    'container_fs_inodes_total',
    'Number of Inodes',
    disks((d) => d.inodes),
  ),
  gauge(
    'container_fs_inodes_free',
    'Number of available Inodes',
    disks((d) => d.inodesFree),
  ),
];

const interfaces =
  (of: (i: InterfaceUse) => number): Metric['values'] =>
  (m) =>
    m.interfaces.map((i) => [{ interface: i.name }, of(i)]);

const network: readonly Metric[] = (
  [
    ['receive_bytes', 'bytes received', (i) => i.rxBytes],
    ['receive_packets', 'packets received', (i) => i.rxPackets],
    ['receive_packets_dropped', 'packets dropped while receiving', (i) => i.rxDropped],
    ['receive_errors', 'errors encountered while receiving', (i) => i.rxErrors],
    ['transmit_bytes', 'bytes transmitted', (i) => i.txBytes],
    ['transmit_packets', 'packets transmitted', (i) => i.txPackets],
    ['transmit_packets_dropped', 'packets dropped while transmitting', (i) => i.txDropped],
    ['transmit_errors', 'errors encountered while transmitting', (i) => i.txErrors],
  ] satisfies readonly (readonly [string, string, (i: InterfaceUse) => number])[]
).map(([name, what, of]) => counter(`container_network_${name}_total`, `Cumulative count of ${what}`, interfaces(of)));

const processes: readonly Metric[] = [
  gauge('container_processes', 'Number of processes running inside the container.', (m) => one(m.stats.processes)),
  gauge('container_threads', 'Number of threads running inside the container', (m) => one(m.stats.threads)),
  gauge('container_threads_max', 'Maximum number of threads allowed inside the container, infinity if value is zero', (m) =>
    one(m.stats.maxThreads),
  ),
];

const spec: readonly Metric[] = [
  gauge('container_last_seen', 'Last time a container was seen by the exporter', (_m, s) => one(Math.floor(s.nowMs / 1000))),
  gauge('container_start_time_seconds', 'Start time of the container since unix epoch in seconds.', (m) =>
    one(Math.floor(m.startMs / 1000)),
  ),
  gauge('container_spec_cpu_period', 'CPU period of the container.', (m) => one(m.stats.cpu.periodUs)),
  gauge('container_spec_cpu_quota', 'CPU quota of the container.', (m) => (m.stats.cpu.quotaUs === 0 ? [] : one(m.stats.cpu.quotaUs))),
  gauge('container_spec_cpu_shares', 'CPU share of the container.', (m) => one(m.stats.cpu.shares)),
  gauge('container_spec_memory_limit_bytes', 'Memory limit for the container.', (m) => one(m.stats.memory.limit)),
  gauge('container_spec_memory_reservation_limit_bytes', 'Memory reservation limit for the container.', (m) =>
    one(m.stats.memory.reservation),
  ),
  gauge('container_spec_memory_swap_limit_bytes', 'Memory swap limit for the container.', (m) => one(m.stats.memory.swapLimit)),
];

const metrics: readonly Metric[] = [...cpu, ...memory, ...disk, ...network, ...processes, ...spec];

/** The machine's own figures carry its ids, as cAdvisor's prometheus_machine.go has them. */
function machineFamilies({ machine, swapBytes }: CadvisorSnapshot): readonly Family[] {
  const { info } = machine;
  const ids = { boot_id: info.bootID, machine_id: info.machineID, system_uuid: info.systemUUID };
  const figure = (name: string, help: string, value: number): Family => ({ name, type: 'gauge', help, samples: [[ids, value]] });
  return [
    {
      name: 'cadvisor_version_info',
      type: 'gauge',
      help: "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.",
      samples: [
        [{ cadvisorRevision: '', cadvisorVersion: '', dockerVersion: '', kernelVersion: info.kernelVersion, osVersion: info.osImage }, 1],
      ],
    },
    figure('machine_cpu_cores', 'Number of logical CPU cores.', machine.milliCpu / 1000),
    figure('machine_memory_bytes', 'Amount of memory installed on the machine.', machine.memoryBytes),
    figure('machine_swap_bytes', 'Amount of swap memory available on the machine.', swapBytes),
  ];
}

/** /metrics/cadvisor. */
export function cadvisorMetrics(snapshot: CadvisorSnapshot): string {
  const families = metrics.map(
    ({ name, type, help, values }): Family => ({
      name,
      type,
      help,
      samples: snapshot.cgroups.flatMap((m) =>
        values(m, snapshot).map(([more, value]): readonly [Labels, number] => [{ ...m.labels, ...more }, value]),
      ),
    }),
  );
  return prometheusText([...machineFamilies(snapshot), ...families]);
}

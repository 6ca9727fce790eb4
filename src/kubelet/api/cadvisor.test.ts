import { expect, test } from 'vitest';
import { readCgroupStats } from '../cgroup-stats.ts';
import { mountSource } from './cadvisor.ts';
import { cadvisorMetrics, type Measured } from './cadvisor-metrics.ts';
import { parseNetDev } from './network-use.ts';

const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
  eth0:  123456      12    1    2    0     0          0         0    65432      34    3    4    0     0       0          0
`;

test('interfaces are read, without the loopback', () => {
  expect(parseNetDev(netDev)).toEqual([
    { name: 'eth0', rxBytes: 123456, rxPackets: 12, rxErrors: 1, rxDropped: 2, txBytes: 65432, txPackets: 34, txErrors: 3, txDropped: 4 },
  ]);
});

test('the device of a folder is what is mounted nearest above it', () => {
  const mountinfo = `27 1 8:1 / / rw - ext4 /dev/sda1 rw
30 27 8:2 / /var/lib rw - xfs /dev/sdb1 rw
31 27 0:5 / /var/libexec rw - tmpfs none rw
`;
  expect(mountSource(mountinfo, '/var/lib/kubelet')).toBe('/dev/sdb1');
  expect(mountSource(mountinfo, '/var/libexec')).toBe('none');
  expect(mountSource(mountinfo, '/home')).toBe('/dev/sda1');
  expect(mountSource('', '/')).toBe('');
});

test("containers are told under cAdvisor's names and labels, in Prometheus' text form", async () => {
  const empty = await readCgroupStats({ version: 2, systemd: false, swap: false }, '/none', '/nowhere');
  const container: Measured = {
    labels: { container: 'c', id: '/kubepods/podu/x', image: 'i:1', name: 'x', namespace: 'ns', pod: 'p"1' },
    startMs: 1_700_000_000_123,
    stats: {
      ...empty,
      cpu: { ...empty.cpu, usageSeconds: 1.25 },
      memory: { ...empty.memory, workingSet: 42 },
      blocks: [{ device: '8:0', readBytes: 1, writeBytes: 2, reads: 3, writes: 4 }],
    },
    interfaces: parseNetDev(netDev),
    disks: [{ device: '/dev/sda1', usageBytes: 5, limitBytes: 6 }],
  };
  const info = {
    ...{ machineID: 'm', systemUUID: 's', bootID: 'b', kernelVersion: '6.1', osImage: 'Debian', operatingSystem: 'linux' },
    ...{ architecture: 'amd64', kubeletVersion: 'v1', kubeProxyVersion: 'v1' },
  };
  const text = cadvisorMetrics({
    nowMs: 1_700_000_001_000,
    machine: { milliCpu: 4000, memoryBytes: 1024, info },
    swapBytes: 0,
    cgroups: [container],
    devices: new Map([['8:0', '/dev/sda']]),
  });
  const labels = 'id="/kubepods/podu/x",image="i:1",name="x",namespace="ns",pod="p\\"1"';
  for (const line of [
    '# TYPE container_cpu_usage_seconds_total counter',
    `container_cpu_usage_seconds_total{container="c",cpu="total",${labels}} 1.25`,
    `container_memory_working_set_bytes{container="c",${labels}} 42`,
    `container_fs_reads_bytes_total{container="c",device="/dev/sda",${labels}} 1`,
    `container_fs_usage_bytes{container="c",device="/dev/sda1",${labels}} 5`,
    `container_network_receive_bytes_total{container="c",id="/kubepods/podu/x",image="i:1",interface="eth0",name="x",namespace="ns",pod="p\\"1"} 123456`,
    `container_start_time_seconds{container="c",${labels}} 1700000000`,
    'machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"} 4',
  ])
    expect(text.split('\n')).toContain(line);
  // Nothing is throttled where there is no quota, and a family without samples does not show.
  expect(text).not.toContain('container_cpu_cfs_periods_total');
});

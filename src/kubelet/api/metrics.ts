/** Metrics under the upstream kubelet's names, in Prometheus' text form. */

import type { PodManager } from '../pods/manager.ts';
import type { Prober } from '../probes/prober.ts';
import { prometheusText } from './prometheus-text.ts';
import type { Summary } from './stats.ts';

/** /metrics/resource, which metrics-server reads: pkg/kubelet/metrics/collectors/resource_metrics.go. */
export function resourceMetrics(summary: Summary): string {
  const containers = summary.pods.flatMap((p) =>
    p.containers.map((c) => [{ container: c.name, namespace: p.podRef.namespace, pod: p.podRef.name }, c] as const),
  );
  const pods = summary.pods.map((p) => [{ namespace: p.podRef.namespace, pod: p.podRef.name }, p] as const);
  return prometheusText([
    {
      name: 'container_cpu_usage_seconds_total',
      type: 'counter',
      help: '[STABLE] Cumulative cpu time consumed by the container in core-seconds',
      samples: containers.map(([l, c]) => [l, c.cpu.usageCoreNanoSeconds / 1e9]),
    },
    {
      name: 'container_memory_working_set_bytes',
      type: 'gauge',
      help: '[STABLE] Current working set of the container in bytes',
      samples: containers.map(([l, c]) => [l, c.memory.workingSetBytes]),
    },
    {
      name: 'container_start_time_seconds',
      type: 'gauge',
      help: '[STABLE] Start time of the container since unix epoch in seconds',
      samples: containers.map(([l, c]) => [l, Date.parse(c.startTime) / 1000]),
    },
    {
      name: 'node_cpu_usage_seconds_total',
      type: 'counter',
      help: '[STABLE] Cumulative cpu time consumed by the node in core-seconds',
      samples: [[{}, summary.node.cpu.usageCoreNanoSeconds / 1e9]],
    },
    {
      name: 'node_memory_working_set_bytes',
      type: 'gauge',
      help: '[STABLE] Current working set of the node in bytes',
      samples: [[{}, summary.node.memory.workingSetBytes]],
    },
    {
      name: 'pod_cpu_usage_seconds_total',
      type: 'counter',
      help: '[STABLE] Cumulative cpu time consumed by the pod in core-seconds',
      samples: pods.map(([l, p]) => [l, p.cpu.usageCoreNanoSeconds / 1e9]),
    },
    {
      name: 'pod_memory_working_set_bytes',
      type: 'gauge',
      help: '[STABLE] Current working set of the pod in bytes',
      samples: pods.map(([l, p]) => [l, p.memory.workingSetBytes]),
    },
    {
      name: 'resource_scrape_error',
      type: 'gauge',
      help: '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise',
      samples: [[{}, 0]],
    },
  ]);
}

/** /metrics: the kubelet's own. */
export function kubeletMetrics(manager: PodManager, nodeName: string): string {
  const states = new Map<string, number>();
  let running = 0;
  for (const worker of manager.list()) {
    const runtime = worker.runtime();
    if (runtime?.sandboxes.some((s) => s.ready) === true) running++;
    for (const c of runtime?.containers ?? []) states.set(c.state, (states.get(c.state) ?? 0) + 1);
  }
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  return prometheusText([
    { name: 'kubelet_node_name', type: 'gauge', help: "The node's name. The count is always 1.", samples: [[{ node: nodeName }, 1]] },
    { name: 'kubelet_running_pods', type: 'gauge', help: 'Number of pods that have a running pod sandbox', samples: [[{}, running]] },
    {
      name: 'kubelet_running_containers',
      type: 'gauge',
      help: 'Number of containers currently running',
      samples: [...states].map(([state, n]) => [{ container_state: state }, n]),
    },
    { name: 'process_resident_memory_bytes', type: 'gauge', help: 'Resident memory size in bytes.', samples: [[{}, memory.rss]] },
    {
      name: 'process_cpu_seconds_total',
      type: 'counter',
      help: 'Total user and system CPU time spent in seconds.',
      samples: [[{}, (cpu.user + cpu.system) / 1e6]],
    },
  ]);
}

/** /metrics/probes. */
export function probeMetrics(prober: Prober, manager: PodManager): string {
  const samples = prober.results().flatMap((r): [Record<string, string>, number][] => {
    const pod = manager.get(r.podUid)?.identity;
    if (pod === undefined || r.ok === undefined) return [];
    const labels = {
      container: r.container,
      namespace: pod.namespace,
      pod: pod.name,
      pod_uid: pod.uid,
      probe_type: r.kind[0]?.toUpperCase() + r.kind.slice(1),
    };
    return [[{ ...labels, result: r.ok ? 'successful' : 'failed' }, 1]];
  });
  return prometheusText([
    {
      name: 'prober_probe_total',
      type: 'counter',
      help: 'Cumulative number of a liveness, readiness or startup probe for a container by result.',
      samples,
    },
  ]);
}

import type { ContainerStatus, Pod } from '#kube/generated/core-v1.ts';
import type { TableDef } from '#kube/kind.ts';
import { ageColumn, ageOf, column, humanDuration, nameColumn, orNone, wideColumn } from '../print.ts';

interface Summary {
  reason: string;
  ready: number;
  restarts: number;
  /** When a container last ended, in ms; 0: never. */
  lastRestart: number;
}

function countRestart(summary: Summary, status: ContainerStatus): void {
  summary.restarts += status.restartCount;
  const finished = status.lastState?.terminated?.finishedAt;
  if (finished !== undefined) summary.lastRestart = Math.max(summary.lastRestart, Date.parse(finished));
}

function exitReason(terminated: { readonly signal?: number; readonly exitCode: number }): string {
  return terminated.signal !== undefined && terminated.signal !== 0 ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

/** The reason that one init container gives while the pod initializes; undefined: it is no obstacle. */
function initReason(status: ContainerStatus, sidecar: boolean, index: number, total: number): string | undefined {
  const { terminated, waiting } = status.state ?? {};
  if (terminated !== undefined && terminated.exitCode === 0) return undefined;
  if (sidecar && status.started === true) return undefined;
  if (terminated !== undefined) return `Init:${terminated.reason || exitReason(terminated)}`;
  if (waiting?.reason !== undefined && waiting.reason !== '' && waiting.reason !== 'PodInitializing') return `Init:${waiting.reason}`;
  return `Init:${index}/${total}`;
}

function summarizeContainers(pod: Pod, summary: Summary): void {
  let running = false;
  for (const status of [...(pod.status?.containerStatuses ?? [])].reverse()) {
    countRestart(summary, status);
    const { waiting, terminated } = status.state ?? {};
    if (waiting?.reason) summary.reason = waiting.reason;
    else if (terminated !== undefined) summary.reason = terminated.reason || exitReason(terminated);
    else if (status.ready && status.state?.running !== undefined) {
      running = true;
      summary.ready++;
    }
  }
  if (summary.reason === 'Completed' && running) {
    const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;
    summary.reason = ready ? 'Running' : 'NotReady';
  }
}

/** What the STATUS, READY and RESTARTS columns rest on (printPod). */
function summarize(pod: Pod): Summary & { readonly total: number } {
  const { status, spec } = pod;
  const sidecars = new Set((spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name));
  const summary: Summary = { reason: status?.reason || status?.phase || '', ready: 0, restarts: 0, lastRestart: 0 };
  if (status?.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated') === true)
    summary.reason = 'SchedulingGated';
  const ofSidecars: Summary = { ...summary };
  let initializing = false;
  for (const [i, container] of (status?.initContainerStatuses ?? []).entries()) {
    const sidecar = sidecars.has(container.name);
    countRestart(summary, container);
    if (sidecar) countRestart(ofSidecars, container);
    const reason = initReason(container, sidecar, i, spec?.initContainers?.length ?? 0);
    if (reason !== undefined) {
      summary.reason = reason;
      initializing = true;
      break;
    }
    if (sidecar && container.started === true && container.state?.terminated?.exitCode !== 0 && container.ready) summary.ready++;
  }
  if (!initializing || status?.conditions?.some((c) => c.type === 'Initialized' && c.status === 'True') === true) {
    summary.restarts = ofSidecars.restarts;
    summary.lastRestart = ofSidecars.lastRestart;
    summarizeContainers(pod, summary);
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status?.reason === 'NodeLost') summary.reason = 'Unknown';
    else if (status?.phase !== 'Succeeded' && status?.phase !== 'Failed') summary.reason = 'Terminating';
  }
  return { ...summary, total: (spec?.containers.length ?? 0) + sidecars.size };
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const conditions = pod.status?.conditions ?? [];
  const met = gates.filter((gate) => conditions.find((c) => c.type === gate.conditionType)?.status === 'True');
  return `${met.length}/${gates.length}`;
}

export const podTable: TableDef<Pod> = {
  columns: [
    nameColumn,
    column('Ready', 'The aggregate readiness state of this pod for accepting traffic.'),
    column('Status', 'The aggregate status of the containers in this pod.'),
    column(
      'Restarts',
      'The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.',
    ),
    ageColumn,
    wideColumn('IP', 'Address of the pod.'),
    wideColumn('Node', 'The node that the pod is bound to.'),
    wideColumn('Nominated Node', 'The node that preemption makes room on for this pod.'),
    wideColumn('Readiness Gates', 'How many of the conditions that the pod waits for are met.'),
  ],
  cells: (pod, now) => {
    const { ready, total, reason, restarts, lastRestart } = summarize(pod);
    return [
      pod.metadata.name ?? '',
      `${ready}/${total}`,
      reason,
      restarts > 0 && lastRestart > 0 ? `${restarts} (${humanDuration(now.getTime() - lastRestart)} ago)` : `${restarts}`,
      ageOf(pod, now),
      orNone(pod.status?.podIPs?.[0]?.ip),
      orNone(pod.spec?.nodeName),
      orNone(pod.status?.nominatedNodeName),
      readinessGates(pod),
    ];
  },
  completed: (pod) => {
    if (pod.status?.phase === 'Succeeded') return { reason: 'Succeeded', message: 'The pod has completed successfully.' };
    return pod.status?.phase === 'Failed' ? { reason: 'Failed', message: 'The pod failed.' } : undefined;
  },
};

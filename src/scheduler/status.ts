/** What the scheduler writes onto pods that it cannot place, and onto those it removes for others. */

import type { KubeClient } from '#client/contract.ts';
import type { EventRecorder } from '#client/events.ts';
import type { Pod } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { PodInfo } from './framework.ts';

interface StatusDeps {
  readonly client: Pick<KubeClient, 'patch' | 'delete'>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Verdict {
  readonly reason: 'Unschedulable' | 'SchedulerError';
  readonly message: string;
  /** Node the pod is to get once its victims are gone; '' clears it; absent leaves it. */
  readonly nominated?: string;
}

const isoTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');

/** Sets PodScheduled=False, unless the pod says just that already. */
export async function reportUnschedulable(deps: StatusDeps, pod: Stored<Pod>, verdict: Verdict, signal: AbortSignal): Promise<void> {
  const old = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
  const sameCondition = old?.status === 'False' && old.reason === verdict.reason && old.message === verdict.message;
  const sameNode = verdict.nominated === undefined || (pod.status?.nominatedNodeName ?? '') === verdict.nominated;
  if (sameCondition && sameNode) return;
  const generation = pod.metadata.generation;
  const condition = {
    type: 'PodScheduled',
    status: 'False',
    reason: verdict.reason,
    message: verdict.message,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(old?.status === 'False' ? {} : { lastTransitionTime: isoTime(deps.clock.now()) }),
  };
  const status = {
    conditions: [condition],
    ...(sameNode ? {} : { nominatedNodeName: verdict.nominated === '' ? null : verdict.nominated }),
  };
  await patchStatus(deps, pod, status, signal);
}

async function patchStatus(deps: StatusDeps, pod: Stored<Pod>, status: unknown, signal: AbortSignal): Promise<void> {
  const { namespace = '', name, uid } = pod.metadata;
  try {
    const patch = { metadata: { uid }, status };
    await deps.client.patch(pods, { namespace, name }, 'strategic', patch, { subresource: 'status', signal });
  } catch (error) {
    if (signal.aborted || isStatus(error, 'NotFound') || isStatus(error, 'Conflict')) return;
    deps.log.warn('cannot write pod status', { pod: `${namespace}/${name}`, error });
  }
}

/** Marks, deletes and reports the pods that make way. Failures are logged: the preemptor's next attempt finds them. */
export async function evictVictims(
  deps: StatusDeps,
  events: EventRecorder,
  preemptor: PodInfo,
  node: string,
  victims: readonly PodInfo[],
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    victims.map(async (victim) => {
      const { namespace = '', name, uid } = victim.pod.metadata;
      if (victim.pod.metadata.deletionTimestamp !== undefined) return;
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'PreemptionByScheduler',
        message: 'default-scheduler: preempting to accommodate a higher priority pod',
        lastTransitionTime: isoTime(deps.clock.now()),
      };
      await patchStatus(deps, victim.pod, { conditions: [condition] }, signal);
      try {
        await deps.client.delete(pods, { namespace, name }, { preconditions: { uid } }, { signal });
        events.event(victim.pod, 'Normal', 'Preempted', `Preempted by pod ${preemptor.uid} on node ${node}`);
      } catch (error) {
        if (signal.aborted || isStatus(error, 'NotFound') || isStatus(error, 'Conflict')) return;
        deps.log.warn('cannot remove pod for preemption', { pod: victim.key, error });
      }
    }),
  );
}

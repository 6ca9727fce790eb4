/** Writes pod statuses to the API: only what changed, one write at a time for each pod, retried until it is there. */
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '#client/contract.ts';
import type { Pod, PodStatus } from '#kube/generated/core-v1.ts';
import { pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { PodIdentity } from './names.ts';
import { statusPatch } from './status-patch.ts';

export interface StatusWriter {
  /** The status that the pod should have; it is written soon. */
  readonly set: (pod: PodIdentity, status: PodStatus) => void;
  /** Tells what the API holds now, as the informer sees it. */
  readonly observed: (pod: Pod) => void;
  /** A static pod's status is written to its mirror; while there is none, nowhere. */
  readonly link: (uid: string, mirror: Pod | undefined) => void;
  /** The status last set or seen. */
  readonly get: (uid: string) => PodStatus | undefined;
  /** Resolves when everything set so far has been written, or the pod is gone from the API. */
  readonly flushed: (uid: string) => Promise<void>;
  readonly forget: (uid: string) => void;
}

interface Entry {
  readonly pod: PodIdentity;
  /** The uid in the API, where it is another than the pod's own; '' while there is nothing there. */
  apiUid: string;
  /** As the API has it, to our knowledge. */
  stored: PodStatus;
  storedVersion: bigint;
  wanted: PodStatus | undefined;
  writing: Promise<void> | undefined;
  /** The last patch sent: a server that keeps something else than it was sent is not asked forever. */
  lastPatch: string;
  gone: boolean;
}

const newEntry = (pod: PodIdentity): Entry => ({
  pod,
  apiUid: pod.uid,
  stored: {},
  storedVersion: -1n,
  wanted: undefined,
  writing: undefined,
  lastPatch: '',
  gone: false,
});

const retry = { baseMs: 200, maxMs: 10_000, jitter: 0.2 };
const versionOf = (pod: Pod): bigint =>
  BigInt(/^\d+$/.test(pod.metadata.resourceVersion ?? '') ? (pod.metadata.resourceVersion ?? '0') : '0');

export function createStatusWriter(deps: {
  readonly client: Pick<KubeClient, 'patch'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): StatusWriter {
  const entries = new Map<string, Entry>();

  function remember(entry: Entry, pod: Pod): void {
    // The informer may lag behind our own writes.
    const version = versionOf(pod);
    if (version < entry.storedVersion) return;
    entry.storedVersion = version;
    entry.stored = pod.status ?? {};
  }

  function due(entry: Entry): Readonly<Record<string, unknown>> | undefined {
    if (entry.gone || entry.wanted === undefined || entry.apiUid === '') return undefined;
    const patch = statusPatch(entry.stored, entry.wanted, entry.apiUid);
    return patch === undefined || JSON.stringify(patch) === entry.lastPatch ? undefined : patch;
  }

  async function write(entry: Entry): Promise<void> {
    const { namespace, name } = entry.pod;
    for (let failures = 0; !deps.signal.aborted && !entry.gone; ) {
      const patch = due(entry);
      if (patch === undefined) return;
      try {
        const stored = await deps.client.patch(pods, { namespace, name }, 'strategic', patch, {
          subresource: 'status',
          signal: deps.signal,
        });
        failures = 0;
        entry.lastPatch = JSON.stringify(patch);
        remember(entry, stored);
      } catch (error) {
        // Gone, or another pod has the name: uid is immutable, so the server refuses the patch.
        if (isStatus(error, 'NotFound', 'Conflict', 'Invalid')) {
          if (!isStatus(error, 'NotFound')) deps.log.warn('a pod status was refused', { pod: `${namespace}/${name}`, error });
          entry.gone = true;
          return;
        }
        if (deps.signal.aborted) return;
        failures++;
        if (failures === 1) deps.log.warn('a pod status could not be written, will retry', { pod: `${namespace}/${name}`, error });
        await deps.clock.sleep(backoffMs(failures, retry), deps.signal).catch(() => undefined);
      }
    }
  }

  function kick(entry: Entry): void {
    if (entry.writing !== undefined || entry.gone) return;
    entry.writing = write(entry)
      .catch((error: unknown) => deps.log.error('writing a pod status failed', { error }))
      .finally(() => {
        entry.writing = undefined;
        if (!deps.signal.aborted && due(entry) !== undefined) kick(entry);
      });
  }

  return {
    set: (pod, status) => {
      const entry = entries.get(pod.uid) ?? newEntry(pod);
      entries.set(pod.uid, entry);
      if (!isDeepStrictEqual(entry.wanted, status)) entry.lastPatch = '';
      entry.wanted = status;
      kick(entry);
    },
    observed: (pod) => {
      const { uid = '', namespace = '', name = '' } = pod.metadata;
      const entry = entries.get(uid) ?? newEntry({ uid, namespace, name });
      entries.set(uid, entry);
      remember(entry, pod);
      // Somebody wrote over what is ours: it is written again.
      kick(entry);
    },
    link: (uid, mirror) => {
      const entry = entries.get(uid);
      if (entry === undefined) return;
      if (entry.apiUid !== (mirror?.metadata.uid ?? '')) {
        entry.storedVersion = -1n;
        entry.lastPatch = '';
      }
      entry.apiUid = mirror?.metadata.uid ?? '';
      entry.gone = false;
      if (mirror !== undefined) remember(entry, mirror);
      kick(entry);
    },
    get: (uid) => entries.get(uid)?.wanted ?? entries.get(uid)?.stored,
    flushed: async (uid) => {
      for (let entry = entries.get(uid); entry?.writing !== undefined; entry = entries.get(uid)) await entry.writing;
    },
    forget: (uid) => {
      const entry = entries.get(uid);
      if (entry !== undefined) entry.gone = true;
      entries.delete(uid);
    },
  };
}

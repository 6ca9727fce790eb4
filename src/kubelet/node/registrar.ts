/** Keeps this node's object in the API: registers it, writes its status when something changed and every five minutes. */
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '#client/contract.ts';
import type { Node, NodeStatus, Taint } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { nodes } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { sameButHeartbeats } from './status.ts';

export interface RegistrarDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly name: string;
  /** Labels that a node has by itself, and those given on the command line. */
  readonly labels: Readonly<Record<string, string>>;
  /** Given to a new node only: taints of an existing one belong to its administrators. */
  readonly taints: readonly Taint[];
  readonly status: (old: NodeStatus) => Promise<NodeStatus>;
  /** Told after a status was written, with the one before. */
  readonly written: (node: Stored<Node>, before: NodeStatus) => void;
}

export interface Registrar {
  readonly node: () => Stored<Node> | undefined;
  /** The node as the informer saw it. */
  readonly observed: (node: Stored<Node> | undefined) => void;
  /** Something that the status shows may have changed. */
  readonly wake: () => void;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

const reportMs = 5 * 60_000;
/** How often what no event tells of (memory, disk, images) is looked at. */
const checkMs = 10_000;
const retry = { baseMs: 200, maxMs: 7000, jitter: 0.2 };

export function createRegistrar(deps: RegistrarDeps): Registrar {
  const { client, clock, log, name } = deps;
  let node: Stored<Node> | undefined;
  let wakeUp: (() => void) | undefined;
  let pending = false;
  let lastReport = Number.NEGATIVE_INFINITY;

  async function register(signal: AbortSignal): Promise<void> {
    try {
      node = await client.get(nodes, { name }, { signal });
      const missing = Object.entries(deps.labels).filter(([key, value]) => node?.metadata.labels?.[key] !== value);
      if (missing.length > 0)
        node = await client.patch(nodes, { name }, 'merge', { metadata: { labels: Object.fromEntries(missing) } }, { signal });
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error;
      const status = await deps.status({});
      node = await client.create(
        nodes,
        {
          apiVersion: 'v1',
          kind: 'Node',
          metadata: { name, labels: deps.labels, annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' } },
          spec: deps.taints.length === 0 ? {} : { taints: deps.taints },
          status,
        },
        { signal },
      );
      log.info('registered this node', { name });
    }
  }

  async function report(signal: AbortSignal): Promise<void> {
    if (node === undefined) await register(signal);
    if (node === undefined) return;
    const before = node.status ?? {};
    const status = await deps.status(before);
    if (sameButHeartbeats(before, { ...before, ...status }) && clock.monotonic() - lastReport < reportMs) return;
    node = await client.patch(nodes, { name }, 'strategic', { status: patchOf(before, status) }, { subresource: 'status', signal });
    lastReport = clock.monotonic();
    deps.written(node, before);
  }

  return {
    node: () => node,
    observed: (seen) => {
      if (seen === undefined) {
        // Deleted while we run: it is registered anew.
        node = undefined;
        pending = true;
        wakeUp?.();
      } else if (node === undefined || BigInt(seen.metadata.resourceVersion) >= BigInt(node.metadata.resourceVersion)) node = seen;
    },
    wake: () => {
      pending = true;
      wakeUp?.();
    },
    run: async (signal) => {
      for (let failures = 0; !signal.aborted; ) {
        pending = false;
        try {
          await report(signal);
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          failures++;
          if (isStatus(error, 'NotFound')) node = undefined;
          if (failures === 1 || failures % 20 === 0) log.warn('the status of this node cannot be written, will retry', { error });
        }
        if (pending && failures === 0) continue;
        await new Promise<void>((resolve) => {
          const timer = clock.after(failures === 0 ? checkMs : backoffMs(failures, retry), resolve);
          wakeUp = () => {
            timer.cancel();
            resolve();
          };
          signal.addEventListener('abort', wakeUp, { once: true });
        });
        if (wakeUp !== undefined) signal.removeEventListener('abort', wakeUp);
        wakeUp = undefined;
      }
    },
  };
}

/** Lists that merge by key are replaced whole, so that nothing old stays in them. */
function patchOf(before: NodeStatus, status: NodeStatus): Readonly<Record<string, unknown>> {
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(status) as (keyof NodeStatus)[]) {
    if (isDeepStrictEqual(before[key], status[key])) continue;
    patch[key] = key === 'addresses' ? [{ $patch: 'replace' }, ...(status.addresses ?? [])] : status[key];
  }
  return patch;
}

/** Notices nodes that have fallen silent and taints nodes by their conditions: k8s.io/kubernetes pkg/controller/nodelifecycle. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import { tokenBucket } from '#client/work-queue.ts';
import { objectKey } from '#kube/object.ts';
import { leases, nodes, pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import {
  readyStatus,
  type StoredNode,
  silentConditions,
  wantedNoExecute,
  wantedTaints,
  withoutEviction,
  zoneKey,
  zoneState,
} from './node-health.ts';
import { isReady } from './pods.ts';
import { isoTime } from './times.ts';

const name = 'node-lifecycle-controller';
const leaseNamespace = 'kube-node-lease';
/** --node-startup-grace-period: for nodes that have never reported. */
const startupGraceMs = 60_000;
/** --node-eviction-rate and --large-cluster-size-threshold. */
const evictionsPerSecond = 0.1;
const smallZone = 50;
const evictionRetryMs = 5000;
const nodeIndex = 'node';

function create({ client, informers, recorder, clock, log, config }: ControllerDeps) {
  const allNodes = informers.informer(nodes);
  const allPods = informers.informer(pods);
  const allLeases = informers.informer(leases, { namespace: leaseNamespace });
  allPods.addIndex(nodeIndex, (pod) => [pod.spec?.nodeName ?? '']);
  /** When a node last gave a sign of life, by our own clock: nobody's clock needs to be right. */
  const seen = new Map<string, number>();
  const buckets = new Map<string, ReturnType<typeof tokenBucket>>();

  const nodesByZone = (): Map<string, StoredNode[]> => Map.groupBy(allNodes.list(), zoneKey);

  /** May the node get its NoExecute taint now? Evictions are slow, and stop where it looks like the network's fault. */
  const mayEvict = (node: StoredNode): boolean => {
    const wanted = wantedNoExecute(node);
    if (wanted === undefined) return false;
    const { taints = [] } = node.spec ?? {};
    if (taints.some((t) => t.effect === 'NoExecute' && t.key === wanted)) return true;
    // From not-ready to unreachable or back: its pods are being evicted already.
    if (withoutEviction(node) !== undefined) return true;
    const key = zoneKey(node);
    const zone = nodesByZone().get(key) ?? [];
    if (zoneState(zone) === 'PartialDisruption' && zone.length <= smallZone) return false;
    let bucket = buckets.get(key);
    if (bucket === undefined) {
      bucket = tokenBucket(clock, evictionsPerSecond, 1);
      buckets.set(key, bucket);
    }
    return bucket.allow();
  };
  /** With every node of every zone down, it is us who are cut off. */
  const allDown = (): boolean => {
    const zones = [...nodesByZone().values()];
    return zones.length > 0 && zones.every((zone) => zoneState(zone) === 'FullDisruption');
  };

  const markSilent = async (node: StoredNode, signal: AbortSignal): Promise<StoredNode> => {
    const conditions = silentConditions(node, clock.now());
    const written = await client.update(nodes, { ...node, status: { ...node.status, conditions } }, { subresource: 'status', signal });
    await allNodes.reached(written.metadata.resourceVersion, signal);
    return written;
  };

  const markPodsNotReady = async (node: StoredNode, signal: AbortSignal): Promise<void> => {
    for (const pod of allPods.byIndex(nodeIndex, node.metadata.name)) {
      if (!isReady(pod)) continue;
      const conditions = (pod.status?.conditions ?? []).map((c) =>
        c.type === 'Ready' ? { ...c, status: 'False', lastTransitionTime: isoTime(clock.now()) } : c,
      );
      recorder.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
      try {
        await client.update(pods, { ...pod, status: { ...pod.status, conditions } }, { subresource: 'status', signal });
      } catch (error) {
        if (!isStatus(error, 'NotFound', 'Conflict')) throw error;
      }
    }
  };

  const updateTaints = async (node: StoredNode, signal: AbortSignal): Promise<boolean> => {
    const wanted = wantedNoExecute(node);
    const down = wanted !== undefined && allDown();
    const evict = !down && mayEvict(node);
    let taints = wantedTaints(node, evict, clock.now());
    if (down) {
      const spared = withoutEviction(taints === undefined ? node : { ...node, spec: { ...node.spec, taints } });
      taints = spared ?? taints;
    }
    if (taints !== undefined) {
      const patch = { metadata: { resourceVersion: node.metadata.resourceVersion }, spec: { taints } };
      const written = await client.patch(nodes, { name: node.metadata.name }, 'merge', patch, { signal });
      await allNodes.reached(written.metadata.resourceVersion, signal);
    }
    return wanted !== undefined && !evict;
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    let node = allNodes.get(key);
    if (node === undefined) {
      seen.delete(key);
      return undefined;
    }
    const grace = readyStatus(node) === undefined ? Math.max(startupGraceMs, config.nodeMonitorGraceMs) : config.nodeMonitorGraceMs;
    const silentFor = clock.monotonic() - (seen.get(key) ?? clock.monotonic());
    const before = readyStatus(node);
    if (silentFor >= grace && before !== 'Unknown') node = await markSilent(node, signal);
    if (readyStatus(node) !== 'True') await markPodsNotReady(node, signal);
    const later = await updateTaints(node, signal);
    await labelPlatform(node, signal);
    const nextCheck = silentFor >= grace ? undefined : grace - silentFor;
    return later ? Math.min(evictionRetryMs, nextCheck ?? evictionRetryMs) : nextCheck;
  };

  /** The beta labels follow the stable ones. */
  const labelPlatform = async (node: StoredNode, signal: AbortSignal): Promise<void> => {
    const labels = node.metadata.labels ?? {};
    const wanted: Record<string, string> = {};
    for (const part of ['os', 'arch']) {
      const value = labels[`kubernetes.io/${part}`];
      if (value !== undefined && labels[`beta.kubernetes.io/${part}`] !== value) wanted[`beta.kubernetes.io/${part}`] = value;
    }
    if (Object.keys(wanted).length === 0) return;
    await client.patch(nodes, { name: node.metadata.name }, 'strategic', { metadata: { labels: wanted } }, { signal });
  };

  const reconciler = createReconciler(
    { clock, log },
    { name, sources: [allNodes, allPods, allLeases], workers: 4, reconcile, keys: () => allNodes.keys() },
  );
  const { queue } = reconciler;
  const alive = (key: string): void => {
    seen.set(key, clock.monotonic());
    queue.addAfter(key, config.nodeMonitorGraceMs);
  };
  allNodes.addHandler({
    added: (node) => {
      alive(objectKey(node));
      queue.add(objectKey(node));
      recorder.event(
        node,
        'Normal',
        'RegisteredNode',
        `Node ${node.metadata.name} event: Registered Node ${node.metadata.name} in Controller`,
      );
    },
    updated: (node, old) => {
      if (heartbeat(node) !== heartbeat(old)) alive(objectKey(node));
      if (node.status !== old.status || node.spec !== old.spec) queue.add(objectKey(node));
      if (readyStatus(old) === 'True' && readyStatus(node) !== 'True')
        recorder.event(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`);
      // One node's health decides what is done about the others.
      if (readyStatus(node) !== readyStatus(old))
        for (const other of allNodes.list()) if (readyStatus(other) !== 'True') queue.add(objectKey(other));
    },
    deleted: (node) => {
      queue.add(objectKey(node));
      recorder.event(
        node,
        'Normal',
        'RemovingNode',
        `Node ${node.metadata.name} event: Removing Node ${node.metadata.name} from Controller`,
      );
    },
  });
  allLeases.addHandler({ added: (lease) => alive(lease.metadata.name), updated: (lease) => alive(lease.metadata.name) });
  return [reconciler];
}

/** What only the kubelet writes. Our own writes must not count as signs of life. */
const heartbeat = (node: StoredNode): string =>
  (node.status?.conditions ?? [])
    .map((c) => c.lastHeartbeatTime ?? '')
    .sort()
    .at(-1) ?? '';

export const nodeLifecycleController: ControllerDef = { name, serviceAccount: 'node-controller', eventSource: 'node-controller', create };

/** Gives every node a pod network out of the cluster's: k8s.io/kubernetes pkg/controller/nodeipam (range allocator). */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { Node } from '#kube/generated/core-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { nodes } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { type Cidr, cidrContains, cidrSubnet, formatCidr, formatIp, parseCidr } from '#lib/cidr.ts';
import type { ControllerConfig, ControllerDef, ControllerDeps } from './controller.ts';

const name = 'node-ipam-controller';

/** The subnets of one cluster network, handed out in order. */
interface Pool {
  readonly holds: (cidr: string) => boolean;
  readonly occupy: (cidr: string) => void;
  readonly release: (cidr: string) => void;
  /** The next free subnet, taken; undefined when there is none. */
  readonly take: () => string | undefined;
}

export function createPool(cluster: Cidr, prefix: number): Pool {
  const total = 2 ** Math.min(prefix - cluster.prefix, 32);
  const bits = cluster.family === 4 ? 32 : 128;
  const taken = new Set<number>();
  let next = 0;
  /** First and last subnet that a network touches (it may be of another size than ours). */
  const rangeOf = (text: string): readonly [number, number] | undefined => {
    const cidr = parseCidr(text);
    if (cidr === undefined || !cidrContains(cluster, formatIp(cidr.family, cidr.base))) return undefined;
    const size = 1n << BigInt(bits - prefix);
    const last = cidr.base + (1n << BigInt(bits - cidr.prefix)) - 1n;
    return [Number((cidr.base - cluster.base) / size), Math.min(total - 1, Number((last - cluster.base) / size))];
  };
  const each = (text: string, fn: (index: number) => void): void => {
    const range = rangeOf(text);
    if (range === undefined) return;
    for (let i = range[0]; i <= range[1]; i++) fn(i);
  };
  return {
    holds: (text) => rangeOf(text) !== undefined,
    occupy: (text) => each(text, (i) => taken.add(i)),
    release: (text) => each(text, (i) => taken.delete(i)),
    take: () => {
      for (let tried = 0; tried < total && taken.size < total; tried++) {
        const index = next;
        next = (next + 1) % total;
        if (taken.has(index)) continue;
        taken.add(index);
        return formatCidr(cidrSubnet(cluster, prefix, BigInt(index)));
      }
      return undefined;
    },
  };
}

function poolsOf(config: ControllerConfig): readonly Pool[] {
  return config.clusterCidrs.map((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new Error(`the cluster CIDR ${text} is no network`);
    const prefix = cidr.family === 4 ? config.nodeCidrMaskSizeIPv4 : config.nodeCidrMaskSizeIPv6;
    if (prefix < cidr.prefix) throw new Error(`node networks of /${prefix} do not fit into the cluster CIDR ${text}`);
    return createPool(cidr, prefix);
  });
}

const cidrsOf = (node: Stored<Node>): readonly string[] =>
  node.spec?.podCIDRs ?? (node.spec?.podCIDR === undefined ? [] : [node.spec.podCIDR]);

function create({ client, informers, recorder, clock, log, config }: ControllerDeps) {
  if (config.clusterCidrs.length === 0) return [];
  const all = informers.informer(nodes);
  const pools = poolsOf(config);
  const occupy = (node: Stored<Node>): void => {
    for (const cidr of cidrsOf(node)) for (const pool of pools) if (pool.holds(cidr)) pool.occupy(cidr);
  };

  const allocate = async (node: Stored<Node>, signal: AbortSignal): Promise<void> => {
    const cidrs: string[] = [];
    for (const pool of pools) {
      const cidr = pool.take();
      if (cidr === undefined) {
        release(cidrs);
        const message = `Node ${node.metadata.name} status is now: CIDRNotAvailable`;
        recorder.event(node, 'Normal', 'CIDRNotAvailable', message);
        throw new Error(`no pod CIDR is left for node ${node.metadata.name}`);
      }
      cidrs.push(cidr);
    }
    try {
      const patch = { metadata: { uid: node.metadata.uid }, spec: { podCIDR: cidrs[0], podCIDRs: cidrs } };
      const written = await client.patch(nodes, { name: node.metadata.name }, 'strategic', patch, { signal });
      await all.reached(written.metadata.resourceVersion, signal);
    } catch (error) {
      release(cidrs);
      if (isStatus(error, 'NotFound')) return;
      if (!signal.aborted)
        recorder.event(node, 'Normal', 'CIDRAssignmentFailed', `Node ${node.metadata.name} status is now: CIDRAssignmentFailed`);
      throw error;
    }
  };
  const release = (cidrs: readonly string[]): void => {
    for (const cidr of cidrs) for (const pool of pools) if (pool.holds(cidr)) pool.release(cidr);
  };

  const reconciler = createReconciler(
    { clock, log },
    {
      name,
      sources: [all],
      // One at a time: a network must not be handed out twice.
      workers: 1,
      keys: () => all.keys(),
      reconcile: async (key, signal): Promise<Requeue> => {
        const node = all.get(key);
        if (node !== undefined && node.metadata.deletionTimestamp === undefined && cidrsOf(node).length === 0) await allocate(node, signal);
        return undefined;
      },
    },
  );
  all.addHandler({
    added: (node) => {
      occupy(node);
      reconciler.queue.add(objectKey(node));
    },
    updated: (node) => {
      occupy(node);
      if (cidrsOf(node).length === 0) reconciler.queue.add(objectKey(node));
    },
    deleted: (node) => {
      release(cidrsOf(node));
      // A network has become free: whoever waits for one may have it.
      for (const other of all.list()) if (cidrsOf(other).length === 0) reconciler.queue.add(objectKey(other));
    },
  });
  return [reconciler];
}

export const nodeIpamController: ControllerDef = { name, serviceAccount: 'node-controller', create };

/** The node's heartbeat: a Lease in kube-node-lease, renewed every ten seconds. pkg/kubelet (component-helpers lease). */
import type { KubeClient } from '#client/contract.ts';
import type { Lease } from '#kube/generated/coordination-v1.ts';
import type { Stored } from '#kube/object.ts';
import { leases, nodes } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';

const namespace = 'kube-node-lease';
const durationSeconds = 40;
const renewMs = 10_000;

/** RFC 3339 with microseconds: metav1.MicroTime. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

export async function keepLease(
  name: string,
  deps: { readonly client: KubeClient; readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, log } = deps;
  let lease: Stored<Lease> | undefined;

  async function create(renewTime: string): Promise<Stored<Lease>> {
    const node = await client.get(nodes, { name }, { signal });
    return client.create(
      leases,
      {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        // The lease goes with its node.
        metadata: { name, namespace, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid: node.metadata.uid }] },
        spec: { holderIdentity: name, leaseDurationSeconds: durationSeconds, renewTime },
      },
      { signal },
    );
  }

  async function renew(): Promise<void> {
    const renewTime = microTime(clock.now());
    if (lease === undefined) {
      try {
        lease = await client.get(leases, { namespace, name }, { signal });
      } catch (error) {
        if (!isStatus(error, 'NotFound')) throw error;
        lease = await create(renewTime);
        return;
      }
    }
    const spec = { ...lease.spec, holderIdentity: name, leaseDurationSeconds: durationSeconds, renewTime };
    lease = await client.update(leases, { ...lease, spec } as Lease, { signal });
  }

  let failures = 0;
  while (!signal.aborted) {
    try {
      await renew();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      lease = undefined;
      failures++;
      if (failures === 3) log.warn('the lease of this node cannot be renewed', { error });
    }
    // A renewal that failed is tried again soon: the node counts as lost after 40 s.
    await clock.sleep(failures === 0 ? renewMs : Math.min(5000, 200 * 2 ** failures), signal).catch(() => undefined);
  }
}

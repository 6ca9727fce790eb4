/** Objects that every cluster has from the start. Those that exist are left as they are, but for the server's own address. */
import type { Endpoints, Namespace, Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { ServiceCIDR } from '#kube/generated/networking-v1.ts';
import type { PriorityClass } from '#kube/generated/scheduling-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import {
  apiVersionOf,
  endpointSlices,
  endpoints,
  flowSchemas as flowSchemaRef,
  namespaces,
  priorityClasses,
  priorityLevelConfigurations,
  type ResourceRef,
  serviceCIDRs,
  services,
} from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ObjectStore } from '../contract.ts';
import type { StartHooks } from '../health.ts';
import type { InProcessTransport } from '../in-process.ts';
import { flowSchemas, priorityLevels } from './flow-control.ts';

export interface BootstrapOptions {
  /** Where nodes and pods reach the API server. */
  readonly advertiseAddress: string;
  readonly port: number;
  readonly serviceCidrs: readonly string[];
  /** The address of the service `kubernetes`. */
  readonly serviceIp: string;
}

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

const systemPriorities: readonly PriorityClass[] = [
  {
    kind: 'PriorityClass',
    apiVersion: 'scheduling.k8s.io/v1',
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    description: 'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
  {
    kind: 'PriorityClass',
    apiVersion: 'scheduling.k8s.io/v1',
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
];

/** Creates what is missing, part by part, each a hook of its own. `transport` acts as a member of system:masters. */
export async function bootstrapObjects(
  transport: InProcessTransport,
  objects: ObjectStore,
  hooks: StartHooks,
  options: BootstrapOptions,
): Promise<void> {
  const create = async <T extends KubeObject>(ref: ResourceRef<T>, object: T): Promise<void> => {
    const { namespace, name } = object.metadata;
    if (objects.get(ref, namespace ?? '', name ?? '') !== undefined) return;
    const base = `${ref.group === '' ? '/api' : '/apis'}/${apiVersionOf(ref)}`;
    const path = namespace === undefined ? `${base}/${ref.plural}` : `${base}/namespaces/${namespace}/${ref.plural}`;
    try {
      await transport.call({ method: 'POST', path, contentType: 'application/json', body: object });
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error;
    }
  };
  const all = async <T>(items: readonly T[], make: (item: T) => Promise<void>): Promise<void> => {
    await Promise.all(items.map(make));
  };
  await hooks.run('start-system-namespaces-controller', () =>
    all(systemNamespaces, (name) => create<Namespace>(namespaces, { kind: 'Namespace', apiVersion: 'v1', metadata: { name } })),
  );
  await Promise.all([
    hooks.run('scheduling/bootstrap-system-priority-classes', () => all(systemPriorities, (o) => create(priorityClasses, o))),
    hooks.run('priority-and-fairness-config-producer', () =>
      Promise.all([all(priorityLevels, (o) => create(priorityLevelConfigurations, o)), all(flowSchemas, (o) => create(flowSchemaRef, o))]),
    ),
    hooks.run('start-kubernetes-service-cidr-controller', async () => {
      await create<ServiceCIDR>(serviceCIDRs, {
        kind: 'ServiceCIDR',
        apiVersion: 'networking.k8s.io/v1',
        metadata: { name: 'kubernetes' },
        spec: { cidrs: [...options.serviceCidrs] },
      });
      await markReady(objects);
    }),
    hooks.run('bootstrap-controller', async () => {
      await create<Service>(services, kubernetesService(options));
      await publishEndpoints(create, objects, options);
    }),
  ]);
}

const kubernetesService = ({ port, serviceIp }: BootstrapOptions): Service => ({
  kind: 'Service',
  apiVersion: 'v1',
  metadata: { name: 'kubernetes', namespace: 'default', labels: { component: 'apiserver', provider: 'kubernetes' } },
  spec: { type: 'ClusterIP', clusterIP: serviceIp, ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }] },
});

type Create = <T extends KubeObject>(ref: ResourceRef<T>, object: T) => Promise<void>;

/** The endpoints of the service `kubernetes` are this server's address: also when it has changed since. */
async function publishEndpoints(create: Create, objects: ObjectStore, options: BootstrapOptions): Promise<void> {
  const { advertiseAddress, port } = options;
  // A machine without a network has only the loopback address, which endpoints may not hold: no pod would reach it.
  if (/^127\.|^::1$/.test(advertiseAddress)) return;
  const ports = [{ name: 'https', port, protocol: 'TCP' }];
  const subsets = [{ addresses: [{ ip: advertiseAddress }], ports }];
  const list = [{ addresses: [advertiseAddress], conditions: { ready: true } }];
  const addressType = advertiseAddress.includes(':') ? 'IPv6' : 'IPv4';
  const metadata = { name: 'kubernetes', namespace: 'default' };
  await create<Endpoints>(endpoints, {
    kind: 'Endpoints',
    apiVersion: 'v1',
    metadata: { ...metadata, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets,
  });
  await objects.modify(endpoints, 'default', 'kubernetes', (draft) => {
    draft['subsets'] = subsets;
    return true;
  });
  const slice: EndpointSlice = {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType,
    endpoints: list,
    ports,
  };
  const known = objects.get(endpointSlices, 'default', 'kubernetes');
  if (known !== undefined && known.addressType !== addressType) await objects.remove(endpointSlices, 'default', 'kubernetes');
  await create<EndpointSlice>(endpointSlices, slice);
  await objects.modify(endpointSlices, 'default', 'kubernetes', (draft) => {
    draft['endpoints'] = list;
    draft['ports'] = ports;
    return true;
  });
}

async function markReady(objects: ObjectStore): Promise<void> {
  await objects.modify(serviceCIDRs, '', 'kubernetes', (draft, current) => {
    if (current.status?.conditions?.some((c) => c.type === 'Ready') === true) return false;
    const lastTransitionTime = current.metadata.creationTimestamp;
    draft['status'] = {
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime, reason: '', message: 'Kubernetes Service CIDR is ready' }],
    };
    return true;
  });
}

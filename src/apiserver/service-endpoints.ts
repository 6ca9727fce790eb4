/** How the server reaches a service: one of its ready endpoints, dialled from the node that the endpoint is on. */
import type { Duplex } from 'node:stream';
import type { Service, ServicePort } from '#kube/generated/core-v1.ts';
import { endpointSlices, services } from '#kube/refs.ts';
import { notFound, StatusError } from '#kube/status-error.ts';
import type { ObjectReader } from './contract.ts';
import { type DialService, dialTcp } from './dial.ts';
import type { Tunnel } from './tunnel.ts';

export interface ServiceEndpoint {
  readonly host: string;
  readonly port: number;
  /** The node that it is on; '': on none. */
  readonly node: string;
}

function servicePort(service: Service, name: string, port: string): ServicePort {
  const ports = service.spec?.ports ?? [];
  const found = port === '' && ports.length === 1 ? ports[0] : ports.find((p) => (p.name ?? '') === port || String(p.port) === port);
  if (found === undefined)
    throw new StatusError('ServiceUnavailable', `no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`);
  return found;
}

/** The ready endpoints of a service's port (by number or name; '' for the only one), in no order. Throws StatusError NotFound or ServiceUnavailable. */
function readyEndpoints(
  objects: Pick<ObjectReader, 'get' | 'list'>,
  namespace: string,
  name: string,
  port: string,
): readonly ServiceEndpoint[] {
  const service = objects.get(services, namespace, name);
  if (service === undefined) throw notFound({ group: '', plural: 'services' }, name);
  const wanted = servicePort(service, name, port);
  const slices = objects.list(endpointSlices, namespace).filter((s) => s.metadata.labels?.['kubernetes.io/service-name'] === name);
  const ready = slices.flatMap((slice) => {
    const number = (slice.ports ?? []).find((p) => (p.name ?? '') === (wanted.name ?? ''))?.port;
    if (number === undefined) return [];
    return (slice.endpoints ?? [])
      .filter((e) => e.conditions?.ready !== false)
      .flatMap((e) => e.addresses.slice(0, 1).map((host) => ({ host, port: number, node: e.nodeName ?? '' })));
  });
  if (ready.length === 0) throw new StatusError('ServiceUnavailable', `no endpoints available for service ${JSON.stringify(name)}`);
  return ready;
}

const anyOf = <T>(list: readonly T[]): number => Math.floor(Math.random() * list.length);

/** One ready endpoint of a service's port. Throws StatusError NotFound or ServiceUnavailable. */
export function serviceEndpoint(
  objects: Pick<ObjectReader, 'get' | 'list'>,
  namespace: string,
  name: string,
  port: string,
): ServiceEndpoint {
  const ready = readyEndpoints(objects, namespace, name, port);
  return ready[anyOf(ready)] as ServiceEndpoint;
}

/** How many endpoints are tried before a connection fails. */
const maxTries = 3;

/**
 * Opens connections to services: through the node that an endpoint is on. What is on no node (endpoints that somebody wrote
 * down, an ExternalName) is outside the cluster and dialled from here: nodes connect to their own pods only.
 */
export function createServiceDialer(
  tunnel: Pick<Tunnel, 'dialNode' | 'connected'>,
  objects: Pick<ObjectReader, 'get' | 'list'>,
): DialService {
  const dial = async ({ host, port, node }: ServiceEndpoint, signal: AbortSignal): Promise<Duplex> =>
    node === '' ? await dialTcp(host, port, signal) : await (await tunnel.dialNode(node, signal)).connect(host, port, signal);
  return async (namespace, name, port, signal) => {
    const spec = objects.get(services, namespace, name)?.spec;
    if (spec?.type === 'ExternalName') return await dialTcp(spec.externalName ?? '', port, signal);
    const ready = readyEndpoints(objects, namespace, name, String(port));
    const first = anyOf(ready);
    const connected = new Set(['', ...tunnel.connected()]);
    const order = [...ready.slice(first), ...ready.slice(0, first)].sort(
      (a, b) => Number(connected.has(b.node)) - Number(connected.has(a.node)),
    );
    let failure: unknown;
    for (const endpoint of order.slice(0, maxTries)) {
      try {
        return await dial(endpoint, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        failure ??= error;
      }
    }
    throw failure;
  };
}

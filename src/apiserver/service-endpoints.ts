/** How the server reaches a service: one of its ready endpoints, dialled from the node that the endpoint is on. */
import type { Duplex } from 'node:stream';
import type { Service, ServicePort } from '#kube/generated/core-v1.ts';
import { endpointSlices, services } from '#kube/refs.ts';
import { notFound, StatusError } from '#kube/status-error.ts';
import type { ObjectReader } from './contract.ts';
import type { Tunnel } from './tunnel.ts';

export interface ServiceEndpoint {
  readonly host: string;
  readonly port: number;
  /** The node that dials; '': any that is connected. */
  readonly node: string;
}

function servicePort(service: Service, name: string, port: string): ServicePort {
  const ports = service.spec?.ports ?? [];
  const found = port === '' && ports.length === 1 ? ports[0] : ports.find((p) => (p.name ?? '') === port || String(p.port) === port);
  if (found === undefined)
    throw new StatusError('ServiceUnavailable', `no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`);
  return found;
}

/** A ready endpoint of a service's port (by number or name; '' for the only one). Throws StatusError NotFound or ServiceUnavailable. */
export function serviceEndpoint(
  objects: Pick<ObjectReader, 'get' | 'list'>,
  namespace: string,
  name: string,
  port: string,
): ServiceEndpoint {
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
  const chosen = ready[Math.floor(Math.random() * ready.length)];
  if (chosen === undefined) throw new StatusError('ServiceUnavailable', `no endpoints available for service ${JSON.stringify(name)}`);
  return chosen;
}

/** Opens connections to services through the nodes. */
export function createServiceDialer(tunnel: Pick<Tunnel, 'dialNode' | 'connected'>, objects: Pick<ObjectReader, 'get' | 'list'>) {
  return async (namespace: string, name: string, port: number, signal: AbortSignal): Promise<Duplex> => {
    const target = serviceEndpoint(objects, namespace, name, String(port));
    const node = target.node === '' ? (tunnel.connected()[0] ?? '') : target.node;
    return await (await tunnel.dialNode(node, signal)).connect(target.host, target.port, signal);
  };
}

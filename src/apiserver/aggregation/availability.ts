/** Whether the server behind an APIService can be reached: kube-aggregator pkg/controllers/status/remote/remote_available_controller.go. */
import type { Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import { endpointSlices, services } from '#kube/refs.ts';
import type { ObjectReader } from '../contract.ts';
import type { Target } from './target.ts';

export interface Availability {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Asks for a path as system:kube-aggregator; rejects when there is no answer in time. */
export type Probe = (path: string, signal: AbortSignal) => Promise<number>;

const unavailable = (reason: string, message: string): Availability => ({ status: 'False', reason, message });

/** How often the server is asked before it counts as unavailable, since one of its endpoints may be bad. */
const attempts = 5;

/** host:port of a service as upstream writes it in URLs: its cluster address. */
export function hostOf(service: Service | undefined, { serverName, port }: Target): string {
  const { clusterIP = '', type, externalName = '' } = service?.spec ?? {};
  const address = type === 'ExternalName' ? externalName : clusterIP === '' || clusterIP === 'None' ? serverName : clusterIP;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export const slicesOf = (objects: Pick<ObjectReader, 'list'>, { namespace, name }: Target): readonly EndpointSlice[] =>
  objects.list(endpointSlices, namespace).filter((s) => s.metadata.labels?.['kubernetes.io/service-name'] === name);

/** What the Service and its endpoints tell, without asking the server; undefined where they tell nothing bad. */
export function serviceProblem(objects: Pick<ObjectReader, 'get' | 'list'>, target: Target): Availability | undefined {
  const { namespace, name, port } = target;
  const service = objects.get(services, namespace, name);
  if (service === undefined) return unavailable('ServiceNotFound', `service/${name} in "${namespace}" is not present`);
  if ((service.spec?.type ?? 'ClusterIP') !== 'ClusterIP') return undefined;
  const servicePort = service.spec?.ports?.find((p) => p.port === port);
  if (servicePort === undefined)
    return unavailable('ServicePortError', `service/${name} in "${namespace}" is not listening on port ${port}`);
  const slices = slicesOf(objects, target);
  if (slices.length === 0) return unavailable('EndpointsNotFound', `cannot find endpointslices for service/${name} in "${namespace}"`);
  const portName = servicePort.name ?? '';
  const active = slices.some(
    (slice) =>
      (slice.endpoints ?? []).some((e) => e.conditions?.ready !== false) &&
      (slice.ports ?? []).some((p) => (p.name ?? '') === portName && p.port !== undefined),
  );
  if (active) return undefined;
  return unavailable(
    'MissingEndpoints',
    `endpointslices for service/${name} in "${namespace}" have no addresses with port name "${portName}"`,
  );
}

/** Asks the server for a document that it has to serve. */
export async function checkDiscovery(path: string, host: string, probe: Probe, signal: AbortSignal): Promise<Availability> {
  const url = `https://${host}${path}`;
  const once = async (): Promise<void> => {
    let status: number;
    try {
      status = await probe(path, signal);
    } catch (error) {
      throw new Error(`failing or missing response from ${url}: Get "${url}": ${error instanceof Error ? error.message : String(error)}`);
    }
    if (status < 200 || status > 299) throw new Error(`failing or missing response from ${url}: bad status from ${url}: ${status}`);
  };
  try {
    // Upstream asks five times at once; the others are for when the first fails.
    await once().catch(() => Promise.any(Array.from({ length: attempts - 1 }, once)));
  } catch (error) {
    signal.throwIfAborted();
    const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
    return unavailable('FailedDiscoveryCheck', first instanceof Error ? first.message : String(first));
  }
  return { status: 'True', reason: 'Passed', message: 'all checks passed' };
}

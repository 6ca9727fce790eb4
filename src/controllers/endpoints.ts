/** The older form of EndpointSlices, one object for each service: k8s.io/kubernetes pkg/controller/endpoint. */
import { isDeepStrictEqual } from 'node:util';
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { EndpointAddress, EndpointPort, EndpointSubset } from '#kube/generated/core-v1.ts';
import { type KubeObject, objectKey } from '#kube/object.ts';
import { endpoints, pods, services } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isNamespaceTerminating, textOf } from './pod-control.ts';
import { isReady, isTerminal, type StoredPod } from './pods.ts';
import {
  addressOf,
  families,
  followServicePods,
  hasSelector,
  headlessLabel,
  hostnameFor,
  isHeadless,
  podsOf,
  type StoredService,
  targetPort,
  triggerTime,
  triggerTimeAnnotation,
} from './service-pods.ts';
import { canonicalJson } from './template-hash.ts';

const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const managedBy = 'endpoint-controller';
const overCapacityAnnotation = 'endpoints.kubernetes.io/over-capacity';
const maxAddresses = 1000;

interface PodEndpoint {
  readonly address: EndpointAddress;
  readonly ready: boolean;
  readonly ports: readonly EndpointPort[];
}

function podEndpoints(service: StoredService, selected: readonly StoredPod[]): readonly PodEndpoint[] {
  const publishAll = service.spec?.publishNotReadyAddresses === true;
  const [family = 'IPv4'] = families(service);
  const out: PodEndpoint[] = [];
  for (const pod of selected) {
    const ip = addressOf(pod, family);
    if (ip === undefined || isTerminal(pod) || (pod.metadata.deletionTimestamp !== undefined && !publishAll)) continue;
    const hostname = hostnameFor(pod, service);
    const address: EndpointAddress = {
      ip,
      ...(hostname === undefined ? {} : { hostname }),
      ...(pod.spec?.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
      targetRef: { kind: 'Pod', namespace: pod.metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
    };
    const ports: EndpointPort[] = [];
    for (const one of service.spec?.ports ?? []) {
      const port = targetPort(pod, one);
      if (port === undefined) continue;
      ports.push({
        ...(one.name === undefined || one.name === '' ? {} : { name: one.name }),
        port,
        protocol: one.protocol ?? 'TCP',
        ...(one.appProtocol === undefined ? {} : { appProtocol: one.appProtocol }),
      });
    }
    if (ports.length > 0 || (service.spec?.ports ?? []).length === 0) out.push({ address, ready: publishAll || isReady(pod), ports });
  }
  return out;
}

const addressKey = (e: PodEndpoint): string => `${e.address.ip} ${e.address.targetRef?.uid ?? ''} ${e.ready}`;

/** Ports that lead to the same addresses share a subset: k8s.io/kubernetes pkg/api/v1/endpoints RepackSubsets. */
export function packSubsets(all: readonly PodEndpoint[]): readonly EndpointSubset[] {
  const byPort = new Map<string, { readonly port: EndpointPort | undefined; readonly members: PodEndpoint[] }>();
  for (const one of all) {
    const ports: readonly (EndpointPort | undefined)[] = one.ports.length === 0 ? [undefined] : one.ports;
    for (const port of ports) {
      const key = port === undefined ? '' : canonicalJson(port);
      const entry = byPort.get(key) ?? { port, members: [] };
      entry.members.push(one);
      byPort.set(key, entry);
    }
  }
  const byMembers = Map.groupBy(byPort.values(), (entry) => entry.members.map(addressKey).sort().join(';'));
  const subsets = [...byMembers.values()].map((entries): EndpointSubset => {
    const members = entries[0]?.members ?? [];
    const addresses = (ready: boolean): readonly EndpointAddress[] =>
      members
        .filter((m) => m.ready === ready)
        .map((m) => m.address)
        .sort((a, b) => compareText(a.ip, b.ip) || compareText(a.targetRef?.uid ?? '', b.targetRef?.uid ?? ''));
    const ports = entries
      .flatMap((e) => (e.port === undefined ? [] : [e.port]))
      .sort((a, b) => compareText(canonicalJson(a), canonicalJson(b)));
    const [ready, notReady] = [addresses(true), addresses(false)];
    return {
      ...(ready.length === 0 ? {} : { addresses: ready }),
      ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
      ...(ports.length === 0 ? {} : { ports }),
    };
  });
  return subsets.sort((a, b) => compareText(canonicalJson(a), canonicalJson(b)));
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Ready addresses are kept before others where there are too many. */
function truncated(all: readonly PodEndpoint[]): readonly PodEndpoint[] {
  if (all.length <= maxAddresses) return all;
  return [...all.filter((e) => e.ready), ...all.filter((e) => !e.ready)].slice(0, maxAddresses);
}

function create({ client, informers, recorder, clock, log }: ControllerDeps) {
  const allServices = informers.informer(services);
  const allPods = informers.informer(pods);
  const known = informers.informer(endpoints);

  const write = async (service: StoredService, signal: AbortSignal): Promise<void> => {
    const selected = podsOf(service, allPods);
    const found = podEndpoints(service, selected);
    const subsets = packSubsets(truncated(found));
    const { name, namespace = '', labels: serviceLabels } = service.metadata;
    const labels = { ...serviceLabels, [managedByLabel]: managedBy, ...(isHeadless(service) ? { [headlessLabel]: '' } : {}) };
    const current = known.get(`${namespace}/${name}`);
    const { [overCapacityAnnotation]: _over, ...kept } = current?.metadata.annotations ?? {};
    const over = found.length > maxAddresses ? { [overCapacityAnnotation]: 'truncated' } : {};
    const annotations = { ...kept, ...over };
    if (
      current !== undefined &&
      isDeepStrictEqual(current.subsets ?? [], subsets) &&
      isDeepStrictEqual(current.metadata.labels ?? {}, labels) &&
      isDeepStrictEqual(current.metadata.annotations ?? {}, annotations)
    )
      return;
    const metadata = {
      ...current?.metadata,
      name,
      namespace,
      labels,
      annotations: { ...annotations, [triggerTimeAnnotation]: triggerTime(service, selected) },
    };
    const object = { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets };
    try {
      const written = await (current === undefined
        ? client.create(endpoints, object, { signal })
        : client.update(endpoints, object, { signal }));
      await known.reached(written.metadata.resourceVersion, signal);
    } catch (error) {
      if (isStatus(error, 'Conflict') || isNamespaceTerminating(error) || signal.aborted) throw error;
      const verb = current === undefined ? 'create' : 'update';
      recorder.event(
        service,
        'Warning',
        current === undefined ? 'FailedToCreateEndpoint' : 'FailedToUpdateEndpoint',
        `Failed to ${verb} endpoint ${namespace}/${name}: ${textOf(error)}`,
      );
      throw error;
    }
  };
  const remove = async (key: string, signal: AbortSignal): Promise<void> => {
    const [namespace = '', name = ''] = key.split('/');
    if (known.get(key) === undefined) return;
    await client.delete(endpoints, { namespace, name }, undefined, { signal }).catch((error: unknown) => {
      if (!isStatus(error, 'NotFound')) throw error;
    });
  };

  const reconciler = createReconciler(
    { clock, log },
    {
      name: 'endpoints-controller',
      sources: [allServices, allPods, known],
      keys: () => allServices.keys(),
      reconcile: async (key, signal): Promise<Requeue> => {
        const service = allServices.get(key);
        if (service === undefined) await remove(key, signal);
        else if (hasSelector(service) && service.metadata.deletionTimestamp === undefined) await write(service, signal);
        return undefined;
      },
    },
  );
  const { queue } = reconciler;
  allServices.addHandler({
    added: (s) => queue.add(objectKey(s)),
    updated: (s) => queue.add(objectKey(s)),
    deleted: (s) => queue.add(objectKey(s)),
  });
  followServicePods(allPods, allServices, queue.add);
  const followed = (e: KubeObject): void => {
    // Endpoints that somebody made for no service are none of ours.
    if (allServices.get(objectKey(e)) !== undefined) queue.add(objectKey(e));
  };
  known.addHandler({ updated: followed, deleted: followed });
  return [reconciler];
}

export const endpointsController: ControllerDef = { name: 'endpoint-controller', create };

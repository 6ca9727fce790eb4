/** The addresses of a service's pods: k8s.io/kubernetes pkg/controller/endpointslice. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { Endpoint, EndpointPort } from '#kube/generated/discovery-v1.ts';
import { controllerOf, type ObjectMeta, objectKey } from '#kube/object.ts';
import { endpointSlices, nodes, pods, services } from '#kube/refs.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { type EndpointGroup, reconcileSlices } from './endpoint-slice-reconcile.ts';
import { controllerRef } from './ownership.ts';
import { podsPrefix, textOf } from './pod-control.ts';
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
  zoneOf,
} from './service-pods.ts';
import { canonicalJson } from './template-hash.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const managedBy = 'endpointslice-controller.k8s.io';
const ownerIndex = 'service';
const maxPerSlice = 100;
const missingNodeRetryMs = 5000;

function create({ client, informers, recorder, clock, log }: ControllerDeps) {
  const allServices = informers.informer(services);
  const allPods = informers.informer(pods);
  const allNodes = informers.informer(nodes);
  const slices = informers.informer(endpointSlices);
  slices.addIndex(ownerIndex, (slice) => [`${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`]);

  const endpointOf = (service: StoredService, pod: StoredPod, address: string): Endpoint => {
    const { nodeName } = pod.spec ?? {};
    const serving = isReady(pod);
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    const hostname = hostnameFor(pod, service);
    const zone = nodeName === undefined ? undefined : zoneOf(allNodes.get(nodeName));
    return {
      addresses: [address],
      conditions: { ready: service.spec?.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating },
      ...(hostname === undefined ? {} : { hostname }),
      targetRef: { kind: 'Pod', namespace: pod.metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(zone === undefined ? {} : { zone }),
    };
  };

  /** Groups of every family; `skipped`: pods on nodes that are not known (yet). */
  const groupsOf = (service: StoredService, selected: readonly StoredPod[]) => {
    const groups: EndpointGroup[] = [];
    let skipped = false;
    for (const addressType of families(service)) {
      const byPorts = new Map<string, { ports: readonly EndpointPort[]; endpoints: Endpoint[] }>();
      for (const pod of selected) {
        const address = addressOf(pod, addressType);
        if (isTerminal(pod) || address === undefined) continue;
        const node = pod.spec?.nodeName;
        if (node !== undefined && allNodes.get(node) === undefined && service.spec?.publishNotReadyAddresses !== true) {
          skipped = true;
          continue;
        }
        const ports = portsOf(service, pod);
        const key = canonicalJson(ports);
        const group = byPorts.get(key) ?? { ports, endpoints: [] };
        group.endpoints.push(endpointOf(service, pod, address));
        byPorts.set(key, group);
      }
      for (const group of byPorts.values()) groups.push({ addressType, ...group });
      // A service without endpoints has one slice that says so.
      if (byPorts.size === 0) groups.push({ addressType, ports: [], endpoints: [] });
    }
    return { groups, skipped };
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const service = allServices.get(key);
    // The slices of a service that is gone are collected with it.
    if (service === undefined || !hasSelector(service) || service.metadata.deletionTimestamp !== undefined) return undefined;
    const existing = slices
      .byIndex(ownerIndex, key)
      .filter((slice) => slice.metadata.labels?.[managedByLabel] === managedBy && slice.metadata.deletionTimestamp === undefined);
    const selected = podsOf(service, allPods);
    const { groups, skipped } = groupsOf(service, selected);
    const writer = { client, slices, maxPerSlice, signal, metadata: metadataFor(service, selected) };
    try {
      await reconcileSlices(writer, existing, groups);
    } catch (error) {
      if (!signal.aborted)
        recorder.event(
          service,
          'Warning',
          'FailedToUpdateEndpointSlices',
          `Error updating Endpoint Slices for Service ${key}: ${textOf(error)}`,
        );
      throw error;
    }
    return skipped ? missingNodeRetryMs : undefined;
  };

  const reconciler = createReconciler(
    { clock, log },
    { name: 'endpoint-slice-controller', sources: [allServices, allPods, allNodes, slices], reconcile, keys: () => allServices.keys() },
  );
  const { queue } = reconciler;
  allServices.addHandler({ added: (s) => queue.add(objectKey(s)), updated: (s) => queue.add(objectKey(s)) });
  followServicePods(allPods, allServices, queue.add);
  const changed = (slice: { readonly metadata: ObjectMeta }): void => {
    const { labels = {}, namespace } = slice.metadata;
    if (labels[managedByLabel] === managedBy) queue.add(`${namespace}/${labels[serviceNameLabel] ?? ''}`);
  };
  slices.addHandler({
    updated: (slice, old) => {
      if (slice.metadata.generation !== old.metadata.generation || controllerOf(slice) === undefined) changed(slice);
      if (slice.metadata.labels?.[serviceNameLabel] !== old.metadata.labels?.[serviceNameLabel]) changed(old);
    },
    deleted: changed,
  });
  return [reconciler];
}

function portsOf(service: StoredService, pod: StoredPod): readonly EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const one of service.spec?.ports ?? []) {
    const port = targetPort(pod, one);
    if (port === undefined) continue;
    const { appProtocol } = one;
    ports.push({ name: one.name ?? '', protocol: one.protocol ?? 'TCP', port, ...(appProtocol === undefined ? {} : { appProtocol }) });
  }
  return ports;
}

function metadataFor(service: StoredService, selected: readonly StoredPod[]): ObjectMeta {
  const own = new Set([serviceNameLabel, managedByLabel, headlessLabel]);
  const inherited = Object.fromEntries(Object.entries(service.metadata.labels ?? {}).filter(([key]) => !own.has(key)));
  return {
    generateName: podsPrefix(service.metadata.name),
    namespace: service.metadata.namespace ?? '',
    labels: {
      ...inherited,
      [serviceNameLabel]: service.metadata.name,
      [managedByLabel]: managedBy,
      ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
    },
    annotations: { [triggerTimeAnnotation]: triggerTime(service, selected) },
    ownerReferences: [controllerRef(services, service)],
  };
}

export const endpointSliceController: ControllerDef = {
  name: 'endpoint-slice-controller',
  serviceAccount: 'endpointslice-controller',
  create,
};

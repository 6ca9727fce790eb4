/** Which services a pod concerns, and what a pod is to a service: k8s.io/endpointslice util and pkg/controller/endpoint. */
import type { Informer } from '#client/informer.ts';
import type { Node, Pod, Service, ServicePort } from '#kube/generated/core-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { matchesLabels, selectorFromLabels } from '#kube/selector.ts';
import { parseIp } from '#lib/cidr.ts';
import { isReady, isTerminal, readyCondition, type StoredPod } from './pods.ts';
import { isoTime, msOf } from './times.ts';

export type StoredService = Stored<Service>;

export const headlessLabel = 'service.kubernetes.io/headless';
export const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';
const zoneLabel = 'topology.kubernetes.io/zone';

export const isHeadless = (service: StoredService): boolean => service.spec?.clusterIP === 'None';

/** Services whose endpoints come from pods. */
export const hasSelector = (service: StoredService): boolean =>
  service.spec?.selector !== undefined && service.spec.type !== 'ExternalName';

export function podsOf(service: StoredService, pods: Informer<Pod>): readonly StoredPod[] {
  const selector = selectorFromLabels(service.spec?.selector);
  if (selector.length === 0) return [];
  return pods.list(service.metadata.namespace ?? '').filter((pod) => matchesLabels(selector, pod.metadata.labels));
}

/** What of a pod shows in endpoints: an update that leaves this as it was concerns no service. */
function fingerprint(pod: StoredPod): string {
  const { spec, status, metadata } = pod;
  return JSON.stringify([
    metadata.labels,
    metadata.deletionTimestamp,
    spec?.nodeName,
    spec?.hostname,
    spec?.subdomain,
    isTerminal(pod),
    isReady(pod),
    status?.podIP,
    status?.podIPs,
  ]);
}

/** Calls back with the key of every service that a change of a pod concerns. */
export function followServicePods(pods: Informer<Pod>, services: Informer<Service>, enqueue: (key: string) => void): void {
  const selecting = (pod: StoredPod): void => {
    for (const service of services.list(pod.metadata.namespace ?? '')) {
      const selector = selectorFromLabels(service.spec?.selector);
      if (selector.length > 0 && matchesLabels(selector, pod.metadata.labels)) enqueue(objectKey(service));
    }
  };
  pods.addHandler({
    added: selecting,
    updated: (pod, old) => {
      if (fingerprint(pod) === fingerprint(old)) return;
      selecting(pod);
      if (JSON.stringify(pod.metadata.labels) !== JSON.stringify(old.metadata.labels)) selecting(old);
    },
    deleted: selecting,
  });
}

/** The port of the pod that a service port leads to, or undefined when the pod has no port of that name. */
export function targetPort(pod: StoredPod, port: ServicePort): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars])
    for (const one of container.ports ?? [])
      if (one.name === target && (one.protocol ?? 'TCP') === (port.protocol ?? 'TCP')) return one.containerPort;
  return undefined;
}

export function addressOf(pod: StoredPod, family: 'IPv4' | 'IPv6'): string | undefined {
  const wanted = family === 'IPv4' ? 4 : 6;
  const all = [...(pod.status?.podIPs ?? []).map((p) => p.ip), pod.status?.podIP ?? ''];
  return all.find((ip) => parseIp(ip)?.family === wanted);
}

export const hostnameFor = (pod: StoredPod, service: StoredService): string | undefined => {
  const hostname = pod.spec?.hostname ?? '';
  return hostname !== '' && pod.spec?.subdomain === service.metadata.name ? hostname : undefined;
};

export const zoneOf = (node: Stored<Node> | undefined): string | undefined => node?.metadata.labels?.[zoneLabel];

/** The last change that led to the endpoints of now: when the service was made or a pod changed its readiness. */
export function triggerTime(service: StoredService, pods: readonly StoredPod[]): string {
  const times = [
    service.metadata.creationTimestamp,
    ...pods.map((pod) => readyCondition(pod)?.lastTransitionTime ?? pod.metadata.creationTimestamp),
  ];
  return isoTime(Math.max(...times.map(msOf)));
}

export const families = (service: StoredService): readonly ('IPv4' | 'IPv6')[] => {
  const given = (service.spec?.ipFamilies ?? []).filter((f): f is 'IPv4' | 'IPv6' => f === 'IPv4' || f === 'IPv6');
  if (given.length > 0) return given;
  return [parseIp(service.spec?.clusterIP ?? '')?.family === 6 ? 'IPv6' : 'IPv4'];
};

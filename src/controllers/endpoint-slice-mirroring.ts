/** EndpointSlices for Endpoints that people make themselves: k8s.io/kubernetes pkg/controller/endpointslicemirroring. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { EndpointAddress, Endpoints } from '#kube/generated/core-v1.ts';
import type { Endpoint, EndpointPort } from '#kube/generated/discovery-v1.ts';
import { type ObjectMeta, objectKey, type Stored } from '#kube/object.ts';
import { endpointSlices, endpoints, services } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { parseIp } from '#lib/cidr.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { managedByLabel, serviceNameLabel } from './endpoint-slice.ts';
import { type EndpointGroup, reconcileSlices } from './endpoint-slice-reconcile.ts';
import { controllerRef } from './ownership.ts';
import { podsPrefix } from './pod-control.ts';
import { triggerTimeAnnotation } from './service-pods.ts';

const name = 'endpoint-slice-mirroring-controller';
const managedBy = 'endpointslicemirroring-controller.k8s.io';
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
const sliceIndex = 'mirrored service';
const maxPerSlice = 1000;

const isMirrored = (e: Stored<Endpoints>): boolean =>
  e.metadata.labels?.[skipLabel] !== 'true' && e.metadata.annotations?.[leaderAnnotation] === undefined;

function groupsOf(object: Stored<Endpoints>): readonly EndpointGroup[] {
  const groups: EndpointGroup[] = [];
  for (const subset of object.subsets ?? []) {
    const ports = (subset.ports ?? []).map(
      (p): EndpointPort => ({
        name: p.name ?? '',
        port: p.port,
        protocol: p.protocol ?? 'TCP',
        ...(p.appProtocol === undefined ? {} : { appProtocol: p.appProtocol }),
      }),
    );
    for (const addressType of ['IPv4', 'IPv6'] as const) {
      const family = addressType === 'IPv4' ? 4 : 6;
      const of = (list: readonly EndpointAddress[] | undefined, ready: boolean): readonly Endpoint[] =>
        (list ?? []).filter((a) => parseIp(a.ip)?.family === family).map((a) => endpointOf(a, ready));
      const all = [...of(subset.addresses, true), ...of(subset.notReadyAddresses, false)];
      if (all.length > 0) groups.push({ addressType, ports, endpoints: all });
    }
  }
  return groups;
}

const endpointOf = (a: EndpointAddress, ready: boolean): Endpoint => ({
  addresses: [a.ip],
  conditions: { ready },
  ...(a.hostname === undefined ? {} : { hostname: a.hostname }),
  ...(a.nodeName === undefined ? {} : { nodeName: a.nodeName }),
  ...(a.targetRef === undefined ? {} : { targetRef: a.targetRef }),
});

function metadataFor(object: Stored<Endpoints>): ObjectMeta {
  const { [lastApplied]: _applied, ...annotations } = object.metadata.annotations ?? {};
  return {
    generateName: podsPrefix(object.metadata.name),
    namespace: object.metadata.namespace ?? '',
    labels: { ...object.metadata.labels, [serviceNameLabel]: object.metadata.name, [managedByLabel]: managedBy },
    annotations: { ...annotations, [triggerTimeAnnotation]: annotations[triggerTimeAnnotation] ?? object.metadata.creationTimestamp },
    ownerReferences: [controllerRef(endpoints, object)],
  };
}

function create(deps: ControllerDeps) {
  const { client, informers } = deps;
  const all = informers.informer(endpoints);
  const allServices = informers.informer(services);
  const slices = informers.informer(endpointSlices);
  slices.addIndex(sliceIndex, (slice) =>
    slice.metadata.labels?.[managedByLabel] === managedBy
      ? [`${slice.metadata.namespace}/${slice.metadata.labels[serviceNameLabel] ?? ''}`]
      : [],
  );

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const object = all.get(key);
    const service = allServices.get(key);
    const existing = slices.byIndex(sliceIndex, key);
    if (object === undefined || !isMirrored(object) || service === undefined || service.spec?.selector !== undefined) {
      for (const { metadata } of existing)
        await client
          .delete(endpointSlices, { namespace: metadata.namespace ?? '', name: metadata.name }, undefined, { signal })
          .catch((error: unknown) => {
            if (!isStatus(error, 'NotFound')) throw error;
          });
      return undefined;
    }
    await reconcileSlices({ client, slices, maxPerSlice, signal, metadata: metadataFor(object) }, existing, groupsOf(object));
    return undefined;
  };

  const reconciler = createReconciler(deps, { name, sources: [all, allServices, slices], reconcile, keys: () => all.keys() });
  const { queue } = reconciler;
  const changed = (o: Stored): void => queue.add(objectKey(o));
  all.addHandler({ added: changed, updated: changed, deleted: changed });
  allServices.addHandler({ added: changed, updated: changed, deleted: changed });
  slices.addHandler({
    deleted: (slice) => {
      const { labels = {}, namespace } = slice.metadata;
      if (labels[managedByLabel] === managedBy) queue.add(`${namespace}/${labels[serviceNameLabel] ?? ''}`);
    },
  });
  return [reconciler];
}

export const endpointSliceMirroringController: ControllerDef = { name, serviceAccount: 'endpointslicemirroring-controller', create };

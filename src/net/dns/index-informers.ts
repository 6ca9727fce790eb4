/** Feeds the zone from informers. */

import type { Informer } from '#client/informer.ts';
import type { Node, Service } from '#kube/generated/core-v1.ts';
import type { EndpointSlice } from '#kube/generated/discovery-v1.ts';
import { objectKey } from '#kube/object.ts';
import { bySlicesOfService, serviceOfSlice } from '../proxy/proxy.ts';
import type { Zone } from './zone.ts';

export interface ZoneSources {
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
}

/** Keeps the zone equal to what the informers hold; the result stops it. */
export function followServices(zone: Zone, sources: ZoneSources): () => void {
  sources.slices.addIndex(bySlicesOfService, (s) => {
    const key = serviceOfSlice(s);
    return key === undefined ? [] : [key];
  });
  const update = (key: string): void => {
    const service = sources.services.get(key);
    const headless = service?.spec?.clusterIP === 'None';
    zone.setService(key, service, headless ? sources.slices.byIndex(bySlicesOfService, key) : []);
  };
  const sliceChanged = (slice: Parameters<typeof serviceOfSlice>[0]): void => {
    const key = serviceOfSlice(slice);
    // Endpoints have names of their own in headless services only.
    if (key !== undefined && sources.services.get(key)?.spec?.clusterIP === 'None') update(key);
  };
  const nodeChanged = (node: { readonly metadata: { readonly name: string }; readonly status?: Node['status'] }): void => {
    const internal = (node.status?.addresses ?? []).filter((a) => a.type === 'InternalIP').map((a) => a.address);
    zone.setNode(node.metadata.name, internal);
  };
  const detach = [
    sources.services.addHandler({
      added: (s) => update(objectKey(s)),
      updated: (s) => update(objectKey(s)),
      deleted: (s) => zone.setService(objectKey(s), undefined, []),
    }),
    sources.slices.addHandler({
      added: sliceChanged,
      updated: (s, old) => {
        sliceChanged(s);
        if (serviceOfSlice(old) !== serviceOfSlice(s)) sliceChanged(old);
      },
      deleted: sliceChanged,
    }),
    sources.nodes.addHandler({
      added: nodeChanged,
      updated: nodeChanged,
      deleted: (n) => zone.setNode(n.metadata.name, []),
    }),
  ];
  return () => {
    for (const d of detach) d();
  };
}

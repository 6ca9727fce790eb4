/** Fits wanted endpoints into EndpointSlices with as few writes as possible: k8s.io/endpointslice reconciler.go. */
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '#client/contract.ts';
import type { Informer } from '#client/informer.ts';
import type { Endpoint, EndpointPort, EndpointSlice } from '#kube/generated/discovery-v1.ts';
import type { ObjectMeta, Stored } from '#kube/object.ts';
import { endpointSlices } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { canonicalJson } from './template-hash.ts';

/** Endpoints with the same ports. */
export interface EndpointGroup {
  readonly addressType: 'IPv4' | 'IPv6';
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface SliceWriter {
  readonly client: KubeClient;
  readonly slices: Informer<EndpointSlice>;
  /** Metadata of the slices that are made; labels and annotations also of those that are changed. */
  readonly metadata: ObjectMeta;
  /** --max-endpoints-per-slice */
  readonly maxPerSlice: number;
  readonly signal: AbortSignal;
}

type StoredSlice = Stored<EndpointSlice>;

interface Plan {
  readonly creates: EndpointSlice[];
  readonly updates: EndpointSlice[];
  readonly deletes: StoredSlice[];
}

const portsKey = (type: string, ports: readonly EndpointPort[] | undefined): string =>
  `${type} ${canonicalJson([...(ports ?? [])].map((p) => canonicalJson(p)).sort())}`;

/** One endpoint is the same as another when address and target are. */
const identity = (e: Endpoint): string => `${e.addresses.join(',')} ${e.targetRef?.uid ?? ''} ${e.hostname ?? ''} ${e.nodeName ?? ''}`;

/** Makes the slices hold the groups, and what they hold beyond them go. Resolves when the informer has seen the writes. */
export async function reconcileSlices(
  writer: SliceWriter,
  existing: readonly StoredSlice[],
  groups: readonly EndpointGroup[],
): Promise<void> {
  const plan = planSlices(writer, existing, groups);
  const { client, signal, slices } = writer;
  const written: Stored[] = [];
  for (const slice of plan.updates) written.push(await client.update(endpointSlices, slice, { signal }));
  for (const slice of plan.creates) written.push(await client.create(endpointSlices, slice, { signal }));
  for (const { metadata } of plan.deletes)
    await client
      .delete(endpointSlices, { namespace: metadata.namespace ?? '', name: metadata.name }, undefined, { signal })
      .catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error;
      });
  for (const { metadata } of written) await slices.reached(metadata.resourceVersion, signal);
}

export function planSlices(
  writer: Pick<SliceWriter, 'metadata' | 'maxPerSlice'>,
  existing: readonly StoredSlice[],
  groups: readonly EndpointGroup[],
): Plan {
  const plan: Plan = { creates: [], updates: [], deletes: [] };
  const byPorts = Map.groupBy(existing, (slice) => portsKey(slice.addressType, slice.ports));
  for (const group of groups) {
    const key = portsKey(group.addressType, group.ports);
    planGroup(writer, byPorts.get(key) ?? [], group, plan);
    byPorts.delete(key);
  }
  for (const rest of byPorts.values()) plan.deletes.push(...rest);
  reuseDeleted(plan);
  return plan;
}

function planGroup(
  writer: Pick<SliceWriter, 'metadata' | 'maxPerSlice'>,
  existing: readonly StoredSlice[],
  group: EndpointGroup,
  plan: Plan,
): void {
  const missing = new Map(group.endpoints.map((e) => [identity(e), e]));
  const kept: { readonly slice: StoredSlice; endpoints: Endpoint[]; changed: boolean }[] = [];
  for (const slice of existing) {
    const endpoints: Endpoint[] = [];
    let changed = false;
    for (const old of slice.endpoints ?? []) {
      const wanted = missing.get(identity(old));
      missing.delete(identity(old));
      if (wanted === undefined) changed = true;
      else {
        endpoints.push(wanted);
        changed ||= !isDeepStrictEqual(wanted, old);
      }
    }
    kept.push({ slice, endpoints, changed });
  }
  const rest = [...missing.values()];
  // What has to be written anyway is filled first, then what has room.
  for (const one of [...kept].sort((a, b) => Number(b.changed) - Number(a.changed) || b.endpoints.length - a.endpoints.length)) {
    const room = writer.maxPerSlice - one.endpoints.length;
    if (rest.length === 0 || room <= 0) continue;
    one.endpoints.push(...rest.splice(0, room));
    one.changed = true;
  }
  const several = kept.length + (rest.length > 0 ? 1 : 0) > 1;
  for (const { slice, endpoints, changed } of kept) {
    if (endpoints.length === 0 && several) {
      plan.deletes.push(slice);
      continue;
    }
    if (changed || !sameMeta(writer.metadata, slice))
      plan.updates.push({ ...slice, metadata: metaFor(writer.metadata, slice), endpoints: endpoints, ports: group.ports });
  }
  if (kept.length === 0 && rest.length === 0) plan.creates.push(newSlice(writer, group, []));
  while (rest.length > 0) plan.creates.push(newSlice(writer, group, rest.splice(0, writer.maxPerSlice)));
}

/** A slice that would be deleted takes in what would be a new one. */
function reuseDeleted(plan: Plan): void {
  for (let i = plan.creates.length - 1; i >= 0; i--) {
    const made = plan.creates[i];
    const at = plan.deletes.findIndex((slice) => slice.addressType === made?.addressType && slice.metadata.deletionTimestamp === undefined);
    const old = plan.deletes[at];
    if (made === undefined || old === undefined) continue;
    plan.creates.splice(i, 1);
    plan.deletes.splice(at, 1);
    plan.updates.push({
      ...old,
      metadata: metaFor(made.metadata, old),
      endpoints: made.endpoints ?? [],
      ports: made.ports ?? [],
    });
  }
}

function newSlice(writer: Pick<SliceWriter, 'metadata'>, group: EndpointGroup, endpoints: readonly Endpoint[]): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: writer.metadata,
    addressType: group.addressType,
    endpoints,
    ports: group.ports,
  };
}

/** The trigger time alone is no reason to write. */
const sameMeta = (wanted: ObjectMeta, slice: StoredSlice): boolean =>
  isDeepStrictEqual(wanted.labels ?? {}, slice.metadata.labels ?? {}) &&
  wanted.ownerReferences?.every((o) => slice.metadata.ownerReferences?.some((x) => x.uid === o.uid)) === true;

const metaFor = (wanted: ObjectMeta, slice: StoredSlice): ObjectMeta => ({
  ...slice.metadata,
  labels: wanted.labels ?? {},
  annotations: { ...slice.metadata.annotations, ...wanted.annotations },
  ownerReferences: wanted.ownerReferences ?? [],
});

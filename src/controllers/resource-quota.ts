/** Counts what namespaces use of their quotas: k8s.io/kubernetes pkg/controller/resourcequota. */
import { isDeepStrictEqual } from 'node:util';
import type { Informer } from '#client/informer.ts';
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { ResourceQuota } from '#kube/generated/core-v1.ts';
import { type KubeObject, objectKey, type Stored } from '#kube/object.ts';
import { canonicalQuantity } from '#kube/quantity.ts';
import { addUsage, inQuotaScopes, quotaUsage } from '#kube/quota-usage.ts';
import type { ResourceRef } from '#kube/refs.ts';
import * as refs from '#kube/refs.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { type DiscoveredResource, discover } from './discovery.ts';
import { isTerminal, type StoredPod } from './pods.ts';
import { sameStatus } from './same-status.ts';

const name = 'resourcequota-controller';
/** A charge of the admission plugin comes a moment before the object that it is for: a count waits until charges pause. */
const quietMs = 500;
const longestWaitMs = 5000;
const missingResourceRetryMs = 60_000;

/** Names in `hard` that come from other kinds than pods. */
const resourceOfName: Readonly<Record<string, ResourceRef>> = {
  services: refs.services,
  'services.loadbalancers': refs.services,
  'services.nodeports': refs.services,
  configmaps: refs.configMaps,
  secrets: refs.secrets,
  replicationcontrollers: refs.replicationControllers,
  resourcequotas: refs.resourceQuotas,
  persistentvolumeclaims: refs.persistentVolumeClaims,
  'requests.storage': refs.persistentVolumeClaims,
};

function create(deps: ControllerDeps) {
  const { client, informers, clock } = deps;
  const quotas = informers.informer(refs.resourceQuotas);
  const followed = new Map<string, Informer<KubeObject>>();
  const changedAt = new Map<string, { first: number; last: number }>();
  let discovered: readonly DiscoveredResource[] = [];

  const recountNamespace = (namespace: string | undefined): void => {
    for (const quota of quotas.list(namespace ?? '')) reconciler.queue.add(objectKey(quota));
  };
  const informerOf = (ref: ResourceRef): Informer<KubeObject> => {
    const key = `${ref.group}/${ref.plural}`;
    const known = followed.get(key);
    if (known !== undefined) return known;
    const informer: Informer<KubeObject> = informers.informer(ref);
    followed.set(key, informer);
    informer.addHandler({
      deleted: (object) => recountNamespace(object.metadata.namespace),
      updated: (object, old) => {
        if (key === '/pods' ? isTerminal(object as StoredPod) !== isTerminal(old as StoredPod) : key !== '/resourcequotas')
          recountNamespace(object.metadata.namespace);
      },
    });
    return informer;
  };
  for (const ref of [refs.pods, ...Object.values(resourceOfName)]) informerOf(ref);

  /** "count/deployments.apps" → the resource, asked of the server where it is not known yet. */
  const countedResource = async (text: string, signal: AbortSignal): Promise<ResourceRef | undefined> => {
    const dot = text.indexOf('.');
    const [plural, group] = dot < 0 ? [text, ''] : [text.slice(0, dot), text.slice(dot + 1)];
    const find = (): ResourceRef | undefined => discovered.find((r) => r.ref.plural === plural && r.ref.group === group)?.ref;
    if (find() === undefined) discovered = (await discover(client, signal)).resources;
    return find();
  };

  const resourcesOf = async (hard: readonly string[], signal: AbortSignal) => {
    const found = new Map<string, ResourceRef>();
    let missing = false;
    for (const one of hard) {
      const ref = one.startsWith('count/')
        ? await countedResource(one.slice('count/'.length), signal)
        : (resourceOfName[one] ?? claimsOfClass(one) ?? refs.pods);
      if (ref === undefined) missing = true;
      else found.set(`${ref.group}/${ref.plural}`, ref);
    }
    return { resources: [...found.values()], missing };
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const quota = quotas.get(key);
    if (quota === undefined) {
      changedAt.delete(key);
      return undefined;
    }
    const known = quota.status?.used !== undefined && sameHard(quota);
    const wait = known ? unsettledFor(key) : 0;
    if (wait > 0) return wait;
    const hard = Object.fromEntries(Object.entries(quota.spec?.hard ?? {}).map(([k, v]) => [k, canonicalQuantity(v)]));
    const { resources, missing } = await resourcesOf(Object.keys(hard), signal);
    let total: Readonly<Record<string, string | number>> = {};
    const now = clock.now();
    for (const ref of resources) {
      const informer = informerOf(ref);
      await informer.synced(signal);
      for (const object of informer.list(quota.metadata.namespace ?? ''))
        if (inQuotaScopes(quota, ref, object)) total = addUsage(total, quotaUsage(ref, object, now));
    }
    const used = Object.fromEntries(Object.keys(hard).map((k) => [k, canonicalQuantity(total[k] ?? '0')]));
    const status = { ...quota.status, hard, used };
    if (!sameStatus(status, quota.status))
      await client.update(refs.resourceQuotas, { ...quota, status }, { subresource: 'status', signal });
    return missing ? missingResourceRetryMs : undefined;
  };
  const unsettledFor = (key: string): number => {
    const at = changedAt.get(key);
    if (at === undefined) return 0;
    const now = clock.monotonic();
    const left = Math.min(at.last + quietMs, at.first + longestWaitMs) - now;
    if (left <= 0) changedAt.delete(key);
    return left;
  };

  const reconciler = createReconciler(deps, { name, sources: [quotas, ...followed.values()], reconcile, keys: () => quotas.keys() });
  quotas.addHandler({
    added: (quota) => reconciler.queue.add(objectKey(quota)),
    updated: (quota, old) => {
      const key = objectKey(quota);
      if (!isDeepStrictEqual(quota.spec, old.spec)) reconciler.queue.add(key);
      if (isDeepStrictEqual(quota.status, old.status)) return;
      const now = clock.monotonic();
      const at = changedAt.get(key);
      changedAt.set(key, { first: at === undefined || now - at.last > quietMs ? now : at.first, last: now });
    },
  });
  return [reconciler];
}

const claimsOfClass = (text: string): ResourceRef | undefined =>
  text.includes('.storageclass.storage.k8s.io/') || text.includes('.volumeattributesclass.storage.k8s.io/')
    ? refs.persistentVolumeClaims
    : undefined;

const sameHard = (quota: Stored<ResourceQuota>): boolean =>
  isDeepStrictEqual(Object.keys(quota.status?.hard ?? {}).sort(), Object.keys(quota.spec?.hard ?? {}).sort()) &&
  Object.entries(quota.spec?.hard ?? {}).every(([k, v]) => canonicalQuantity(quota.status?.hard?.[k] ?? '0') === canonicalQuantity(v));

export const resourceQuotaController: ControllerDef = { name, create };

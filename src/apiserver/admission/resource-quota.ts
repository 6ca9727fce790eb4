/**
 * Refuses what would exceed a namespace's quotas and charges the rest to them (k8s.io/apiserver
 * pkg/admission/plugin/resourcequota). Requests of a namespace are decided together, one group after another: a group is charged
 * with one write to each quota before any of its requests goes on, so concurrent requests cannot exceed a quota together.
 */
import type { Pod, ResourceQuota } from '#kube/generated/core-v1.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import type { Amounts } from '#kube/pod-resources.ts';
import { compareQuantity, formatQuantity, parseQuantity } from '#kube/quantity.ts';
import { addUsage, growth, inQuotaScopes, missingRequests, quotaUsage } from '#kube/quota-usage.ts';
import { resourceQuotas } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectStore } from '../contract.ts';
import { denied, isResource, objectAs } from './attributes.ts';

interface Deps {
  readonly objects: Pick<ObjectStore, 'list' | 'modify'>;
  readonly clock: Clock;
}

interface Waiting {
  readonly request: AdmissionRequest;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One quota while a group of requests is decided. */
interface Tally {
  readonly quota: Stored<ResourceQuota>;
  readonly hard: Amounts;
  used: Amounts;
  charged: boolean;
}

const maxAttempts = 20;
/** More requests than this waiting for one namespace are turned away. */
const maxWaiting = 10_000;

const tallyOf = (quota: Stored<ResourceQuota>): Tally => ({
  quota,
  // As upstream, a quota counts from the moment that its use has been counted.
  hard: quota.status?.hard ?? {},
  used: quota.status?.used ?? {},
  charged: false,
});

const printed = (amounts: Amounts, names: readonly string[]): string =>
  [...names]
    .sort()
    .map((n) => `${n}=${formatQuantity(parseQuantity(amounts[n] ?? 0))}`)
    .join(',');

/** What a request adds to a quota; undefined: it does not fall under it. What fell under it before counts for what has grown. */
function added(r: AdmissionRequest, tally: Tally, now: number): Amounts | undefined {
  const { ref } = r.def;
  const object = r.object as unknown as KubeObject;
  if (!inQuotaScopes(tally.quota, ref, object)) return undefined;
  const before =
    r.operation !== 'CREATE' && r.oldObject !== undefined && inQuotaScopes(tally.quota, ref, r.oldObject) ? r.oldObject : undefined;
  const all = growth(quotaUsage(ref, object, now), before === undefined ? {} : quotaUsage(ref, before, now));
  return Object.fromEntries(Object.entries(all).filter(([name]) => tally.hard[name] !== undefined));
}

function checkConstraints(r: AdmissionRequest, tally: Tally): void {
  const { spec } = objectAs<Pod>(r);
  if (!isPods(r) || spec === undefined) return;
  const problem = missingRequests(spec, Object.keys(tally.hard));
  if (problem !== undefined) throw denied(r, `failed quota: ${tally.quota.metadata.name}: ${problem}`);
}

function checkExceeded(r: AdmissionRequest, tally: Tally, more: Amounts, next: Amounts): void {
  // What a controller writes into the status has happened already.
  if (r.subresource === 'status') return;
  const exceeded = Object.keys(more).filter((n) => compareQuantity(next[n] ?? 0, tally.hard[n] ?? 0) > 0);
  if (exceeded.length === 0) return;
  const parts = `requested: ${printed(more, exceeded)}, used: ${printed(tally.used, exceeded)}, limited: ${printed(tally.hard, exceeded)}`;
  throw denied(r, `exceeded quota: ${tally.quota.metadata.name}, ${parts}`);
}

/** Charges a request to the tallies it falls under; throws Forbidden, and charges nothing, if it exceeds one. */
function charge(r: AdmissionRequest, tallies: readonly Tally[], now: number): void {
  const changes: (readonly [Tally, Amounts])[] = [];
  for (const tally of tallies) {
    const more = added(r, tally, now);
    if (more === undefined) continue;
    checkConstraints(r, tally);
    const names = Object.keys(more);
    if (names.length === 0) continue;
    const unknown = names.filter((n) => tally.used[n] === undefined);
    if (unknown.length > 0)
      throw denied(r, `status unknown for quota: ${tally.quota.metadata.name}, resources: ${unknown.sort().join(',')}`);
    const next = addUsage(tally.used, more);
    checkExceeded(r, tally, more, next);
    changes.push([tally, next]);
  }
  if (r.dryRun) return;
  for (const [tally, next] of changes) {
    tally.used = next;
    tally.charged = true;
  }
}

/** Writes what a tally was charged; false where the quota has changed since it was read. */
async function save(deps: Deps, tally: Tally): Promise<boolean> {
  const { name, namespace = '', resourceVersion } = tally.quota.metadata;
  let stale = false;
  const saved = await deps.objects.modify(resourceQuotas, namespace, name, (draft, current) => {
    stale = current.metadata.resourceVersion !== resourceVersion;
    if (stale) return false;
    draft['status'] = { ...tally.quota.status, hard: tally.hard, used: tally.used };
    return true;
  });
  return saved !== undefined && !stale;
}

/** Decides a group of requests; those that are accepted are charged when this resolves. */
async function decide(deps: Deps, namespace: string, group: readonly Waiting[]): Promise<void> {
  let open = group;
  for (let attempt = 1; open.length > 0; attempt++) {
    const tallies = deps.objects.list(resourceQuotas, namespace).map(tallyOf);
    const accepted: Waiting[] = [];
    for (const waiting of open) {
      try {
        charge(waiting.request, tallies, deps.clock.now());
        accepted.push(waiting);
      } catch (error) {
        waiting.reject(error);
      }
    }
    let stale = false;
    for (const tally of tallies) if (tally.charged && !(await save(deps, tally))) stale = true;
    if (!stale) {
      for (const waiting of accepted) waiting.resolve();
      return;
    }
    // A quota that was written before another turned out stale stays charged too high until it is counted anew.
    if (attempt >= maxAttempts) {
      for (const waiting of accepted) waiting.reject(denied(waiting.request, 'unable to update the quotas of the namespace, try again'));
      return;
    }
    open = accepted;
  }
}

const isOf =
  (plural: string) =>
  (r: AdmissionRequest): boolean =>
    r.def.ref.group === '' && r.def.ref.plural === plural;
const isPods = isOf('pods');
const isClaims = isOf('persistentvolumeclaims');
/** Events are too many to be counted (quota/v1/install DefaultIgnoredResources). */
const isEvent = isOf('events');

/** What may count for more after an update. */
const grows = (r: AdmissionRequest): boolean =>
  isResource(r, '', 'services', 'UPDATE') || isResource(r, '', 'persistentvolumeclaims', 'UPDATE');

export function createResourceQuota(deps: Deps): AdmissionPlugin {
  const queues = new Map<string, Waiting[]>();

  async function run(namespace: string, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) {
      const group = queue.splice(0);
      try {
        await decide(deps, namespace, group);
      } catch (error) {
        for (const waiting of group) waiting.reject(error);
      }
    }
    queues.delete(namespace);
  }

  function enqueue(request: AdmissionRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = { request, resolve, reject };
      const queue = queues.get(request.namespace);
      if (queue === undefined) {
        const made = [waiting];
        queues.set(request.namespace, made);
        // Its own errors have reached the requests that wait in it.
        void run(request.namespace, made);
      } else if (queue.length >= maxWaiting) reject(denied(request, 'too many requests are waiting for the quotas of the namespace'));
      else queue.push(waiting);
    });
  }

  return {
    name: 'ResourceQuota',
    handles: (r) => {
      if (r.namespace === '' || r.def.ephemeral === true || isEvent(r)) return false;
      if (r.subresource === '') return r.operation === 'CREATE' || grows(r);
      return r.operation === 'UPDATE' && ((r.subresource === 'resize' && isPods(r)) || (r.subresource === 'status' && isClaims(r)));
    },
    validate: (r) => {
      if (r.object === undefined || deps.objects.list(resourceQuotas, r.namespace).length === 0) return undefined;
      return enqueue(r);
    },
  };
}

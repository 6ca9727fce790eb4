/** Empties namespaces that are being deleted and then lets them go: k8s.io/kubernetes pkg/controller/namespace. */
import type { KubeClient } from '#client/contract.ts';
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { Namespace, NamespaceCondition } from '#kube/generated/core-v1.ts';
import { type KubeObject, objectKey, type Stored } from '#kube/object.ts';
import { namespaces, pods } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import { setCondition } from './conditions.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { type DiscoveredResource, discover } from './discovery.ts';
import { textOf } from './pod-control.ts';
import { sameStatus } from './same-status.ts';
import { isoTime, msOf } from './times.ts';

/** What a pass over a namespace found. */
interface Findings {
  readonly discoveryFailures: ReadonlyMap<string, string>;
  readonly deletionFailures: string[];
  /** "pods." to how many are left. */
  readonly remaining: Map<string, number>;
  readonly finalizers: Map<string, number>;
  /** Seconds that pods may still take. */
  estimate: number;
}

const firstRetryMs = 100;
const maxRetryMs = 15_000;

async function emptyNamespace(client: KubeClient, namespace: string, nowMs: number, signal: AbortSignal): Promise<Findings> {
  const { resources, failures } = await discover(client, signal);
  const findings: Findings = {
    discoveryFailures: failures,
    deletionFailures: [],
    remaining: new Map(),
    finalizers: new Map(),
    estimate: 0,
  };
  const deletable = resources.filter((r) => r.ref.namespaced && r.verbs.includes('delete') && r.verbs.includes('list'));
  const isPods = (r: DiscoveredResource): boolean => r.ref.group === '' && r.ref.plural === 'pods';
  // Pods first: what they use (secrets, policies that confine them) must outlive them.
  for (const phase of [deletable.filter(isPods), deletable.filter((r) => !isPods(r))]) {
    for (const resource of phase) await emptyResource(client, resource, namespace, nowMs, findings, signal);
    if (findings.remaining.size > 0 || findings.deletionFailures.length > 0) break;
  }
  return findings;
}

async function emptyResource(
  client: KubeClient,
  { ref, verbs }: DiscoveredResource,
  namespace: string,
  nowMs: number,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  try {
    const before = await client.list(ref, { namespace }, { signal });
    if (before.items.length === 0) return;
    const background = { propagationPolicy: 'Background' } as const;
    if (verbs.includes('deletecollection')) await client.deleteCollection(ref, { namespace }, background, { signal });
    else
      for (const item of before.items)
        if (item.metadata.deletionTimestamp === undefined)
          await client.delete(ref, { namespace, name: item.metadata.name }, background, { signal }).catch((error: unknown) => {
            if (!isStatus(error, 'NotFound')) throw error;
          });
    const after = await client.list(ref, { namespace }, { signal });
    if (after.items.length === 0) return;
    findings.remaining.set(`${ref.plural}.${ref.group}`, after.items.length);
    for (const item of after.items) {
      for (const finalizer of item.metadata.finalizers ?? [])
        findings.finalizers.set(finalizer, (findings.finalizers.get(finalizer) ?? 0) + 1);
      findings.estimate = Math.max(findings.estimate, secondsLeft(item, nowMs));
    }
  } catch (error) {
    signal.throwIfAborted();
    if (isStatus(error, 'NotFound', 'MethodNotAllowed')) return;
    findings.deletionFailures.push(textOf(error));
  }
}

function secondsLeft(item: Stored<KubeObject>, nowMs: number): number {
  const { deletionTimestamp } = item.metadata;
  return item.kind === 'Pod' && deletionTimestamp !== undefined ? Math.max(0, (msOf(deletionTimestamp) - nowMs) / 1000) : 0;
}

const counted = (counts: ReadonlyMap<string, number>, phrase: string): string =>
  [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${phrase.replace('#', String(count))}`)
    .join(', ');

/** The five conditions of a namespace that is being deleted, in upstream's words. */
function conditionsOf(old: readonly NamespaceCondition[] | undefined, f: Findings, nowMs: number): readonly NamespaceCondition[] {
  const rows: readonly (readonly [type: string, bad: boolean, goodReason: string, good: string, badReason: string, message: string])[] = [
    [
      'NamespaceDeletionDiscoveryFailure',
      f.discoveryFailures.size > 0,
      'ResourcesDiscovered',
      'All resources successfully discovered',
      'DiscoveryFailed',
      `Discovery failed for some groups, ${f.discoveryFailures.size} failing: unable to retrieve the complete list of server APIs: ${[...f.discoveryFailures].map(([gv, why]) => `${gv}: ${why}`).join(', ')}`,
    ],
    [
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
      'GroupVersionParsingFailed',
      '',
    ],
    [
      'NamespaceDeletionContentFailure',
      f.deletionFailures.length > 0,
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
      'ContentDeletionFailed',
      `Failed to delete all resource types, ${f.deletionFailures.length} remaining: ${f.deletionFailures.join(', ')}`,
    ],
    [
      'NamespaceContentRemaining',
      f.remaining.size > 0,
      'ContentRemoved',
      'All content successfully removed',
      'SomeResourcesRemain',
      `Some resources are remaining: ${counted(f.remaining, 'has # resource instances')}`,
    ],
    [
      'NamespaceFinalizersRemaining',
      f.finalizers.size > 0,
      'ContentHasNoFinalizers',
      'All content-preserving finalizers finished',
      'SomeFinalizersRemain',
      `Some content in the namespace has finalizers remaining: ${counted(f.finalizers, 'in # resource instances')}`,
    ],
  ];
  let conditions = old ?? [];
  for (const [type, bad, goodReason, good, badReason, message] of rows) {
    const condition = { type, status: bad ? 'True' : 'False', reason: bad ? badReason : goodReason, message: bad ? message : good };
    const current = conditions.find((c) => c.type === type);
    if (current !== undefined && current.message !== condition.message) {
      const same = current.status === condition.status && current.lastTransitionTime !== undefined;
      const next = { ...condition, lastTransitionTime: same ? current.lastTransitionTime : isoTime(nowMs) };
      conditions = conditions.map((c) => (c.type === type ? (next as NamespaceCondition) : c));
    } else conditions = setCondition(conditions, { ...condition, lastTransitionTime: isoTime(nowMs) });
  }
  return conditions;
}

function create({ client, informers, clock, log }: ControllerDeps) {
  const all = informers.informer(namespaces);
  const podInformer = informers.informer(pods);
  const attempts = new Map<string, number>();

  const updateConditions = async (namespace: Stored<Namespace>, findings: Findings, signal: AbortSignal): Promise<void> => {
    const conditions = conditionsOf(namespace.status?.conditions, findings, clock.now());
    const status = { ...namespace.status, phase: 'Terminating', conditions };
    if (!sameStatus(status, namespace.status)) await client.update(namespaces, { ...namespace, status }, { subresource: 'status', signal });
  };
  const finalize = async (namespace: Stored<Namespace>, signal: AbortSignal): Promise<void> => {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((f) => f !== 'kubernetes');
    await client.update(namespaces, { ...namespace, spec: { ...namespace.spec, finalizers } }, { subresource: 'finalize', signal });
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const namespace = all.get(key);
    if (namespace?.metadata.deletionTimestamp === undefined || !(namespace.spec?.finalizers ?? []).includes('kubernetes')) {
      attempts.delete(key);
      return undefined;
    }
    const findings = await emptyNamespace(client, key, clock.now(), signal);
    const done = findings.remaining.size === 0 && findings.deletionFailures.length === 0 && findings.discoveryFailures.size === 0;
    try {
      const fresh = await client.get(namespaces, { name: key }, { signal });
      if (fresh.metadata.uid !== namespace.metadata.uid) return undefined;
      if (done) {
        await finalize(fresh, signal);
        attempts.delete(key);
        return undefined;
      }
      await updateConditions(fresh, findings, signal);
    } catch (error) {
      if (isStatus(error, 'NotFound')) return undefined;
      throw error;
    }
    // Pods wake us when they are gone; the timer is for what nobody here watches.
    const attempt = attempts.get(key) ?? 0;
    attempts.set(key, attempt + 1);
    const wait = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempt, 20));
    return findings.estimate > 0 ? Math.max(wait, (findings.estimate / 2 + 1) * 1000) : wait;
  };

  const reconciler = createReconciler(
    { clock, log },
    { name: 'namespace-controller', sources: [all, podInformer], workers: 10, reconcile, keys: () => all.keys() },
  );
  const check = (namespace: Stored<Namespace>): void => {
    if (namespace.metadata.deletionTimestamp !== undefined) reconciler.queue.add(objectKey(namespace));
  };
  all.addHandler({ added: check, updated: check });
  podInformer.addHandler({
    deleted: (pod) => {
      const namespace = all.get(pod.metadata.namespace ?? '');
      if (namespace !== undefined && podInformer.list(pod.metadata.namespace).length === 0) check(namespace);
    },
  });
  return [reconciler];
}

export const namespaceController: ControllerDef = { name: 'namespace-controller', create };

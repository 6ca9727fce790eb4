/**
 * Brings the bootstrap roles and bindings up to date at start: adds what is missing, takes nothing away, leaves alone
 * what is annotated with autoupdate "false". pkg/registry/rbac/reconciliation.
 */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from '#kube/generated/rbac-v1.ts';
import type { Draft } from '#kube/kind.ts';
import { clusterRoleBindings, clusterRoles, type ResourceRef, roleBindings, roles } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Logger } from '#platform/log.ts';
import type { ObjectStore } from '../contract.ts';
import { aggregatedRules } from './aggregation.ts';
import { autoUpdateAnnotation, bootstrapPolicy } from './bootstrap-policy.ts';
import type { RbacIndex } from './rbac-index.ts';
import { uncovered } from './rules.ts';

type AnyRole = Role | ClusterRole;
type AnyBinding = RoleBinding | ClusterRoleBinding;
interface Labelled {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
const lacks = (have: Readonly<Record<string, string>> | undefined, want: Readonly<Record<string, string>> | undefined): boolean =>
  Object.entries(want ?? {}).some(([k, v]) => have?.[k] !== v);
const isProtected = (o: Labelled): boolean => o.metadata.annotations?.[autoUpdateAnnotation] === 'false';

/** Adds labels and annotations; true when there was something to add. */
function mergeMetadata(draft: Draft, current: Labelled, expected: Labelled): boolean {
  const { labels, annotations } = current.metadata;
  if (!lacks(labels, expected.metadata.labels) && !lacks(annotations, expected.metadata.annotations)) return false;
  draft.metadata = {
    ...draft.metadata,
    labels: { ...labels, ...expected.metadata.labels },
    annotations: { ...annotations, ...expected.metadata.annotations },
  };
  return true;
}

export function mergeRole(draft: Draft, current: AnyRole, expected: AnyRole): boolean {
  if (isProtected(current)) return false;
  let changed = mergeMetadata(draft, current, expected);
  if ('aggregationRule' in expected && expected.aggregationRule !== undefined) {
    const have = ('aggregationRule' in current ? current.aggregationRule?.clusterRoleSelectors : undefined) ?? [];
    const missing = (expected.aggregationRule.clusterRoleSelectors ?? []).filter((s) => !have.some((h) => same(h, s)));
    if (missing.length > 0) {
      draft['aggregationRule'] = { clusterRoleSelectors: [...have, ...missing] };
      changed = true;
    }
    return changed;
  }
  if (same(current.rules, expected.rules)) return changed;
  const missing = uncovered(current.rules ?? [], expected.rules ?? []);
  if (missing.length === 0) return changed;
  draft['rules'] = [...(current.rules ?? []), ...wholeRules(expected.rules ?? [], missing, current.rules ?? [])];
  return true;
}

/** The expected rules that something of is missing, rather than their pieces. */
const wholeRules = (
  expected: readonly PolicyRule[],
  missing: readonly PolicyRule[],
  owned: readonly PolicyRule[],
): readonly PolicyRule[] => (missing.length === 0 ? [] : expected.filter((rule) => uncovered(owned, [rule]).length > 0));

export function mergeBinding(draft: Draft, current: AnyBinding, expected: AnyBinding): boolean {
  if (isProtected(current)) return false;
  const changed = mergeMetadata(draft, current, expected);
  const id = (s: Subject): string => `${s.kind}/${s.namespace ?? ''}/${s.name}`;
  const have = new Set((current.subjects ?? []).map(id));
  const missing = (expected.subjects ?? []).filter((s) => !have.has(id(s)));
  if (missing.length === 0) return changed;
  draft['subjects'] = [...(current.subjects ?? []), ...missing];
  return true;
}

const roleOf = (object: object): string => {
  const { roleRef } = object as Partial<AnyBinding>;
  return roleRef === undefined ? '' : `${roleRef.kind}/${roleRef.name}`;
};

async function ensure<T extends AnyRole | AnyBinding>(
  store: ObjectStore,
  ref: ResourceRef<T>,
  expected: T,
  merge: (draft: Draft, current: T, expected: T) => boolean,
): Promise<void> {
  const { namespace = '', name = '' } = expected.metadata;
  const current = store.get(ref, namespace, name);
  // What a binding refers to cannot be changed: it is made anew.
  if (current !== undefined && !isProtected(current) && roleOf(current) !== roleOf(expected)) await store.remove(ref, namespace, name);
  if (store.get(ref, namespace, name) === undefined) {
    try {
      await store.create(ref, expected);
      return;
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error;
    }
  }
  await store.modify(ref, namespace, name, (draft, now) => merge(draft, now as unknown as T, expected));
}

/** Resolves when every bootstrap role and binding is as it should be. The writes are made at once and share commits. */
export async function reconcileBootstrapPolicy(store: ObjectStore): Promise<void> {
  const policy = bootstrapPolicy();
  await Promise.all([
    ...policy.clusterRoles.map((role) => {
      const rules = aggregatedClosure(role, policy.clusterRoles);
      return ensure(store, clusterRoles, rules === undefined ? role : { ...role, rules }, mergeRole);
    }),
    ...policy.clusterRoleBindings.map((b) => ensure(store, clusterRoleBindings, b, mergeBinding)),
    ...policy.roles.map((r) => ensure(store, roles, r, mergeRole)),
    ...policy.roleBindings.map((b) => ensure(store, roleBindings, b, mergeBinding)),
  ]);
}

/** Aggregated rules where some of what is collected collects itself (admin ← edit ← view). */
function aggregatedClosure(role: ClusterRole, all: readonly ClusterRole[]): readonly PolicyRule[] | undefined {
  if (role.aggregationRule === undefined) return undefined;
  const known = new Map(all.map((r) => [r.metadata.name ?? '', r]));
  for (let round = 0; round < 3; round++)
    for (const [name, r] of known) {
      const rules = aggregatedRules(r, known.values());
      if (rules !== undefined) known.set(name, { ...r, rules });
    }
  return known.get(role.metadata.name ?? '')?.rules;
}

export interface Aggregator {
  /** Tells that ClusterRoles changed. */
  readonly wake: () => void;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Writes the rules of aggregated ClusterRoles whenever what they collect changes. */
export function createAggregator(index: RbacIndex, store: ObjectStore, log: Logger): Aggregator {
  let dirty = true;
  let wakeUp: (() => void) | undefined;
  const once = async (): Promise<void> => {
    for (const role of [...index.clusterRoles()]) {
      const rules = aggregatedRules(role, index.clusterRoles());
      if (rules === undefined || same(rules, role.rules ?? [])) continue;
      const name = role.metadata.name ?? '';
      try {
        await store.modify(clusterRoles, '', name, (draft, current) => {
          if (current.aggregationRule === undefined || same(current.rules ?? [], rules)) return false;
          draft['rules'] = rules;
          return true;
        });
      } catch (error) {
        log.warn('aggregated rules could not be written', { clusterRole: name, error });
      }
    }
  };
  return {
    wake: () => {
      dirty = true;
      wakeUp?.();
    },
    run: async (signal) => {
      signal.addEventListener('abort', () => wakeUp?.(), { once: true });
      while (!signal.aborted) {
        if (dirty) {
          dirty = false;
          await once();
          continue;
        }
        await new Promise<void>((resolve) => {
          wakeUp = resolve;
          if (dirty || signal.aborted) resolve();
        });
        wakeUp = undefined;
      }
    },
  };
}

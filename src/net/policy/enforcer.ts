/** Network policies as a running part: pods, namespaces and policies become groups, chains and verdicts. */
import type { Informer } from '#client/informer.ts';
import type { Namespace, Pod } from '#kube/generated/core-v1.ts';
import type { NetworkPolicy } from '#kube/generated/networking-v1.ts';
import { objectKey, type Stored, splitKey } from '#kube/object.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { createKernelTable, type KernelTable, policyTableName } from '../nft/kernel-table.ts';
import { createTableLoop } from '../nft/table-loop.ts';
import { PodGroups, type PolicyPod, policyPod } from './groups.ts';
import {
  comboFragments,
  type Family,
  groupFragment,
  groupSet,
  type NamedPortUse,
  namedFragment,
  namedSet,
  type PolicyModel,
  podFragment,
  policyBase,
  policyFragment,
  policyModel,
  usesOf,
} from './rules.ts';

export interface PolicyDeps {
  /** Asked for when the first policy comes: a cluster without policies costs no copy of its pods. */
  readonly pods: () => Informer<Pod>;
  readonly namespaces: () => Informer<Namespace>;
  readonly policies: Informer<NetworkPolicy>;
  readonly nodeName: string;
  readonly families: readonly Family[];
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface PolicyEnforcer {
  /** Runs until the signal aborts. Leaves the rules in place. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly ready: () => boolean;
}

interface State {
  readonly deps: PolicyDeps;
  readonly tables: readonly { readonly family: Family; readonly table: KernelTable }[];
  readonly groups: PodGroups;
  /** By namespace, then key. */
  readonly policies: Map<string, Map<string, PolicyModel>>;
  /** Named ports in use: how often, by name of their set. */
  readonly named: Map<string, { readonly use: NamedPortUse; users: number }>;
  /** Chains shared by pods: which pods use them. */
  readonly combos: Map<string, Set<string>>;
  readonly combosOfPod: Map<string, readonly string[]>;
  /** What is to be done with the next transaction. */
  readonly dirtyPolicies: Map<string, PolicyModel | undefined>;
  readonly dirtyGroups: Set<string>;
  readonly dirtyPods: Set<string>;
}

export function createPolicyEnforcer(deps: PolicyDeps): PolicyEnforcer {
  const dirtyGroups = new Set<string>();
  const tables = deps.families.map((family) => {
    const options = { family, name: policyTableName, probe: { chain: 'forward-ingress', rule: '@ingress' } };
    const table = createKernelTable(options, deps);
    table.setFragment('base', policyBase(family));
    return { family, table };
  });
  const state: State = {
    deps,
    tables,
    groups: new PodGroups((group) => dirtyGroups.add(group)),
    policies: new Map(),
    named: new Map(),
    combos: new Map(),
    combosOfPod: new Map(),
    dirtyPolicies: new Map(),
    dirtyGroups,
    dirtyPods: new Set(),
  };
  const loop = createTableLoop({
    what: 'network policies',
    tables: tables.map((t) => t.table),
    prepare: () => prepare(state),
    clock: deps.clock,
    log: deps.log,
  });
  const changed =
    <A extends readonly unknown[]>(handle: (...args: A) => void) =>
    (...args: A): void => {
      handle(...args);
      if (dirtyGroups.size + state.dirtyPods.size + state.dirtyPolicies.size > 0) loop.wake();
    };
  return {
    ready: loop.ready,
    run: async (signal) => {
      const detach: (() => void)[] = [];
      await using tasks = new TaskGroup(signal);
      const attach = async (): Promise<void> => {
        const [pods, namespaces] = [deps.pods(), deps.namespaces()];
        await Promise.all([pods.synced(tasks.signal), namespaces.synced(tasks.signal)]);
        const pod = changed((p: Stored<Pod>) => setPod(state, objectKey(p), policyPod(p)));
        const space = changed((n: Stored<Namespace>) => state.groups.setNamespace(n.metadata.name, n.metadata.labels ?? {}));
        const policy = changed((p: Stored<NetworkPolicy>) => void state.dirtyPolicies.set(objectKey(p), policyModel(p)));
        detach.push(
          namespaces.addHandler({
            added: space,
            updated: space,
            deleted: changed((n) => state.groups.setNamespace(n.metadata.name, undefined)),
          }),
          pods.addHandler({ added: pod, updated: pod, deleted: changed((p) => setPod(state, objectKey(p), undefined)) }),
          deps.policies.addHandler({
            added: policy,
            updated: policy,
            deleted: changed((p) => void state.dirtyPolicies.set(objectKey(p), undefined)),
          }),
        );
      };
      try {
        await deps.policies.synced(signal);
        // What an earlier run has written stays until everything is known.
        if (deps.policies.size() > 0) await attach();
        else {
          const first = Promise.withResolvers<void>();
          detach.push(deps.policies.addHandler({ added: () => first.resolve() }));
          signal.addEventListener('abort', () => first.resolve(), { once: true });
          tasks.spawn(async () => {
            await first.promise;
            if (!signal.aborted) await attach();
          });
        }
        await loop.run(tasks.signal);
        await tasks.join();
      } finally {
        for (const d of detach) d();
      }
    },
  };
}

function setPod(state: State, key: string, pod: PolicyPod | undefined): void {
  const wasHere = state.groups.pod(key)?.node === state.deps.nodeName;
  if (!state.groups.setPod(key, pod)) return;
  if (wasHere || pod?.node === state.deps.nodeName) state.dirtyPods.add(key);
}

function setPolicy(state: State, model: PolicyModel): void {
  const inNamespace = state.policies.get(model.namespace) ?? new Map<string, PolicyModel>();
  state.policies.set(model.namespace, inNamespace);
  const old = inNamespace.get(model.key);
  inNamespace.set(model.key, model);
  follow(state, model);
  if (old !== undefined) unfollow(state, old);
  for (const { family, table } of state.tables) table.setFragment(`policy ${model.key}`, policyFragment(model, family));
  dirtyNamespace(state, model.namespace);
}

function removePolicy(state: State, key: string): void {
  const { namespace } = splitKey(key);
  const inNamespace = state.policies.get(namespace);
  const old = inNamespace?.get(key);
  if (old === undefined) return;
  inNamespace?.delete(key);
  if (inNamespace?.size === 0) state.policies.delete(namespace);
  unfollow(state, old);
  for (const { table } of state.tables) table.setFragment(`policy ${key}`, undefined);
  dirtyNamespace(state, namespace);
}

function follow(state: State, model: PolicyModel): void {
  const { groups, named } = usesOf(model);
  for (const group of groups) state.groups.use(group);
  for (const use of named) {
    const known = state.named.get(namedSet(use));
    if (known === undefined) state.named.set(namedSet(use), { use, users: 1 });
    else known.users++;
    state.dirtyGroups.add(use.group.key);
  }
}

function unfollow(state: State, model: PolicyModel): void {
  const { groups, named } = usesOf(model);
  for (const use of named) {
    const known = state.named.get(namedSet(use));
    if (known === undefined || --known.users > 0) continue;
    state.named.delete(namedSet(use));
    for (const { table } of state.tables) table.setFragment(namedSet(use), undefined);
  }
  for (const group of groups) state.groups.release(group.key);
}

function dirtyNamespace(state: State, namespace: string): void {
  for (const pod of state.groups.podsIn(namespace)) if (pod.node === state.deps.nodeName) state.dirtyPods.add(pod.key);
}

/** Everything that changed goes into the tables' fragments. */
function prepare(state: State): void {
  for (const [key, model] of state.dirtyPolicies) {
    if (model === undefined) removePolicy(state, key);
    else setPolicy(state, model);
  }
  state.dirtyPolicies.clear();
  for (const group of state.dirtyGroups) {
    const used = state.groups.isUsed(group);
    for (const { family, table } of state.tables) {
      table.setFragment(groupSet(group), used ? groupFragment(group, state.groups.members(group), family) : undefined);
    }
    if (used) for (const { use } of state.named.values()) if (use.group.key === group) putNamed(state, use);
  }
  state.dirtyGroups.clear();
  for (const key of state.dirtyPods) preparePod(state, key);
  state.dirtyPods.clear();
}

function putNamed(state: State, use: NamedPortUse): void {
  for (const { family, table } of state.tables) {
    table.setFragment(namedSet(use), namedFragment(use, state.groups.members(use.group.key), family));
  }
}

function preparePod(state: State, key: string): void {
  const pod = state.groups.pod(key);
  const here = pod?.node === state.deps.nodeName ? pod : undefined;
  const policies =
    here === undefined ? [] : [...(state.policies.get(here.namespace)?.values() ?? [])].filter((p) => p.selects.matches(here.labels));
  const combos = here === undefined ? [] : comboFragments(policies);
  for (const { name, fragment } of combos) {
    const users = state.combos.get(name) ?? new Set();
    users.add(key);
    state.combos.set(name, users);
    for (const { table } of state.tables) table.setFragment(name, fragment);
  }
  for (const { family, table } of state.tables) {
    table.setFragment(`pod ${key}`, here === undefined ? undefined : podFragment(here, policies, family));
  }
  const names = combos.map((c) => c.name);
  for (const name of state.combosOfPod.get(key) ?? []) {
    if (names.includes(name)) continue;
    const users = state.combos.get(name);
    users?.delete(key);
    if (users === undefined || users.size > 0) continue;
    state.combos.delete(name);
    for (const { table } of state.tables) table.setFragment(name, undefined);
  }
  if (names.length === 0) state.combosOfPod.delete(key);
  else state.combosOfPod.set(key, names);
}

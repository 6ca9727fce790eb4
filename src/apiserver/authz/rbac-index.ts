/** Roles and bindings, found by subject: costs grow with what is bound to the asker, not with what is stored. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject } from '#kube/generated/rbac-v1.ts';
import { serviceAccountUser } from '../authn/types.ts';
import type { UserInfo } from '../contract.ts';

interface Bound {
  readonly name: string;
  readonly roleRef: RoleRef;
  readonly subjectKeys: readonly string[];
}

/** What one binding gives to a user. */
export interface Grant {
  /** The binding, "ClusterRoleBinding" or "RoleBinding" with its name as messages show it. */
  readonly binding: string;
  readonly roleRef: RoleRef;
  readonly subject: string;
  /** Undefined: the role does not exist. */
  readonly rules: readonly PolicyRule[] | undefined;
}

function subjectKey(subject: Subject, bindingNamespace: string): string | undefined {
  if (subject.kind === 'User') return `User ${JSON.stringify(subject.name)}`;
  if (subject.kind === 'Group') return `Group ${JSON.stringify(subject.name)}`;
  const namespace = subject.namespace ?? bindingNamespace;
  if (subject.kind !== 'ServiceAccount' || namespace === '') return undefined;
  return `User ${JSON.stringify(serviceAccountUser(namespace, subject.name))}`;
}

/** Bindings of one namespace (or of the cluster) by subject. */
class BindingSet {
  readonly #bySubject = new Map<string, Map<string, Bound>>();
  readonly #byName = new Map<string, Bound>();

  get size(): number {
    return this.#byName.size;
  }

  set(name: string, binding: RoleBinding | ClusterRoleBinding, namespace: string): void {
    this.delete(name);
    const keys = (binding.subjects ?? []).map((s) => subjectKey(s, namespace)).filter((k) => k !== undefined);
    const bound = { name, roleRef: binding.roleRef, subjectKeys: [...new Set(keys)] };
    this.#byName.set(name, bound);
    for (const key of bound.subjectKeys) {
      const list = this.#bySubject.get(key) ?? new Map<string, Bound>();
      this.#bySubject.set(key, list.set(name, bound));
    }
  }

  delete(name: string): void {
    for (const key of this.#byName.get(name)?.subjectKeys ?? []) {
      const list = this.#bySubject.get(key);
      list?.delete(name);
      if (list?.size === 0) this.#bySubject.delete(key);
    }
    this.#byName.delete(name);
  }

  names(): Iterable<string> {
    return this.#byName.keys();
  }

  *of(subject: string): Iterable<Bound> {
    yield* this.#bySubject.get(subject)?.values() ?? [];
  }
}

export class RbacIndex {
  readonly #clusterRoles = new Map<string, ClusterRole>();
  readonly #roles = new Map<string, Role>();
  readonly #clusterBindings = new BindingSet();
  readonly #bindings = new Map<string, BindingSet>();

  setClusterRole(name: string, role: ClusterRole | undefined): void {
    if (role === undefined) this.#clusterRoles.delete(name);
    else this.#clusterRoles.set(name, role);
  }

  setRole(namespace: string, name: string, role: Role | undefined): void {
    if (role === undefined) this.#roles.delete(`${namespace}/${name}`);
    else this.#roles.set(`${namespace}/${name}`, role);
  }

  setClusterRoleBinding(name: string, binding: ClusterRoleBinding | undefined): void {
    if (binding === undefined) this.#clusterBindings.delete(name);
    else this.#clusterBindings.set(name, binding, '');
  }

  setRoleBinding(namespace: string, name: string, binding: RoleBinding | undefined): void {
    const set = this.#bindings.get(namespace) ?? new BindingSet();
    if (binding === undefined) set.delete(name);
    else set.set(name, binding, namespace);
    if (set.size === 0) this.#bindings.delete(namespace);
    else this.#bindings.set(namespace, set);
  }

  clear(): void {
    this.#clusterRoles.clear();
    this.#roles.clear();
    this.#bindings.clear();
    for (const name of [...this.#clusterBindings.names()]) this.#clusterBindings.delete(name);
  }

  clusterRoles(): Iterable<ClusterRole> {
    return this.#clusterRoles.values();
  }

  /** The rules of a role that a binding in `namespace` refers to ('' for cluster bindings). */
  rulesOf(roleRef: RoleRef, namespace: string): readonly PolicyRule[] | undefined {
    const role = roleRef.kind === 'ClusterRole' ? this.#clusterRoles.get(roleRef.name) : this.#roles.get(`${namespace}/${roleRef.name}`);
    return role === undefined ? undefined : (role.rules ?? []);
  }

  /** All that is granted to a user: by cluster bindings, then by the bindings of the namespace where one is given. */
  *grants(user: UserInfo, namespace: string): Iterable<Grant> {
    const subjects = [`User ${JSON.stringify(user.name)}`, ...user.groups.map((g) => `Group ${JSON.stringify(g)}`)];
    yield* this.#grantsOf(this.#clusterBindings, subjects, '');
    const own = namespace === '' ? undefined : this.#bindings.get(namespace);
    if (own !== undefined) yield* this.#grantsOf(own, subjects, namespace);
  }

  *#grantsOf(set: BindingSet, subjects: readonly string[], namespace: string): Iterable<Grant> {
    for (const subject of subjects)
      for (const bound of set.of(subject)) {
        const binding =
          namespace === ''
            ? `ClusterRoleBinding ${JSON.stringify(bound.name)}`
            : `RoleBinding ${JSON.stringify(`${bound.name}/${namespace}`)}`;
        yield { binding, roleRef: bound.roleRef, subject, rules: this.rulesOf(bound.roleRef, namespace) };
      }
  }
}

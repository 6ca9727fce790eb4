/** Who owns whom: the graph of k8s.io/kubernetes pkg/controller/garbagecollector, as pure data. */
import type { OwnerReference, Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';

export interface GraphNode {
  readonly uid: string;
  /** Undefined for an owner that is only known from references to it. */
  resource: ResourceRef | undefined;
  kind: string;
  apiVersion: string;
  namespace: string;
  name: string;
  owners: readonly OwnerReference[];
  readonly dependents: ReadonlySet<GraphNode>;
  /** Has a deletionTimestamp. */
  beingDeleted: boolean;
  /** Being deleted in the foreground: waits for its dependents. */
  deletingDependents: boolean;
}

export interface OwnerGraph {
  readonly get: (uid: string) => GraphNode | undefined;
  /** Adds or brings up to date; gives what changed. */
  readonly put: (resource: ResourceRef, object: Stored) => GraphChange;
  /** Removes an object that is gone; gives its node. */
  readonly remove: (uid: string) => GraphNode | undefined;
  readonly size: () => number;
}

export interface GraphChange {
  readonly node: GraphNode;
  /** Nodes made because of references to objects not seen yet: are they there at all? */
  readonly unseen: readonly GraphNode[];
  /** Owners that this object no longer holds back. */
  readonly unblocked: readonly GraphNode[];
  readonly ownersChanged: boolean;
  readonly isNew: boolean;
}

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

interface Node extends GraphNode {
  dependents: Set<GraphNode>;
}

export function createOwnerGraph(): OwnerGraph {
  const nodes = new Map<string, Node>();

  const link = (node: Node, ref: OwnerReference): GraphNode | undefined => {
    const known = nodes.get(ref.uid);
    const owner = known ?? virtualNode(ref, node.namespace);
    if (known === undefined) nodes.set(ref.uid, owner);
    if (owner.dependents === nobody) owner.dependents = new Set();
    owner.dependents.add(node);
    return known === undefined ? owner : undefined;
  };
  const unlink = (node: GraphNode, ref: OwnerReference): GraphNode | undefined => {
    const owner = nodes.get(ref.uid);
    owner?.dependents.delete(node);
    if (owner !== undefined && owner.resource === undefined && owner.dependents.size === 0) nodes.delete(owner.uid);
    return owner;
  };

  return {
    get: (uid) => nodes.get(uid),
    size: () => nodes.size,
    put: (resource, object) => {
      const { uid, ownerReferences = [], finalizers = [], deletionTimestamp } = object.metadata;
      let node = nodes.get(uid);
      const isNew = node?.resource === undefined;
      node ??= blankNode(uid);
      nodes.set(uid, node);
      const before = node.owners;
      node.resource = resource;
      node.kind = object.kind;
      node.apiVersion = object.apiVersion;
      node.namespace = object.metadata.namespace ?? '';
      node.name = object.metadata.name;
      node.owners = ownerReferences;
      node.beingDeleted = deletionTimestamp !== undefined;
      node.deletingDependents = node.beingDeleted && finalizers.includes(foregroundFinalizer);
      if (before === ownerReferences || (before.length === 0 && ownerReferences.length === 0))
        return { node, unseen: [], unblocked: [], ownersChanged: false, isNew };
      const unblocked: GraphNode[] = [];
      const unseen: GraphNode[] = [];
      let ownersChanged = false;
      for (const old of before) {
        const now = ownerReferences.find((o) => o.uid === old.uid);
        if (now === undefined) ownersChanged = true;
        if (now === undefined || (old.blockOwnerDeletion === true && now.blockOwnerDeletion !== true)) {
          const owner = now === undefined ? unlink(node, old) : nodes.get(old.uid);
          if (owner !== undefined) unblocked.push(owner);
        }
      }
      for (const ref of ownerReferences) {
        if (before.some((o) => o.uid === ref.uid)) continue;
        ownersChanged = true;
        const made = link(node, ref);
        if (made !== undefined) unseen.push(made);
      }
      return { node, unseen, unblocked, ownersChanged, isNew };
    },
    remove: (uid) => {
      const node = nodes.get(uid);
      if (node === undefined) return undefined;
      for (const ref of node.owners) unlink(node, ref);
      nodes.delete(uid);
      return node;
    },
  };
}

/** Most objects own nothing: they share this set, to which nothing is ever added. */
const nobody: Set<GraphNode> = new Set();

const blankNode = (uid: string): Node => ({
  uid,
  resource: undefined,
  kind: '',
  apiVersion: '',
  namespace: '',
  name: '',
  owners: [],
  dependents: nobody,
  beingDeleted: false,
  deletingDependents: false,
});

const virtualNode = (ref: OwnerReference, namespace: string): Node => ({
  ...blankNode(ref.uid),
  kind: ref.kind,
  apiVersion: ref.apiVersion,
  namespace,
  name: ref.name,
});

/** Dependents that hold back the foreground deletion of an owner. */
export const blocking = (owner: GraphNode): readonly GraphNode[] =>
  [...owner.dependents].filter((d) => d.owners.some((o) => o.uid === owner.uid && o.blockOwnerDeletion === true));

/** What nodes may do: plugin/pkg/auth/authorizer/node/node_authorizer.go. */
import { persistentVolumes, volumeAttachments } from '#kube/refs.ts';
import { exactFieldValue, parseFieldSelector } from '#kube/selector.ts';
import type { AuthorizationAttributes, Authorize, Decision, ObjectReader, UserInfo } from '../contract.ts';
import { parseRule } from './bootstrap-policy.ts';
import { bootstrapClusterRoles } from './bootstrap-roles.ts';
import type { NodeGraph, RefKind } from './node-graph.ts';
import { ruleAllows } from './rules.ts';

const allow: Decision = { decision: 'allow', reason: '' };
const none = (reason: string): Decision => ({ decision: 'noOpinion', reason });

/** The name of the node that a user is, or undefined for all others. */
export function nodeNameOf(user: UserInfo): string | undefined {
  if (!user.groups.includes('system:nodes') || !user.name.startsWith('system:node:')) return undefined;
  const name = user.name.slice('system:node:'.length);
  return name === '' ? undefined : name;
}

function selected(attributes: AuthorizationAttributes, field: string): string | undefined {
  if (attributes.fieldSelector === undefined) return undefined;
  try {
    return exactFieldValue(parseFieldSelector(attributes.fieldSelector), field);
  } catch {
    return undefined;
  }
}

/** A list or watch of one name counts as a request for that object. */
const nameOf = (a: AuthorizationAttributes): string => (a.name === '' ? (selected(a, 'metadata.name') ?? '') : a.name);

interface Context {
  readonly node: string;
  readonly graph: NodeGraph;
  readonly reader: Pick<ObjectReader, 'get' | 'list'>;
}

type Rule = (a: AuthorizationAttributes, context: Context) => Decision | undefined;

const isRead = (verb: string): boolean => verb === 'get' || verb === 'list' || verb === 'watch';
const unrelated = (node: string): Decision => none(`no relationship found between node '${node}' and this object`);

const used =
  (kind: RefKind, verbs: readonly string[], subresource = ''): Rule =>
  (a, { node, graph }) => {
    if (!verbs.includes(a.verb)) return none(`can only ${verbs.join(', ')} this type of object`);
    if (a.subresource !== subresource)
      return none(subresource === '' ? 'cannot read subresource' : `can only use subresource ${subresource}`);
    const name = nameOf(a);
    if (name === '') return none('No Object name found');
    return graph.uses(node, kind, a.namespace, name) ? allow : unrelated(node);
  };

/** Secrets that volumes name for their drivers, beyond those that pods name. */
function usedByVolume(a: AuthorizationAttributes, { node, graph, reader }: Context): boolean {
  const name = nameOf(a);
  return reader.list(persistentVolumes, '').some((pv) => {
    const { claimRef, csi } = pv.spec ?? {};
    const refs = [csi?.nodePublishSecretRef, csi?.nodeStageSecretRef, csi?.nodeExpandSecretRef];
    if (!refs.some((r) => r?.name === name && r.namespace === a.namespace)) return false;
    return graph.uses(node, 'persistentvolumeclaim', claimRef?.namespace ?? '', claimRef?.name ?? '');
  });
}

const secret: Rule = (a, context) => {
  const decision = used('secret', ['get', 'list', 'watch'])(a, context);
  return decision?.decision !== 'allow' && isRead(a.verb) && nameOf(a) !== '' && usedByVolume(a, context) ? allow : decision;
};

const claim: Rule = (a, context) => {
  if (a.subresource === 'status') return used('persistentvolumeclaim', ['get', 'update', 'patch'], 'status')(a, context);
  return used('persistentvolumeclaim', ['get'])(a, context);
};

const volume: Rule = (a, { node, graph, reader }) => {
  if (a.verb !== 'get' || a.subresource !== '') return none('can only get individual resources of this type');
  const ref = reader.get(persistentVolumes, '', a.name)?.spec?.claimRef;
  return graph.uses(node, 'persistentvolumeclaim', ref?.namespace ?? '', ref?.name ?? '') ? allow : unrelated(node);
};

const attachment: Rule = (a, { node, reader }) => {
  if (a.verb !== 'get' || a.subresource !== '') return none('can only get individual resources of this type');
  return reader.get(volumeAttachments, '', a.name)?.spec.nodeName === node ? allow : unrelated(node);
};

const account: Rule = (a, context) => {
  const { node, graph } = context;
  // For image credential providers that take the pod's token: KubeletServiceAccountTokenForCredentialProviders.
  if (a.verb === 'get' && a.subresource === '') return used('serviceaccount', ['get'])(a, context);
  if (a.subresource !== 'token') return none('can only create tokens for individual service accounts');
  if (a.verb !== 'create' || a.name === '') return none('can only create tokens for individual service accounts');
  return graph.uses(node, 'serviceaccount', a.namespace, a.name) ? allow : unrelated(node);
};

const ownVerbs = ['get', 'create', 'update', 'patch', 'delete'];

const lease: Rule = (a, { node }) => {
  if (a.subresource !== '') return none('cannot access subresource');
  if (!ownVerbs.includes(a.verb)) return none('can only get, create, update, patch, or delete a node lease');
  if (a.namespace !== 'kube-node-lease') return none('can only access leases in the "kube-node-lease" system namespace');
  return a.verb === 'create' || a.name === node ? allow : none('can only access node lease with the same name as the requesting node');
};

const csiNode: Rule = (a, { node }) => {
  if (a.subresource !== '') return none('cannot authorize CSINode subresources');
  if (!ownVerbs.includes(a.verb)) return none('can only get, create, update, patch, or delete a CSINode');
  return a.verb === 'create' || a.name === node ? allow : none('can only access CSINode with the same name as the requesting node');
};

const slice: Rule = (a, { node }) => {
  if (a.subresource !== '') return none('cannot authorize ResourceSlice subresources');
  if (!['list', 'watch', 'deletecollection'].includes(a.verb)) return undefined;
  return selected(a, 'spec.nodeName') === node ? allow : none(`can only ${a.verb} resourceslices with spec.nodeName field selector`);
};

const ownNode: Rule = (a, { node }) => {
  if (!isRead(a.verb) || a.subresource !== '') return undefined;
  if (nameOf(a) === node) return allow;
  return none(`node '${node}' cannot read '${nameOf(a)}', only its own Node object`);
};

const pod: Rule = (a, { node, graph }) => {
  if (['list', 'watch', 'deletecollection'].includes(a.verb)) {
    if (a.name !== '') return graph.uses(node, 'pod', a.namespace, a.name) ? allow : unrelated(node);
    return selected(a, 'spec.nodeName') === node ? allow : none(`can only ${a.verb} pods with spec.nodeName field selector`);
  }
  if (a.verb !== 'get') return undefined;
  return graph.uses(node, 'pod', a.namespace, a.name) ? allow : unrelated(node);
};

/** Undefined as a result: the role system:node decides, and admission (NodeRestriction) narrows it. */
const rules: Readonly<Record<string, Rule>> = {
  '/secrets': secret,
  '/configmaps': used('configmap', ['get', 'list', 'watch']),
  '/persistentvolumeclaims': claim,
  '/persistentvolumes': volume,
  '/serviceaccounts': account,
  '/nodes': ownNode,
  '/pods': pod,
  'resource.k8s.io/resourceclaims': used('resourceclaim', ['get']),
  'resource.k8s.io/resourceslices': slice,
  'storage.k8s.io/volumeattachments': attachment,
  'storage.k8s.io/csinodes': csiNode,
  'coordination.k8s.io/leases': lease,
};

export function nodeAuthorizer(graph: NodeGraph, reader: Pick<ObjectReader, 'get' | 'list'>): Authorize {
  const nodeRules = (bootstrapClusterRoles['system:node']?.rules ?? []).map(parseRule);
  return (attributes) => {
    const node = nodeNameOf(attributes.user);
    if (node === undefined) return none('');
    if (attributes.resourceRequest) {
      const decision = rules[`${attributes.group}/${attributes.resource}`]?.(attributes, { node, graph, reader });
      if (decision !== undefined) return decision;
    }
    return nodeRules.some((r) => ruleAllows(r, attributes)) ? allow : none('');
  };
}

/**
 * Limits what a node's own credentials may write to that node, its pods and its leases
 * (k8s.io/kubernetes plugin/pkg/admission/noderestriction).
 */
import { requestOf, signerNames } from '#kube/certificate-requests.ts';
import type { CertificateSigningRequest } from '#kube/generated/certificates-v1.ts';
import type { Node, PersistentVolumeClaim, Pod } from '#kube/generated/core-v1.ts';
import type { ResourceSlice } from '#kube/generated/resource-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import { pods } from '#kube/refs.ts';
import { notFound } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader, UserInfo } from '../contract.ts';
import { denied, objectAs, oldObjectAs } from './attributes.ts';
import { checkMirrorPodCreate } from './node-restriction-pods.ts';
import { checkNodeToken, type NodeTokenDeps } from './node-restriction-tokens.ts';

type Objects = Pick<ObjectReader, 'get'>;

const prefix = 'system:node:';
const leaseNamespace = 'kube-node-lease';

/** The node that a user is: undefined for users that are none, '' for one that does not say which. */
function nodeOf(user: UserInfo): string | undefined {
  if (!user.name.startsWith(prefix) || !user.groups.includes('system:nodes')) return undefined;
  return user.name.slice(prefix.length);
}

const unexpected = (r: AdmissionRequest): Error => denied(r, `unexpected operation "${r.operation}"`);

function existingPod(objects: Objects, r: AdmissionRequest, name: string) {
  const pod = objects.get(pods, r.namespace, name);
  if (pod === undefined) throw notFound(pods, name);
  return pod;
}

function checkPod(r: AdmissionRequest, node: string, objects: Objects): void {
  if (r.operation === 'CREATE') {
    checkMirrorPodCreate(r, node, objects);
    return;
  }
  if (r.operation !== 'DELETE') {
    throw denied(r, `unexpected operation "${r.operation}", node "${node}" can only create and delete mirror pods`);
  }
  // A whole collection has no name; each of its pods comes by itself.
  const bound = r.name === '' ? oldObjectAs<Pod | undefined>(r)?.spec?.nodeName : existingPod(objects, r, r.name).spec?.nodeName;
  if (bound !== node) throw denied(r, `node "${node}" can only delete pods with spec.nodeName set to itself`);
}

function checkPodStatus(r: AdmissionRequest, node: string): void {
  if (r.operation !== 'UPDATE') throw unexpected(r);
  const old = oldObjectAs<Pod>(r);
  const next = objectAs<Pod>(r);
  if (old.spec?.nodeName !== node) throw denied(r, `node "${node}" can only update pod status for pods with spec.nodeName set to itself`);
  if (!jsonEqual(old.metadata.labels ?? {}, next.metadata.labels ?? {})) {
    throw denied(r, `node "${node}" cannot update labels through pod status`);
  }
  if (!jsonEqual(old.status?.resourceClaimStatuses ?? [], next.status?.resourceClaimStatuses ?? [])) {
    throw denied(r, `node "${node}" cannot update resource claim statuses`);
  }
}

function checkEviction(r: AdmissionRequest, node: string, objects: Objects): void {
  if (r.operation !== 'CREATE') throw unexpected(r);
  const name = r.name || r.object?.metadata.name || '';
  if (name === '') throw denied(r, 'could not determine pod from request data');
  if (existingPod(objects, r, name).spec?.nodeName !== node) {
    throw denied(r, `node ${node} can only evict pods with spec.nodeName set to itself`);
  }
}

const kubeletLabels = new Set([
  'kubernetes.io/hostname',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'node.kubernetes.io/instance-type',
  'beta.kubernetes.io/instance-type',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
]);

const inDomain = (namespace: string, domain: string): boolean => namespace === domain || namespace.endsWith(`.${domain}`);

function forbiddenLabels(next: Readonly<Record<string, string>>, old: Readonly<Record<string, string>>): string[] {
  const changed = [...new Set([...Object.keys(next), ...Object.keys(old)])].filter((key) => next[key] !== old[key]);
  return changed
    .filter((key) => {
      const namespace = key.includes('/') ? (key.split('/')[0] ?? '') : '';
      if (inDomain(namespace, 'node-restriction.kubernetes.io')) return true;
      if (!inDomain(namespace, 'kubernetes.io') && !inDomain(namespace, 'k8s.io')) return false;
      return !kubeletLabels.has(key) && !inDomain(namespace, 'kubelet.kubernetes.io') && !inDomain(namespace, 'node.kubernetes.io');
    })
    .sort();
}

function checkNode(r: AdmissionRequest, node: string): void {
  const requested = r.name || r.object?.metadata.name || '';
  if (requested !== node) throw denied(r, `node "${node}" is not allowed to modify node "${requested}"`);
  if (r.operation !== 'CREATE' && r.operation !== 'UPDATE') return;
  const next = objectAs<Node>(r);
  const old = r.operation === 'UPDATE' ? oldObjectAs<Node>(r) : undefined;
  if (next.spec?.configSource !== undefined && !jsonEqual(next.spec.configSource, old?.spec?.configSource)) {
    throw denied(
      r,
      old === undefined
        ? `node "${node}" is not allowed to create pods with a non-nil configSource`
        : `node "${node}" is not allowed to update configSource to a new non-nil configSource`,
    );
  }
  const labels = forbiddenLabels(next.metadata.labels ?? {}, old?.metadata.labels ?? {});
  if (old === undefined) {
    if (labels.length > 0) throw denied(r, `node "${node}" is not allowed to set the following labels: ${labels.join(', ')}`);
    return;
  }
  if (!jsonEqual(next.spec?.taints ?? [], old.spec?.taints ?? [])) throw denied(r, `node "${node}" is not allowed to modify taints`);
  if (labels.length > 0) throw denied(r, `is not allowed to modify labels: ${labels.join(', ')}`);
  if (!jsonEqual(next.metadata.ownerReferences ?? [], old.metadata.ownerReferences ?? [])) {
    throw denied(r, `node "${node}" is not allowed to modify ownerReferences`);
  }
}

function checkClaim(r: AdmissionRequest, node: string): void {
  if (r.subresource !== 'status') throw denied(r, 'may only update PVC status');
  if (r.operation !== 'UPDATE') throw unexpected(r);
  const without = (object: object | undefined, ...names: readonly string[]): object =>
    Object.fromEntries(Object.entries(object ?? {}).filter(([name]) => !names.includes(name)));
  const plain = (claim: PersistentVolumeClaim): unknown => ({
    ...claim,
    metadata: without(claim.metadata, 'resourceVersion', 'managedFields'),
    status: without(claim.status, 'capacity', 'conditions', 'allocatedResources', 'allocatedResourceStatuses'),
  });
  if (!jsonEqual(plain(objectAs(r)), plain(oldObjectAs(r)))) {
    throw denied(r, `node "${node}" is not allowed to update fields other than status.quantity and status.conditions`);
  }
}

const nodeSigners: readonly string[] = [signerNames.kubeletClient, signerNames.kubeletServing];

/** A node asks for certificates in its own name only. */
function checkCsr(r: AdmissionRequest): void {
  if (r.operation !== 'CREATE' || r.subresource !== '') return;
  const csr = objectAs<CertificateSigningRequest>(r);
  if (!nodeSigners.includes(csr.spec.signerName)) return;
  let name: string;
  try {
    name = requestOf(csr).subject.commonName;
  } catch (error) {
    throw denied(r, `unable to parse csr: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (name !== r.user.name) throw denied(r, `can only create a node CSR with CN=${r.user.name}`);
}

function checkOwnName(r: AdmissionRequest, node: string, why: string): void {
  const name = r.operation === 'CREATE' ? (r.object?.metadata.name ?? '') : r.name;
  if (name !== node) throw denied(r, why);
}

function checkSlice(r: AdmissionRequest, node: string): void {
  const slice = r.operation === 'CREATE' ? objectAs<ResourceSlice>(r) : oldObjectAs<ResourceSlice | undefined>(r);
  if (r.operation !== 'CREATE' && r.operation !== 'DELETE') return;
  if (slice !== undefined && slice.spec.nodeName !== node) {
    const verb = r.operation === 'CREATE' ? 'create' : 'delete';
    throw denied(r, `can only ${verb} ResourceSlice with the same NodeName as the requesting node`);
  }
}

type Check = (r: AdmissionRequest, node: string, deps: NodeTokenDeps) => void | Promise<void>;

const checks: Readonly<Record<string, Check>> = {
  '/pods': (r, node, { objects }) => {
    if (r.subresource === '') checkPod(r, node, objects);
    else if (r.subresource === 'status') checkPodStatus(r, node);
    else if (r.subresource === 'eviction') checkEviction(r, node, objects);
    else throw denied(r, `unexpected pod subresource "${r.subresource}", only 'status' and 'eviction' are allowed`);
  },
  '/nodes': checkNode,
  '/persistentvolumeclaims': checkClaim,
  '/serviceaccounts': checkNodeToken,
  'certificates.k8s.io/certificatesigningrequests': checkCsr,
  'coordination.k8s.io/leases': (r, node) => {
    if (r.namespace !== leaseNamespace) throw denied(r, `can only access leases in the "${leaseNamespace}" system namespace`);
    checkOwnName(r, node, 'can only access node lease with the same name as the requesting node');
  },
  'storage.k8s.io/csinodes': (r, node) => checkOwnName(r, node, 'can only access CSINode with the same name as the requesting node'),
  'resource.k8s.io/resourceslices': checkSlice,
};

export function createNodeRestriction(deps: NodeTokenDeps): AdmissionPlugin {
  const checkOf = (r: AdmissionRequest): Check | undefined => {
    const key = `${r.def.ref.group}/${r.def.ref.plural}`;
    return Object.hasOwn(checks, key) ? checks[key] : undefined;
  };
  return {
    name: 'NodeRestriction',
    handles: (r) => r.operation !== 'CONNECT' && nodeOf(r.user) !== undefined,
    admit: (r) => {
      const node = nodeOf(r.user);
      if (node === '') throw denied(r, `could not determine node from user "${r.user.name}"`);
      return node === undefined ? undefined : checkOf(r)?.(r, node, deps);
    },
  };
}

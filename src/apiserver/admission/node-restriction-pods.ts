/** What a node may put into the mirror pods of its static pods. */
import type { Pod } from '#kube/generated/core-v1.ts';
import { referencedConfigMaps, referencedSecrets } from '#kube/pod-references.ts';
import { nodes } from '#kube/refs.ts';
import { notFound } from '#kube/status-error.ts';
import type { AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, mirrorPodAnnotation, objectAs } from './attributes.ts';

function checkOwner(r: AdmissionRequest, node: string, objects: Pick<ObjectReader, 'get'>): void {
  const owners = r.object?.metadata.ownerReferences ?? [];
  if (owners.length > 1) throw denied(r, `node "${node}" can only create pods with a single owner reference set to itself`);
  const [owner] = owners;
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node) {
    throw denied(r, `node "${node}" can only create pods with an owner reference set to itself`);
  }
  if (owner.controller !== true) throw denied(r, `node "${node}" can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion === true) throw denied(r, `node "${node}" must not set blockOwnerDeletion on an owner reference`);
  const found = objects.get(nodes, '', node);
  if (found === undefined) throw notFound(nodes, node);
  if (found.metadata.uid !== owner.uid) {
    throw denied(r, `node ${node} UID mismatch: expected ${owner.uid} got ${found.metadata.uid}`);
  }
}

/** Throws Forbidden unless the pod is a mirror pod of this node that refers to no other API object. */
export function checkMirrorPodCreate(r: AdmissionRequest, node: string, objects: Pick<ObjectReader, 'get'>): void {
  const pod = objectAs<Pod>(r);
  const spec = pod.spec ?? { containers: [] };
  if (pod.metadata.annotations?.[mirrorPodAnnotation] === undefined) {
    throw denied(r, `pod does not have "${mirrorPodAnnotation}" annotation, node "${node}" can only create mirror pods`);
  }
  if (spec.nodeName !== node) throw denied(r, `node "${node}" can only create pods with spec.nodeName set to itself`);
  checkOwner(r, node, objects);
  const refuse = (what: string): Error => denied(r, `node "${node}" can not create pods that reference ${what}`);
  if ((spec.serviceAccountName ?? '') !== '') throw refuse('a service account');
  if (referencedSecrets(spec).size > 0) throw refuse('secrets');
  if (referencedConfigMaps(spec).size > 0) throw refuse('configmaps');
  for (const volume of spec.volumes ?? []) {
    if (volume.persistentVolumeClaim !== undefined) throw refuse('persistentvolumeclaims');
    for (const source of volume.projected?.sources ?? []) {
      if (source.serviceAccountToken !== undefined) throw refuse('serviceaccounttokens');
      if (source.clusterTrustBundle !== undefined) throw refuse('clustertrustbundles');
    }
  }
  if ((spec.resourceClaims ?? []).length > 0) throw refuse('resourceclaims');
}

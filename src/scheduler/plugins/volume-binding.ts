import type { PersistentVolume, PersistentVolumeClaim } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { compareQuantity } from '#kube/quantity.ts';
import type { ClusterView, Failure, NodeInfo, Plugin, PodInfo } from '../framework.ts';
import { reject } from '../framework.ts';
import { claimsOf } from '../pod-info.ts';
import { compileNodeSelector, compileSelector } from '../selector.ts';

type Claim = Stored<PersistentVolumeClaim>;
type Volume = Stored<PersistentVolume>;

export const selectedNodeAnnotation = 'volume.kubernetes.io/selected-node';
const bindCompleted = 'pv.kubernetes.io/bind-completed';
const noProvisioner = 'kubernetes.io/no-provisioner';

/** What to do for an unbound claim before its pod may be bound: reserve a volume for it, or have one made for the node. */
export interface ClaimPlan {
  readonly claim: Claim;
  readonly volume: Volume | undefined;
}

export const isBound = (claim: Claim): boolean =>
  (claim.spec?.volumeName ?? '') !== '' && claim.metadata.annotations?.[bindCompleted] !== undefined;

const classOf = (o: Claim | Volume): string => o.spec?.storageClassName ?? '';

interface Claims {
  readonly bound: readonly Claim[];
  /** To be bound once a node is chosen. */
  readonly delayed: readonly Claim[];
}

function sortClaims(pod: PodInfo, view: ClusterView): Claims | Failure {
  const bound: Claim[] = [];
  const delayed: Claim[] = [];
  const no = (message: string): Failure => reject('VolumeBinding', true, message);
  for (const { name, ephemeral } of claimsOf(pod.pod)) {
    const claim = view.claim(pod.namespace, name);
    if (claim === undefined) {
      return no(
        ephemeral
          ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
          : `persistentvolumeclaim "${name}" not found`,
      );
    }
    if (claim.metadata.deletionTimestamp !== undefined) return no(`persistentvolumeclaim "${name}" is being deleted`);
    if (claim.status?.phase === 'Lost')
      return no(`persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"`);
    if (ephemeral && !claim.metadata.ownerReferences?.some((o) => o.uid === pod.uid)) {
      return no(`PVC ${pod.namespace}/${name} was not created for pod ${pod.key} (pod is not owner)`);
    }
    if (isBound(claim)) bound.push(claim);
    else if ((claim.spec?.volumeName ?? '') === '' && view.storageClass(classOf(claim))?.volumeBindingMode === 'WaitForFirstConsumer')
      delayed.push(claim);
    else return no('pod has unbound immediate PersistentVolumeClaims');
  }
  return { bound, delayed };
}

const reaches = (volume: Volume, node: NodeInfo): boolean => {
  const required = volume.spec?.nodeAffinity?.required;
  return required === undefined || compileNodeSelector(required)(node);
};

/** The smallest free volume that satisfies the claim and can be used on the node. */
function matchingVolume(claim: Claim, node: NodeInfo, taken: ReadonlySet<string>, view: ClusterView): Volume | undefined {
  const wanted = claim.spec?.resources?.requests?.['storage'] ?? '0';
  const selects = claim.spec?.selector === undefined ? undefined : compileSelector(claim.spec.selector);
  let best: Volume | undefined;
  for (const v of view.freeVolumes(classOf(claim))) {
    const capacity = v.spec?.capacity?.['storage'] ?? '0';
    if (taken.has(v.metadata.name) || v.metadata.deletionTimestamp !== undefined || compareQuantity(capacity, wanted) < 0) continue;
    if ((v.spec?.volumeMode ?? 'Filesystem') !== (claim.spec?.volumeMode ?? 'Filesystem')) continue;
    if (!(claim.spec?.accessModes ?? []).every((m) => v.spec?.accessModes?.includes(m))) continue;
    if ((selects !== undefined && !selects.matches(v.metadata.labels ?? {})) || !reaches(v, node)) continue;
    if (best === undefined || compareQuantity(capacity, best.spec?.capacity?.['storage'] ?? '0') < 0) best = v;
  }
  return best;
}

function provisionable(claim: Claim, node: NodeInfo, view: ClusterView): boolean {
  const storageClass = view.storageClass(classOf(claim));
  if (storageClass === undefined || storageClass.provisioner === noProvisioner || storageClass.provisioner === '') return false;
  const selected = claim.metadata.annotations?.[selectedNodeAnnotation];
  if (selected !== undefined && selected !== node.name) return false;
  const topologies = storageClass.allowedTopologies ?? [];
  return (
    topologies.length === 0 ||
    topologies.some((t) => (t.matchLabelExpressions ?? []).every((e) => e.values.includes(node.labels[e.key] ?? '')))
  );
}

/** How the delayed claims would be served on the node; undefined when they cannot be. */
function planFor(claims: readonly Claim[], node: NodeInfo, view: ClusterView): ClaimPlan[] | undefined {
  const taken = new Set<string>();
  const plan: ClaimPlan[] = [];
  for (const claim of claims) {
    const volume = matchingVolume(claim, node, taken, view);
    if (volume === undefined && !provisionable(claim, node, view)) return undefined;
    if (volume !== undefined) taken.add(volume.metadata.name);
    plan.push({ claim, volume });
  }
  return plan;
}

/** What must happen to the pod's claims before it is bound to the node. */
export function claimPlans(pod: PodInfo, node: NodeInfo, view: ClusterView): readonly ClaimPlan[] {
  const claims = sortClaims(pod, view);
  return 'plugin' in claims ? [] : (planFor(claims.delayed, node, view) ?? []);
}

export const volumeBinding: Plugin = {
  name: 'VolumeBinding',
  prepareFilter: (pod, view) => {
    if (claimsOf(pod.pod).length === 0) return { verdict: 'skip' };
    const claims = sortClaims(pod, view);
    if ('plugin' in claims) return { verdict: 'reject', failure: claims };
    const volumes = claims.bound.map((c) => view.volume(c.spec?.volumeName ?? ''));
    return {
      verdict: 'filter',
      filter: (node) => {
        const reasons: string[] = [];
        if (volumes.some((v) => v === undefined)) reasons.push('node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)');
        else if (volumes.some((v) => v !== undefined && !reaches(v, node)))
          reasons.push("node(s) didn't match PersistentVolume's node affinity");
        if (planFor(claims.delayed, node, view) === undefined) reasons.push("node(s) didn't find available persistent volumes to bind");
        return reasons.length === 0 ? undefined : reject('VolumeBinding', true, ...reasons);
      },
    };
  },
  wakesOn: (event) =>
    event.on === 'volume' ||
    event.on === 'claim' ||
    event.on === 'class' ||
    (event.on === 'node' && (event.what === 'add' || event.what === 'labels')),
};

/** Which objects the pods of each node use: plugin/pkg/auth/authorizer/node/graph.go. */
import type { Pod } from '#kube/generated/core-v1.ts';
import type { CachedEntry, WatchCache } from '#store/contract.ts';
import { follow } from '../follow.ts';

export type RefKind = 'secret' | 'configmap' | 'persistentvolumeclaim' | 'serviceaccount' | 'resourceclaim' | 'pod';

const mirrorAnnotation = 'kubernetes.io/config.mirror';
const keyOf = (kind: RefKind, namespace: string, name: string): string => `${kind}/${namespace}/${name}`;

type Add = (kind: RefKind, name: string | undefined) => void;

function volumeRefs(pod: Pod, add: Add): void {
  for (const volume of pod.spec?.volumes ?? []) {
    add('secret', volume.secret?.secretName);
    add('configmap', volume.configMap?.name);
    add('persistentvolumeclaim', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral !== undefined) add('persistentvolumeclaim', `${pod.metadata.name ?? ''}-${volume.name}`);
    for (const source of volume.projected?.sources ?? []) {
      add('secret', source.secret?.name);
      add('configmap', source.configMap?.name);
    }
    for (const other of [
      volume.csi?.nodePublishSecretRef,
      volume.cephfs?.secretRef,
      volume.rbd?.secretRef,
      volume.iscsi?.secretRef,
      volume.flexVolume?.secretRef,
    ])
      add('secret', other?.name);
    add('secret', volume.azureFile?.secretName);
  }
}

function environmentRefs(pod: Pod, add: Add): void {
  const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? {};
  for (const container of [...initContainers, ...containers, ...ephemeralContainers]) {
    for (const source of container.envFrom ?? []) {
      add('secret', source.secretRef?.name);
      add('configmap', source.configMapRef?.name);
    }
    for (const variable of container.env ?? []) {
      add('secret', variable.valueFrom?.secretKeyRef?.name);
      add('configmap', variable.valueFrom?.configMapKeyRef?.name);
    }
  }
}

/** Keys of everything a pod's node may read for it. Mirror pods are the node's own invention and give it nothing. */
function refsOf(pod: Pod): ReadonlySet<string> {
  const { namespace = '', name = '' } = pod.metadata;
  const refs = new Set([keyOf('pod', namespace, name)]);
  if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) return refs;
  const add: Add = (kind, target) => {
    if (target !== undefined && target !== '') refs.add(keyOf(kind, namespace, target));
  };
  add('serviceaccount', pod.spec?.serviceAccountName);
  for (const secret of pod.spec?.imagePullSecrets ?? []) add('secret', secret.name);
  volumeRefs(pod, add);
  environmentRefs(pod, add);
  for (const claim of pod.spec?.resourceClaims ?? []) add('resourceclaim', claim.resourceClaimName);
  for (const status of pod.status?.resourceClaimStatuses ?? []) add('resourceclaim', status.resourceClaimName);
  return refs;
}

export class NodeGraph {
  readonly #pods = new Map<string, { readonly node: string; readonly refs: ReadonlySet<string> }>();
  /** Object → node → how many pods. */
  readonly #users = new Map<string, Map<string, number>>();

  setPod(key: string, pod: Pod | undefined): void {
    const old = this.#pods.get(key);
    const node = pod?.spec?.nodeName ?? '';
    if (pod === undefined || node === '') {
      if (old !== undefined) this.#count(old.refs, old.node, -1);
      this.#pods.delete(key);
      return;
    }
    const refs = refsOf(pod);
    this.#count(refs, node, 1);
    if (old !== undefined) this.#count(old.refs, old.node, -1);
    this.#pods.set(key, { node, refs });
  }

  clear(): void {
    this.#pods.clear();
    this.#users.clear();
  }

  /** Whether a pod on the node uses the object. */
  uses(node: string, kind: RefKind, namespace: string, name: string): boolean {
    return this.#users.get(keyOf(kind, namespace, name))?.has(node) === true;
  }

  #count(refs: ReadonlySet<string>, node: string, by: 1 | -1): void {
    for (const ref of refs) {
      const nodes = this.#users.get(ref) ?? new Map<string, number>();
      const count = (nodes.get(node) ?? 0) + by;
      if (count > 0) nodes.set(node, count);
      else nodes.delete(node);
      if (nodes.size > 0) this.#users.set(ref, nodes);
      else this.#users.delete(ref);
    }
  }
}

/** The graph is loaded when this returns. */
export function feedNodeGraph(cache: WatchCache, graph: NodeGraph) {
  const put = (entry: CachedEntry, present: boolean): void => graph.setPod(entry.key, present ? (entry.object() as Pod) : undefined);
  return follow(cache, '/registry/core/pods/', {
    reset: (entries) => {
      graph.clear();
      for (const entry of entries) put(entry, true);
    },
    apply: (event) => put(event.entry, event.type === 'put'),
  });
}

/** For whom a node may ask for tokens: its pods, and the audiences that these need (plugin/pkg/admission/noderestriction). */
import type { TokenRequest } from '#kube/generated/authentication-v1.ts';
import type { Pod, Volume } from '#kube/generated/core-v1.ts';
import { csiDrivers, persistentVolumeClaims, persistentVolumes, pods } from '#kube/refs.ts';
import { notFound } from '#kube/status-error.ts';
import type { AdmissionRequest, Authorize, ObjectReader } from '../contract.ts';
import { denied, objectAs } from './attributes.ts';

export interface NodeTokenDeps {
  readonly objects: Pick<ObjectReader, 'get'>;
  readonly authorize: Authorize;
}

/** The CSI driver behind a volume of a pod; undefined: there is none, or it cannot be known yet. */
function driverOf({ objects }: NodeTokenDeps, pod: Pod, volume: Volume): string | undefined {
  if (volume.csi !== undefined) return volume.csi.driver;
  const { name = '', namespace = '' } = pod.metadata;
  const claimName = volume.ephemeral === undefined ? volume.persistentVolumeClaim?.claimName : `${name}-${volume.name}`;
  if (claimName === undefined) return undefined;
  const volumeName = objects.get(persistentVolumeClaims, namespace, claimName)?.spec?.volumeName ?? '';
  return volumeName === '' ? undefined : objects.get(persistentVolumes, '', volumeName)?.spec?.csi?.driver;
}

/** The audiences for which a pod has token volumes, or its volumes' drivers want tokens. */
function audiencesOf(deps: NodeTokenDeps, pod: Pod): Set<string> {
  const volumes = pod.spec?.volumes ?? [];
  const projected = volumes
    .flatMap((v) => v.projected?.sources ?? [])
    .flatMap((s) => (s.serviceAccountToken === undefined ? [] : [s.serviceAccountToken.audience ?? '']));
  const drivers = volumes.flatMap((v) => driverOf(deps, pod, v) ?? []);
  const wanted = drivers.flatMap((name) => deps.objects.get(csiDrivers, '', name)?.spec.tokenRequests ?? []);
  return new Set([...projected, ...wanted.map((t) => t.audience)]);
}

/** Nodes may be given the right to ask for an audience by itself (request-serviceaccounts-token-audience). */
async function mayAskFor({ authorize }: NodeTokenDeps, r: AdmissionRequest, audience: string): Promise<boolean> {
  const attributes = {
    user: r.user,
    verb: 'request-serviceaccounts-token-audience',
    resourceRequest: true,
    group: '',
    version: 'v1',
    resource: audience,
    subresource: '',
    namespace: r.namespace,
    name: r.name,
    path: '',
  };
  return (await authorize(attributes, r.signal)).decision === 'allow';
}

/** Rejects with Forbidden unless the token is for a pod of this node and an audience that it needs. */
export async function checkNodeToken(r: AdmissionRequest, node: string, deps: NodeTokenDeps): Promise<void> {
  if (r.operation !== 'CREATE' || r.subresource !== 'token') return;
  const { boundObjectRef: bound, audiences = [] } = objectAs<TokenRequest>(r).spec ?? {};
  if (bound?.apiVersion !== 'v1' || bound.kind !== 'Pod' || !bound.name) throw denied(r, 'node requested token not bound to a pod');
  if (!bound.uid) throw denied(r, 'node requested token with a pod binding without a uid');
  const pod = deps.objects.get(pods, r.namespace, bound.name);
  if (pod === undefined) throw notFound(pods, bound.name);
  if (pod.metadata.uid !== bound.uid) {
    throw denied(
      r,
      `the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (pod.spec?.nodeName !== node) throw denied(r, 'node requested token bound to a pod scheduled on a different node');
  if (audiences.length > 1) throw denied(r, 'node may only request 0 or 1 audiences');
  const audience = audiences[0] ?? '';
  if (audiencesOf(deps, pod).has(audience) || (await mayAskFor(deps, r, audience))) return;
  throw denied(r, `audience "${audience}" not found in pod spec volume`);
}

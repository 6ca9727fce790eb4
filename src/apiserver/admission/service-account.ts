/**
 * Gives a pod its service account, that account's image pull secrets and a volume with a token
 * (k8s.io/kubernetes plugin/pkg/admission/serviceaccount).
 */
import type { Container, Pod, PodSpec, ServiceAccount, Volume, VolumeMount } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { referencedSecrets } from '#kube/pod-references.ts';
import { serviceAccounts } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, isPod, mirrorPodAnnotation, objectAs } from './attributes.ts';

const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
/** Tokens live an hour and a bit: long enough for clients that read them once an hour. */
const tokenSeconds = 3607;
const enforceMountableSecrets = 'kubernetes.io/enforce-mountable-secrets';

export interface ServiceAccountDeps {
  readonly objects: Pick<ObjectReader, 'get'>;
  readonly clock: Clock;
  readonly random: Random;
}

const tokenVolume = (name: string): Volume => ({
  name,
  projected: {
    sources: [
      { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
    ],
    defaultMode: 420,
  },
});

function mounted(container: Container, mount: VolumeMount): Container {
  const mounts = container.volumeMounts ?? [];
  return mounts.some((m) => m.mountPath === tokenMountPath) ? container : { ...container, volumeMounts: [...mounts, mount] };
}

/** The spec with the token volume mounted into every container that has nothing mounted there itself. */
function withToken(spec: PodSpec, suffix: () => string): PodSpec {
  const existing = spec.volumes?.find((v) => v.name.startsWith(volumePrefix))?.name;
  const name = existing ?? `${volumePrefix}${suffix()}`;
  const mount: VolumeMount = { name, readOnly: true, mountPath: tokenMountPath };
  const containers = spec.containers.map((c) => mounted(c, mount));
  const initContainers = spec.initContainers?.map((c) => mounted(c, mount));
  const changed =
    containers.some((c, i) => c !== spec.containers[i]) || (initContainers?.some((c, i) => c !== spec.initContainers?.[i]) ?? false);
  if (!changed) return spec;
  return {
    ...spec,
    containers,
    ...(initContainers === undefined ? {} : { initContainers }),
    ...(existing === undefined ? { volumes: [...(spec.volumes ?? []), tokenVolume(name)] } : {}),
  };
}

/**
 * The account. The default one of a new namespace is waited for, up to a second: it is made by a controller just after the
 * namespace, and clients create both in one go.
 */
async function lookUp(r: AdmissionRequest, name: string, deps: ServiceAccountDeps): Promise<Stored<ServiceAccount>> {
  const attempts = name === 'default' ? 20 : 1;
  for (let i = 0; i < attempts; i++) {
    if (i > 0) await deps.clock.sleep(50, r.signal);
    const account = deps.objects.get(serviceAccounts, r.namespace, name);
    if (account !== undefined) return account;
  }
  throw denied(r, `error looking up service account ${r.namespace}/${name}: serviceaccount "${name}" not found`);
}

function checkMirrorPod(r: AdmissionRequest, spec: PodSpec): void {
  if ((spec.serviceAccountName ?? '') !== '') throw denied(r, 'a mirror pod may not reference service accounts');
  if (referencedSecrets(spec).size > 0) throw denied(r, 'a mirror pod may not reference secrets');
  const projected = spec.volumes?.flatMap((v) => v.projected?.sources ?? []) ?? [];
  if (projected.some((s) => s.serviceAccountToken !== undefined)) {
    throw denied(r, 'a mirror pod may not use ServiceAccountToken volume projections');
  }
}

const isEphemeral = (r: AdmissionRequest): boolean =>
  r.def.ref.group === '' && r.def.ref.plural === 'pods' && r.subresource === 'ephemeralcontainers' && r.operation === 'UPDATE';

/** Refuses secrets in the environment of containers that the account does not list. `what`: "container", "init container". */
function checkEnvironment(
  r: AdmissionRequest,
  what: string,
  list: readonly Container[],
  mountable: ReadonlySet<string>,
  account: string,
): void {
  const why = (name: string): string =>
    `referencing secret.secretName="${name}" is not allowed because service account ${account} does not reference that secret`;
  for (const container of list) {
    for (const env of container.env ?? []) {
      const name = env.valueFrom?.secretKeyRef?.name;
      if (name !== undefined && !mountable.has(name)) throw denied(r, `${what} ${container.name} with envVar ${env.name} ${why(name)}`);
    }
    for (const from of container.envFrom ?? []) {
      const name = from.secretRef?.name;
      if (name !== undefined && !mountable.has(name)) throw denied(r, `${what} ${container.name} with envFrom ${why(name)}`);
    }
  }
}

function checkMountableSecrets(r: AdmissionRequest, spec: PodSpec, account: Stored<ServiceAccount>): void {
  if (account.metadata.annotations?.[enforceMountableSecrets] !== 'true') return;
  const { name: owner } = account.metadata;
  const mountable = new Set((account.secrets ?? []).flatMap((s) => s.name ?? []));
  if (isEphemeral(r)) {
    checkEnvironment(r, 'ephemeral container', (spec.ephemeralContainers ?? []) as readonly Container[], mountable, owner);
    return;
  }
  for (const volume of spec.volumes ?? []) {
    const name = volume.secret?.secretName;
    if (name === undefined || mountable.has(name)) continue;
    throw denied(
      r,
      `volume with secret.secretName="${name}" is not allowed because service account ${owner} does not reference that secret`,
    );
  }
  checkEnvironment(r, 'init container', spec.initContainers ?? [], mountable, owner);
  checkEnvironment(r, 'container', spec.containers, mountable, owner);
  const pullable = new Set(account.imagePullSecrets?.map((s) => s.name));
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    if (pullable.has(name)) continue;
    throw denied(
      r,
      `imagePullSecrets[${i}].name="${name}" is not allowed because service account ${owner} does not reference that imagePullSecret`,
    );
  }
}

export function createServiceAccount(deps: ServiceAccountDeps): AdmissionPlugin {
  const specOf = (r: AdmissionRequest): PodSpec => objectAs<Pod>(r).spec ?? { containers: [] };
  const isMirror = (r: AdmissionRequest): boolean => r.object?.metadata.annotations?.[mirrorPodAnnotation] !== undefined;
  return {
    name: 'ServiceAccount',
    handles: (r) => isPod(r, 'CREATE') || isEphemeral(r),
    admit: async (r) => {
      if (r.object === undefined || isMirror(r) || isEphemeral(r)) return;
      let spec = specOf(r);
      const accountName = spec.serviceAccountName || 'default';
      const account = await lookUp(r, accountName, deps);
      spec = { ...spec, serviceAccountName: accountName, serviceAccount: accountName };
      if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) {
        spec = withToken(spec, () => deps.random.suffix(5));
      }
      if ((spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0) {
        spec = { ...spec, imagePullSecrets: (account.imagePullSecrets ?? []).map((s) => ({ ...s })) };
      }
      r.object['spec'] = spec;
    },
    validate: async (r) => {
      const spec = specOf(r);
      if (isMirror(r)) {
        if (!isEphemeral(r)) checkMirrorPod(r, spec);
        return;
      }
      const name = spec.serviceAccountName ?? '';
      if (name === '') throw denied(r, `no service account specified for pod ${r.namespace}/${r.name}`);
      checkMountableSecrets(r, spec, await lookUp(r, name, deps));
    },
  };
}

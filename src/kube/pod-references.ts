/** Which other objects a pod names (k8s.io/kubernetes pkg/api/pod VisitPodSecretNames and VisitPodConfigmapNames). */
import type { PodSpec } from './generated/core-v1.ts';

const present = (names: readonly (string | undefined)[]): Set<string> =>
  new Set(names.filter((n): n is string => n !== undefined && n !== ''));

const containersOf = (spec: PodSpec) => [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];

export function referencedSecrets(spec: PodSpec): Set<string> {
  const volumes = spec.volumes ?? [];
  return present([
    ...(spec.imagePullSecrets ?? []).map((s) => s.name),
    ...containersOf(spec).flatMap((c) => [
      ...(c.envFrom ?? []).map((e) => e.secretRef?.name),
      ...(c.env ?? []).map((e) => e.valueFrom?.secretKeyRef?.name),
    ]),
    ...volumes.flatMap((v) => [
      v.secret?.secretName,
      v.azureFile?.secretName,
      v.cephfs?.secretRef?.name,
      v.cinder?.secretRef?.name,
      v.flexVolume?.secretRef?.name,
      v.rbd?.secretRef?.name,
      v.scaleIO?.secretRef?.name,
      v.iscsi?.secretRef?.name,
      v.storageos?.secretRef?.name,
      v.csi?.nodePublishSecretRef?.name,
      ...(v.projected?.sources ?? []).map((s) => s.secret?.name),
    ]),
  ]);
}

export function referencedConfigMaps(spec: PodSpec): Set<string> {
  return present([
    ...containersOf(spec).flatMap((c) => [
      ...(c.envFrom ?? []).map((e) => e.configMapRef?.name),
      ...(c.env ?? []).map((e) => e.valueFrom?.configMapKeyRef?.name),
    ]),
    ...(spec.volumes ?? []).flatMap((v) => [v.configMap?.name, ...(v.projected?.sources ?? []).map((s) => s.configMap?.name)]),
  ]);
}

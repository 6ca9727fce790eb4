import type { PodSpec } from '#kube/generated/core-v1.ts';

/** What the checks of a pod's parts need to know of the whole. */
export interface PodContext {
  readonly spec: PodSpec;
  /** True for templates: names that pods get later may be missing. */
  readonly template: boolean;
  readonly volumes: ReadonlySet<string>;
  /** Volumes that are block devices or claims may be used through volumeDevices. */
  readonly claimVolumes: ReadonlySet<string>;
  readonly resourceClaims: ReadonlySet<string>;
}

export const podContext = (spec: PodSpec, template: boolean): PodContext => ({
  spec,
  template,
  volumes: new Set((spec.volumes ?? []).map((v) => v.name)),
  claimVolumes: new Set(
    (spec.volumes ?? []).filter((v) => v.persistentVolumeClaim !== undefined || v.ephemeral !== undefined).map((v) => v.name),
  ),
  resourceClaims: new Set((spec.resourceClaims ?? []).map((c) => c.name)),
});

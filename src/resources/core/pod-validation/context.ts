import type { PodSpec, Volume } from '#kube/generated/core-v1.ts';

/** What the checks of a pod's parts need to know of the whole. */
export interface PodContext {
  readonly spec: PodSpec;
  /** True for templates: names that pods get later may be missing. */
  readonly template: boolean;
  /** The volumes that are right, by name. */
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly resourceClaims: ReadonlySet<string>;
}

export const podContext = (spec: PodSpec, template: boolean, volumes: ReadonlyMap<string, Volume>): PodContext => ({
  spec,
  template,
  volumes,
  resourceClaims: new Set((spec.resourceClaims ?? []).map((c) => c.name).filter((name) => name !== '')),
});

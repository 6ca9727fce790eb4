/** The admission plugins, in the order in which upstream runs them. */
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import type { AdmissionPlugin, ObjectStore } from '../contract.ts';
import { createDefaultTolerationSeconds } from './default-toleration-seconds.ts';
import { createLimitRanger } from './limit-ranger.ts';
import { createNamespaceLifecycle } from './namespace-lifecycle.ts';
import { createNodeRestriction } from './node-restriction.ts';
import { createPodSecurity } from './pod-security.ts';
import { createPriority } from './priority.ts';
import { createResourceQuota } from './resource-quota.ts';
import { createRuntimeClass } from './runtime-class.ts';
import { createServiceAccount } from './service-account.ts';
import {
  createDefaultIngressClass,
  createDefaultStorageClass,
  createPersistentVolumeClaimResize,
  storageObjectInUseProtection,
} from './storage-defaults.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';

export interface AdmissionDeps {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
}

/** The plugins that are on by default. */
export function createAdmissionPlugins(deps: AdmissionDeps): readonly AdmissionPlugin[] {
  const { objects } = deps;
  return [
    createNamespaceLifecycle(objects),
    createLimitRanger(objects),
    createServiceAccount(deps),
    createNodeRestriction(objects),
    taintNodesByCondition,
    createPodSecurity(objects),
    createPriority(objects),
    createDefaultTolerationSeconds(),
    createDefaultStorageClass(objects),
    storageObjectInUseProtection,
    createPersistentVolumeClaimResize(objects),
    createRuntimeClass(objects),
    createDefaultIngressClass(objects),
    createResourceQuota(deps),
  ];
}

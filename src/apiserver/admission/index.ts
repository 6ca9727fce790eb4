/** The admission plugins, in the order in which upstream runs them. */
import { createCel } from '#kube/cel.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import type { AdmissionPlugin, Authorize, ObjectStore } from '../contract.ts';
import type { AdmissionMetrics } from './admission-metrics.ts';
import { createDefaultTolerationSeconds } from './default-toleration-seconds.ts';
import { createLimitRanger } from './limit-ranger.ts';
import { createMutatingAdmissionPolicy } from './mutating-policy.ts';
import { createMutatingWebhooks } from './mutating-webhooks.ts';
import { createNamespaceLifecycle } from './namespace-lifecycle.ts';
import { createNodeRestriction } from './node-restriction.ts';
import { createPodSecurity } from './pod-security.ts';
import { createPodTopologyLabels } from './pod-topology-labels.ts';
import { createPolicyExpressions } from './policy-expressions.ts';
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
import { createValidatingAdmissionPolicy } from './validating-policy.ts';
import { createValidatingWebhooks } from './validating-webhooks.ts';
import { createWebhookCaller, type DialService } from './webhook-client.ts';

export interface AdmissionDeps {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** What `authorizer` in expressions asks. */
  readonly authorize: Authorize;
  /** The way to webhooks that are services of the cluster. */
  readonly dialService: DialService;
  /** Plugins of other parts that stand before webhooks and quota: certificates, escalation. */
  readonly others: readonly AdmissionPlugin[];
  readonly metrics: AdmissionMetrics;
}

/** The plugins that are on by default. */
export function createAdmissionPlugins(deps: AdmissionDeps): readonly AdmissionPlugin[] {
  const { objects, authorize, clock, random, log, metrics } = deps;
  const expressions = { cel: createCel(), objects, authorize };
  const webhooks = { ...expressions, call: createWebhookCaller(deps.dialService), clock, random, log, metrics };
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
    createPodTopologyLabels(objects),
    ...deps.others,
    createPolicyExpressions(expressions),
    createMutatingAdmissionPolicy(expressions),
    createMutatingWebhooks(webhooks),
    createValidatingAdmissionPolicy(expressions),
    createValidatingWebhooks(webhooks),
    createResourceQuota(deps),
  ];
}

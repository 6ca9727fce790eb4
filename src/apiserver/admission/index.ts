/** The admission plugins. */
import { createCel } from '#kube/cel.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import type { AdmissionPlugin, Authorize, ObjectStore } from '../contract.ts';
import type { DialService } from '../dial.ts';
import type { CredentialsFor } from '../webhook-config.ts';
import type { AdmissionMetrics } from './admission-metrics.ts';
import { type AdmissionConfiguration, noAdmissionConfiguration } from './configuration.ts';
import { createDefaultTolerationSeconds, type TolerationSeconds } from './default-toleration-seconds.ts';
import { createEventRateLimit } from './event-rate-limit.ts';
import { createImagePolicyWebhook, type ImagePolicy } from './image-policy.ts';
import { createLimitRanger } from './limit-ranger.ts';
import { createMutatingAdmissionPolicy } from './mutating-policy.ts';
import { createMutatingWebhooks } from './mutating-webhooks.ts';
import { createNamespaceLifecycle } from './namespace-lifecycle.ts';
import { createNodeRestriction } from './node-restriction.ts';
import {
  alwaysAdmit,
  alwaysDeny,
  createNamespaceAutoProvision,
  createNamespaceExists,
  createOwnerReferencesPermissionEnforcement,
  denyServiceExternalIps,
} from './optional-plugins.ts';
import {
  alwaysPullImages,
  createPodNodeSelector,
  createPodTolerationRestriction,
  extendedResourceToleration,
  limitPodHardAntiAffinityTopology,
} from './optional-pods.ts';
import { choosePlugins, type PluginChoice } from './plugin-order.ts';
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
import { createWebhookCaller } from './webhook-client.ts';

export interface AdmissionDeps {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** What `authorizer` in expressions asks. */
  readonly authorize: Authorize;
  /** The way to webhooks that are services of the cluster. */
  readonly dialService: DialService;
  /** Plugins of other parts: certificates, escalation. */
  readonly others: readonly AdmissionPlugin[];
  readonly metrics: AdmissionMetrics;
  /** Which plugins are on; absent: those that are by default. */
  readonly choice?: PluginChoice;
  readonly configuration?: AdmissionConfiguration;
  readonly tolerationSeconds?: TolerationSeconds;
}

/** The plugins that are on, in upstream's order. */
export function createAdmissionPlugins(deps: AdmissionDeps): readonly AdmissionPlugin[] {
  const { objects, authorize, clock, random, log, metrics, configuration = noAdmissionConfiguration } = deps;
  const expressions = { cel: createCel(), objects, authorize };
  const { eventLimits, imagePolicy, mutatingCredentials, validatingCredentials } = configuration;
  const webhooks = (credentials: CredentialsFor | undefined) => ({
    ...expressions,
    call: createWebhookCaller(deps.dialService, clock, credentials),
    clock,
    random,
    log,
    metrics,
  });
  const images = (policy: ImagePolicy): AdmissionPlugin =>
    createImagePolicyWebhook(policy, { call: createWebhookCaller(undefined, clock, () => policy.server), clock, log });
  const all = [
    alwaysAdmit,
    createNamespaceAutoProvision(objects),
    createNamespaceLifecycle(objects),
    createNamespaceExists(objects),
    limitPodHardAntiAffinityTopology,
    createLimitRanger(objects),
    createServiceAccount(deps),
    createNodeRestriction(deps),
    taintNodesByCondition,
    alwaysPullImages,
    ...(imagePolicy === undefined ? [] : [images(imagePolicy)]),
    createPodSecurity(objects, metrics.podSecurity, configuration.podSecurity),
    createPodNodeSelector(objects, configuration.nodeSelectors),
    createPriority(objects),
    createDefaultTolerationSeconds(deps.tolerationSeconds),
    createPodTolerationRestriction(objects),
    ...(eventLimits === undefined ? [] : [createEventRateLimit(eventLimits, clock)]),
    extendedResourceToleration,
    createDefaultStorageClass(objects),
    storageObjectInUseProtection,
    createOwnerReferencesPermissionEnforcement(deps),
    createPersistentVolumeClaimResize(objects),
    createRuntimeClass(objects),
    createDefaultIngressClass(objects),
    denyServiceExternalIps,
    createPodTopologyLabels(objects),
    createPolicyExpressions(expressions),
    createMutatingAdmissionPolicy({ ...expressions, clock, metrics }),
    createMutatingWebhooks(webhooks(mutatingCredentials)),
    createValidatingAdmissionPolicy({ ...expressions, clock, metrics }),
    createValidatingWebhooks(webhooks(validatingCredentials)),
    createResourceQuota(deps),
    alwaysDeny,
    ...deps.others,
  ];
  return choosePlugins(all, deps.choice ?? { enabled: [], disabled: [] });
}

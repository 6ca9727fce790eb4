/** The admission plugins, in the order in which upstream runs them. */
import type { Clock } from '#platform/clock.ts';
import type { Random } from '#platform/random.ts';
import type { AdmissionPlugin, ObjectStore } from '../contract.ts';
import { createDefaultTolerationSeconds } from './default-toleration-seconds.ts';
import { createNamespaceLifecycle } from './namespace-lifecycle.ts';
import { createNodeRestriction } from './node-restriction.ts';
import { createPriority } from './priority.ts';
import { createServiceAccount } from './service-account.ts';
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
    createServiceAccount(deps),
    createNodeRestriction(objects),
    taintNodesByCondition,
    createPriority(objects),
    createDefaultTolerationSeconds(),
  ];
}

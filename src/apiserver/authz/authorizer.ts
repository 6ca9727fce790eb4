/** All authorizers together, and what keeps them current. */
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import { httpsFetch } from '../authn/https-json.ts';
import type { AdmissionPlugin, Authorize, Decision, ObjectStore, ReviewDef } from '../contract.ts';
import type { AuthorizerSpec } from './authorization-config.ts';
import { escalationPlugin } from './escalation.ts';
import { nodeAuthorizer } from './node.ts';
import { feedNodeGraph, NodeGraph } from './node-graph.ts';
import { rbacAuthorizer } from './rbac.ts';
import { feedRbacIndex } from './rbac-feed.ts';
import { RbacIndex } from './rbac-index.ts';
import { createAggregator, reconcileBootstrapPolicy } from './reconcile.ts';
import { accessReviews } from './reviews.ts';
import { webhookAuthorizer } from './webhook.ts';

export const privilegedGroup = 'system:masters';

/** Whoever is in system:masters may do everything, whatever roles say. */
const privileged: Authorize = (attributes) =>
  attributes.user.groups.includes(privilegedGroup) ? { decision: 'allow', reason: '' } : { decision: 'noOpinion', reason: '' };

/** The first that allows or denies decides; else nobody has an opinion, and the reasons are put together. */
export function unionAuthorizer(authorizers: readonly Authorize[]): Authorize {
  const after = async (from: number, pending: Promise<Decision>, reasons: string[], ...ask: Parameters<Authorize>): Promise<Decision> => {
    let decision = await pending;
    for (let i = from; ; i++) {
      if (decision.decision !== 'noOpinion') return decision;
      if (decision.reason !== '') reasons.push(decision.reason);
      const next = authorizers[i];
      if (next === undefined) return { decision: 'noOpinion', reason: reasons.join('\n') };
      decision = await next(...ask);
    }
  };
  return (attributes, signal) => {
    const reasons: string[] = [];
    for (const [i, authorize] of authorizers.entries()) {
      const decision = authorize(attributes, signal);
      // Only webhooks wait: what is decided from memory is decided without a turn of the loop.
      if (decision instanceof Promise) return after(i + 1, decision, reasons, attributes, signal);
      if (decision.decision !== 'noOpinion') return decision;
      if (decision.reason !== '') reasons.push(decision.reason);
    }
    return { decision: 'noOpinion', reason: reasons.join('\n') };
  };
}

export interface Authorization {
  readonly authorize: Authorize;
  /** Writes the bootstrap roles and bindings, and starts to follow changes. */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  /** SubjectAccessReview and its kin. */
  readonly reviews: readonly ReviewDef[];
  /** Refuses giving away rights that one lacks. */
  readonly escalation: AdmissionPlugin;
  /** From now on these are asked. */
  readonly use: (authorizers: readonly AuthorizerSpec[]) => void;
}

export interface AuthorizationDeps {
  readonly cache: WatchCache;
  readonly store: ObjectStore;
  readonly log: Logger;
  readonly clock: Clock;
  /** Who is asked, in order; default: Node, RBAC. */
  readonly authorizers?: readonly AuthorizerSpec[];
}

const defaultAuthorizers: readonly AuthorizerSpec[] = [
  { type: 'Node', name: 'node' },
  { type: 'RBAC', name: 'rbac' },
];

/** `authorize` is usable from the start; `start` makes the bootstrap roles. */
export function createAuthorization(deps: AuthorizationDeps): Authorization {
  const index = new RbacIndex();
  const graph = new NodeGraph();
  const aggregator = createAggregator(index, deps.store, deps.log);
  const rbacFeed = feedRbacIndex(deps.cache, index, aggregator.wake);
  const graphFeed = feedNodeGraph(deps.cache, graph);
  const node = nodeAuthorizer(graph, deps.store);
  const rbac = rbacAuthorizer(index);
  const authorizerOf = (spec: AuthorizerSpec): Authorize => {
    switch (spec.type) {
      case 'Node':
        return node;
      case 'RBAC':
        return rbac;
      case 'AlwaysAllow':
        return () => ({ decision: 'allow', reason: '' });
      case 'AlwaysDeny':
        return () => ({ decision: 'noOpinion', reason: 'Everything is forbidden.' });
      case 'Webhook':
        return webhookAuthorizer(spec.webhook, { clock: deps.clock, log: deps.log, fetch: httpsFetch });
    }
  };
  const union = (specs: readonly AuthorizerSpec[]): Authorize => unionAuthorizer([privileged, ...specs.map(authorizerOf)]);
  let current = union(deps.authorizers ?? defaultAuthorizers);
  const authorize: Authorize = (attributes, signal) => current(attributes, signal);
  const tasks = new TaskGroup();
  return {
    authorize,
    use: (specs) => {
      current = union(specs);
    },
    start: async () => {
      tasks.spawn(rbacFeed.run);
      tasks.spawn(graphFeed.run);
      await reconcileBootstrapPolicy(deps.store);
      tasks.spawn(aggregator.run);
    },
    stop: () => tasks.close(),
    reviews: accessReviews(authorize, index),
    escalation: escalationPlugin(authorize, index),
  };
}

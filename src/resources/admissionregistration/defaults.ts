import type { MatchResources, RuleWithOperations, WebhookClientConfig } from '#kube/generated/admissionregistration-v1.ts';
import type { Mutable } from '../define.ts';

const ruleDefaults = (rules: readonly Mutable<RuleWithOperations>[] | undefined): void => {
  for (const rule of rules ?? []) rule.scope ??= '*';
};

interface Webhook {
  failurePolicy?: string;
  matchPolicy?: string;
  namespaceSelector?: object;
  objectSelector?: object;
  timeoutSeconds?: number;
  rules?: Mutable<RuleWithOperations>[];
  clientConfig: Mutable<WebhookClientConfig>;
}

/** Defaults of a validating or mutating webhook. */
export function webhookDefaults(webhook: Webhook): void {
  webhook.failurePolicy ??= 'Fail';
  webhook.matchPolicy ??= 'Equivalent';
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  ruleDefaults(webhook.rules);
  if (webhook.clientConfig.service !== undefined) webhook.clientConfig.service.port ??= 443;
}

/** Defaults of what an admission policy or its binding matches. */
export function matchResourcesDefaults(match: Mutable<MatchResources> | undefined): void {
  if (match === undefined) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  ruleDefaults(match.resourceRules);
  ruleDefaults(match.excludeResourceRules);
}

/** Webhook configurations: pkg/apis/admissionregistration/validation. */
import type { MatchCondition, RuleWithOperations, WebhookClientConfig } from '#kube/generated/admissionregistration-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { optionalOneOf } from '#kube/validation/values.ts';
import { webhookService, webhookUrl } from '#kube/validation/webhook-client.ts';
import { conditionErrors } from './policies.ts';
import { ruleErrors } from './rules.ts';

interface Webhook {
  readonly name: string;
  readonly clientConfig: WebhookClientConfig;
  readonly rules?: readonly RuleWithOperations[];
  readonly failurePolicy?: string;
  readonly matchPolicy?: string;
  readonly sideEffects?: string;
  readonly timeoutSeconds?: number;
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly admissionReviewVersions: readonly string[];
  readonly reinvocationPolicy?: string;
  readonly matchConditions?: readonly MatchCondition[];
}

/** How a webhook is reached: by URL or by service. */
export function webhookClient(field: string, config: WebhookClientConfig): FieldError[] {
  const { url, service } = config;
  if ((url === undefined) === (service === undefined)) return [fieldRequired(field, 'exactly one of url or service is required')];
  if (url !== undefined) return webhookUrl(`${field}.url`, url);
  return service === undefined ? [] : webhookService(`${field}.service`, service);
}

function webhookName(field: string, name: string): FieldError[] {
  if (name === '') return [fieldRequired(field)];
  const errors = fieldProblems(field, name, isDns1123Subdomain(name));
  if (errors.length === 0 && name.split('.').length < 3)
    errors.push(fieldInvalid(field, name, 'should be a domain with at least three segments separated by dots'));
  return errors;
}

function webhook(field: string, hook: Webhook): FieldError[] {
  const errors = webhookName(`${field}.name`, hook.name);
  for (const [i, r] of (hook.rules ?? []).entries()) errors.push(...ruleErrors(`${field}.rules[${i}]`, r));
  errors.push(
    ...optionalOneOf(`${field}.failurePolicy`, hook.failurePolicy, ['Fail', 'Ignore']),
    ...optionalOneOf(`${field}.matchPolicy`, hook.matchPolicy, ['Equivalent', 'Exact']),
  );
  const sideEffects = ['None', 'NoneOnDryRun'];
  if (hook.sideEffects === undefined) errors.push(fieldRequired(`${field}.sideEffects`, `must specify one of ${sideEffects.join(', ')}`));
  else errors.push(...optionalOneOf(`${field}.sideEffects`, hook.sideEffects, sideEffects));
  const seconds = hook.timeoutSeconds;
  if (seconds !== undefined && (seconds > 30 || seconds < 1)) {
    errors.push(fieldInvalid(`${field}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'));
  }
  const versions = hook.admissionReviewVersions;
  if (versions.length === 0) errors.push(fieldRequired(`${field}.admissionReviewVersions`, 'must specify one of v1, v1beta1'));
  else if (!versions.some((v) => v === 'v1' || v === 'v1beta1')) {
    errors.push(fieldInvalid(`${field}.admissionReviewVersions`, versions, 'must include at least one of v1, v1beta1'));
  }
  return [
    ...errors,
    ...labelSelector(`${field}.namespaceSelector`, hook.namespaceSelector),
    ...labelSelector(`${field}.objectSelector`, hook.objectSelector),
    ...webhookClient(`${field}.clientConfig`, hook.clientConfig),
    ...conditionErrors(`${field}.matchConditions`, hook.matchConditions),
    ...optionalOneOf(`${field}.reinvocationPolicy`, hook.reinvocationPolicy, ['IfNeeded', 'Never']),
  ];
}

export function validateWebhooks(object: { readonly webhooks?: readonly Webhook[] }): FieldError[] {
  const names = new Set<string>();
  return (object.webhooks ?? []).flatMap((hook, i) => {
    const at = `webhooks[${i}]`;
    const errors = webhook(at, hook);
    if (names.has(hook.name)) errors.push(fieldDuplicate(`${at}.name`, hook.name));
    names.add(hook.name);
    return errors;
  });
}

/** Validating admission webhooks (k8s.io/apiserver pkg/admission/plugin/webhook/validating): all that want a request at the same time. */
import type { ValidatingWebhook } from '#kube/generated/admissionregistration-v1.ts';
import { validatingWebhookConfigurations } from '#kube/refs.ts';
import type { AdmissionPlugin } from '../contract.ts';
import { isExempt } from './match.ts';
import type { VersionedRequest } from './versions.ts';
import { refusal } from './webhook-answer.ts';
import { createHookCaller, type Hook, hooksOf, type WebhookDeps } from './webhooks.ts';

export function createValidatingWebhooks(deps: WebhookDeps): AdmissionPlugin {
  const caller = createHookCaller(deps, 'validating');
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: (r) => !isExempt(r),
    validate: async (r) => {
      const wanted: { readonly hook: Hook; readonly v: VersionedRequest }[] = [];
      for (const hook of hooksOf<ValidatingWebhook>(deps.objects, validatingWebhookConfigurations)) {
        const v = await caller.wants(hook, r);
        if (v !== undefined) wanted.push({ hook, v });
      }
      const results = await Promise.allSettled(
        wanted.map(({ hook, v }, i) =>
          caller.attempt(
            hook,
            r,
            async () => {
              const verdict = await caller.ask(hook, v);
              if (!verdict.allowed) throw refusal(hook.webhook.name, verdict.status);
            },
            () => r.audit(`failed-open.validating.webhook.admission.k8s.io/round_0_index_${i}`, hook.webhook.name),
          ),
        ),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    },
  };
}

import { mutatingWebhookConfigurations } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { webhookDefaults } from './defaults.ts';
import { webhooksTable } from './table.ts';
import { validateWebhooks } from './validation.ts';

export const mutatingWebhookConfigurationKind = defineKind(mutatingWebhookConfigurations, {
  validate: validateWebhooks,
  generation: 'spec',
  unconditionalUpdate: false,
  defaults: (object) => {
    for (const webhook of object.webhooks ?? []) {
      webhookDefaults(webhook);
      webhook.reinvocationPolicy ??= 'Never';
    }
  },
  table: webhooksTable,
});

import { validatingWebhookConfigurations } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const validatingWebhookConfigurationKind = defineKind(validatingWebhookConfigurations, {
  generation: 'spec',
  unconditionalUpdate: false,
});

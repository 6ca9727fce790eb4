import { mutatingWebhookConfigurations } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const mutatingWebhookConfigurationKind = defineKind(mutatingWebhookConfigurations, {
  generation: 'spec',
  unconditionalUpdate: false,
});

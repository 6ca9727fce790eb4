import { customResourceDefinitions } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const customResourceDefinitionKind = defineKind(customResourceDefinitions, {
  hasStatus: true,
  generation: 'spec',
  unconditionalUpdate: false,
});

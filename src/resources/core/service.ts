import { services } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const serviceKind = defineKind(services, {
  hasStatus: true,
  createOnUpdate: true,
  nameFormat: 'label1035',
  subresources: ['proxy'],
});

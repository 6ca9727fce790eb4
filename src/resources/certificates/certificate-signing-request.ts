import { certificateSigningRequests } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const certificateSigningRequestKind = defineKind(certificateSigningRequests, {
  hasStatus: true,
  createOnUpdate: true,
  subresources: ['approval'],
});

import { localSubjectAccessReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { validateLocalAccessReview } from './validation.ts';

export const localSubjectAccessReviewKind = defineKind(localSubjectAccessReviews, {
  validate: validateLocalAccessReview,
  verbs: ['create'],
  ephemeral: true,
});

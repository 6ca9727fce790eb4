import { selfSubjectAccessReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { validateSelfAccessReview } from './validation.ts';

export const selfSubjectAccessReviewKind = defineKind(selfSubjectAccessReviews, {
  validate: validateSelfAccessReview,
  verbs: ['create'],
  ephemeral: true,
});

import { subjectAccessReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { validateAccessReview } from './validation.ts';

export const subjectAccessReviewKind = defineKind(subjectAccessReviews, {
  validate: validateAccessReview,
  verbs: ['create'],
  ephemeral: true,
});

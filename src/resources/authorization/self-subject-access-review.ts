import { selfSubjectAccessReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const selfSubjectAccessReviewKind = defineKind(selfSubjectAccessReviews, { verbs: ['create'], ephemeral: true });

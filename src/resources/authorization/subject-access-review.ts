import { subjectAccessReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const subjectAccessReviewKind = defineKind(subjectAccessReviews, { verbs: ['create'], ephemeral: true });

import { selfSubjectReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const selfSubjectReviewKind = defineKind(selfSubjectReviews, { verbs: ['create'], ephemeral: true });

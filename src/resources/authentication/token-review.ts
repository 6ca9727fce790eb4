import { tokenReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const tokenReviewKind = defineKind(tokenReviews, { verbs: ['create'], ephemeral: true });

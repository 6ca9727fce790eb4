import { selfSubjectRulesReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const selfSubjectRulesReviewKind = defineKind(selfSubjectRulesReviews, { verbs: ['create'], ephemeral: true });

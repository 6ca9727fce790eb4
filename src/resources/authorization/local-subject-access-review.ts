import { localSubjectAccessReviews } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const localSubjectAccessReviewKind = defineKind(localSubjectAccessReviews, { verbs: ['create'], ephemeral: true });

import { resourceClaimTemplates } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const resourceClaimTemplateKind = defineKind(resourceClaimTemplates);

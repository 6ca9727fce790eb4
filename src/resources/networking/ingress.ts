import { ingresses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const ingressKind = defineKind(ingresses, { hasStatus: true, generation: 'spec' });

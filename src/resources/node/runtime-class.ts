import { runtimeClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const runtimeClassKind = defineKind(runtimeClasses, { unconditionalUpdate: false });

import { storageClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const storageClassKind = defineKind(storageClasses);

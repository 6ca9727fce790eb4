import { volumeAttributesClasses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const volumeAttributesClassKind = defineKind(volumeAttributesClasses);

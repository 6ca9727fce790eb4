import { configMaps } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const configMapKind = defineKind(configMaps);

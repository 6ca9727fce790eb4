import { persistentVolumes } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const persistentVolumeKind = defineKind(persistentVolumes, { hasStatus: true });

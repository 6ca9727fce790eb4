import { persistentVolumeClaims } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const persistentVolumeClaimKind = defineKind(persistentVolumeClaims, { hasStatus: true });

import { controllerRevisions } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const controllerRevisionKind = defineKind(controllerRevisions);

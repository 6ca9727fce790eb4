import { secrets } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const secretKind = defineKind(secrets);

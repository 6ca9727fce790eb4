import { events1 } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const eventKind = defineKind(events1, { durability: 'lazy', ttlSeconds: 3600, createOnUpdate: true });

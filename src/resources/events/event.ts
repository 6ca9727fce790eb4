import { events } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { eventFromCore, eventToCore } from './convert.ts';

/** The newer view of an event: stored as core/v1. */
export const eventKind = defineKind(events, {
  durability: 'lazy',
  ttlSeconds: 3600,
  createOnUpdate: true,
  storage: { group: '', plural: 'events', version: 'v1' },
  convert: { fromStored: eventFromCore, toStored: eventToCore },
});

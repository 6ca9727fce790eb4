import type { Event as CoreEvent } from '#kube/generated/core-v1.ts';
import type { Event } from '#kube/generated/events-v1.ts';
import type { Draft } from '#kube/kind.ts';
import { events } from '#kube/refs.ts';
import { eventTable } from '../core/event-table.ts';
import { defineKind } from '../define.ts';
import { eventFromCore, eventToCore } from './convert.ts';

const regarding =
  (field: keyof NonNullable<Event['regarding']>) =>
  (event: Event): string =>
    event.regarding?.[field] ?? '';

/** The newer view of an event: stored as core/v1. */
export const eventKind = defineKind(events, {
  durability: 'lazy',
  ttlSeconds: 3600,
  createOnUpdate: true,
  storage: { group: '', plural: 'events', version: 'v1' },
  convert: { fromStored: eventFromCore, toStored: eventToCore },
  selectableFields: {
    'regarding.kind': regarding('kind'),
    'regarding.namespace': regarding('namespace'),
    'regarding.name': regarding('name'),
    'regarding.uid': regarding('uid'),
    'regarding.apiVersion': regarding('apiVersion'),
    'regarding.resourceVersion': regarding('resourceVersion'),
    'regarding.fieldPath': regarding('fieldPath'),
    reason: (event) => event.reason ?? '',
    reportingController: (event) => event.reportingController ?? '',
    type: (event) => event.type ?? '',
  },
  table: {
    columns: eventTable.columns,
    cells: (event, now) => eventTable.cells(eventToCore(event as unknown as Draft) as unknown as CoreEvent, now),
  },
});

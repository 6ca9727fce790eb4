import type { Event } from '#kube/generated/core-v1.ts';
import { events1 } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { validateEvent } from './endpoints-validation.ts';
import { eventTable } from './event-table.ts';

const involved =
  (field: keyof Event['involvedObject']) =>
  (event: Event): string =>
    event.involvedObject[field] ?? '';

export const eventKind = defineKind(events1, {
  validate: validateEvent,
  durability: 'lazy',
  ttlSeconds: 3600,
  createOnUpdate: true,
  selectableFields: {
    'involvedObject.kind': involved('kind'),
    'involvedObject.namespace': involved('namespace'),
    'involvedObject.name': involved('name'),
    'involvedObject.uid': involved('uid'),
    'involvedObject.apiVersion': involved('apiVersion'),
    'involvedObject.resourceVersion': involved('resourceVersion'),
    'involvedObject.fieldPath': involved('fieldPath'),
    reason: (event) => event.reason ?? '',
    reportingComponent: (event) => event.reportingComponent ?? '',
    source: (event) => event.source?.component || event.reportingComponent || '',
    type: (event) => event.type ?? '',
  },
  table: eventTable,
});

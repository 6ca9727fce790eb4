import type { Event } from '#kube/generated/core-v1.ts';
import type { TableDef } from '#kube/kind.ts';
import { column, nameColumn, since, wideColumn } from '../print.ts';

/** `component, instance` of whoever reported the event. */
function source(event: Event): string {
  const component = event.source?.component || event.reportingComponent || '';
  const instance = event.source?.host || event.reportingInstance || '';
  return instance === '' ? component : `${component}, ${instance}`;
}

export const eventTable: TableDef<Event> = {
  columns: [
    column('Last Seen', 'The time at which the most recent occurrence of this event was recorded.'),
    column('Type', 'Type of this event (Normal, Warning).'),
    column('Reason', 'A short, machine-understandable string that gives the reason for the event.'),
    column('Object', 'The object that this event is about.'),
    wideColumn('Subobject', 'The part of the object that this event is about.'),
    wideColumn('Source', 'The component that reported the event.'),
    column('Message', 'A human-readable description.'),
    wideColumn('First Seen', 'The time at which the event was first recorded.'),
    wideColumn('Count', 'The number of times this event has occurred.', 'integer'),
    { ...nameColumn, priority: 1 },
  ],
  cells: (event, now) => {
    const first = since(event.firstTimestamp ?? event.eventTime, now);
    const last = event.series?.lastObservedTime ?? event.lastTimestamp;
    const { kind = '', name = '' } = event.involvedObject;
    return [
      last === undefined ? first : since(last, now),
      event.type ?? '',
      event.reason ?? '',
      name === '' ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`,
      event.involvedObject.fieldPath ?? '',
      source(event),
      (event.message ?? '').trim(),
      first,
      event.series?.count ?? (event.count || 1),
      event.metadata.name ?? '',
    ];
  },
};

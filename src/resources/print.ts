/** Parts of table columns and cells, in the forms of kubectl (k8s.io/kubernetes pkg/printers/internalversion). */

import type { Container } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import { humanDuration } from '#kube/human-duration.ts';
import type { ColumnDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { formatLabelSelector, fromLabelSelector } from '#kube/selector.ts';

type ColumnType = ColumnDef['type'];

/** A column that is always shown. */
export const column = (name: string, description: string, type: ColumnType = 'string'): ColumnDef => ({
  name,
  type,
  description,
  priority: 0,
});

/** A column of `-o wide`. */
export const wideColumn = (name: string, description: string, type: ColumnType = 'string'): ColumnDef => ({
  name,
  type,
  description,
  priority: 1,
});

export const nameColumn: ColumnDef = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
};

export const ageColumn = column('Age', 'Time since the object was created, by the clock of the server.');
export const containerColumns: readonly ColumnDef[] = [
  wideColumn('Containers', 'Names of each container in the template.'),
  wideColumn('Images', 'Images referenced by each container in the template.'),
];
export const selectorColumn = wideColumn('Selector', 'Label selector for pods.');

/** The time since a timestamp; `<unknown>` where there is none. */
export const since = (time: string | undefined, now: Date): string =>
  time === undefined || time === '' ? '<unknown>' : humanDuration(now.getTime() - Date.parse(time));

export const ageOf = (object: KubeObject, now: Date): string => since(object.metadata.creationTimestamp, now);

export const orNone = (text: string | undefined): string => (text === undefined || text === '' ? '<none>' : text);
export const orUnset = (text: string | undefined): string => (text === undefined || text === '' ? '<unset>' : text);

/** `a=b,c=d` in key order, `<none>` for no labels. */
export const formatLabels = (labels: Readonly<Record<string, string>> | undefined): string =>
  orNone(
    Object.keys(labels ?? {})
      .sort()
      .map((key) => `${key}=${labels?.[key]}`)
      .join(','),
  );

/** A label selector as text; `<none>` where it selects everything or is absent. */
export function formatSelector(selector: LabelSelector | undefined): string {
  try {
    const parsed = fromLabelSelector(selector);
    return orNone(parsed === undefined ? '' : formatLabelSelector(parsed));
  } catch {
    return '<error>';
  }
}

/** Names and images of containers, each joined by commas. */
export const containerCells = (containers: readonly Container[] | undefined): [string, string] => [
  (containers ?? []).map((c) => c.name).join(','),
  (containers ?? []).map((c) => c.image ?? '').join(','),
];

/** At most `max` entries, and how many more there are. */
export function listWithMore(list: readonly string[], max: number): string {
  const shown = list.slice(0, max).join(',');
  return list.length > max ? `${shown} + ${list.length - max} more...` : shown;
}

/** True, False or `<unset>`. */
export const boolText = (value: boolean | undefined): string => (value === undefined ? '<unset>' : value ? 'True' : 'False');

export { humanDuration };

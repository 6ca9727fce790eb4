/** The two views of one event: core/v1, which is stored, and events.k8s.io/v1. */
import type { Draft } from '#kube/kind.ts';

/** events.k8s.io name → core name; other fields are called the same in both. */
const names: Readonly<Record<string, string>> = {
  regarding: 'involvedObject',
  note: 'message',
  reportingController: 'reportingComponent',
  deprecatedSource: 'source',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedCount: 'count',
};
const reversed = Object.fromEntries(Object.entries(names).map(([from, to]) => [to, from]));

const renamed = (object: Draft, table: Readonly<Record<string, string>>, apiVersion: string): Draft =>
  ({ ...Object.fromEntries(Object.entries(object).map(([field, value]) => [table[field] ?? field, value])), apiVersion }) as Draft;

/** From events.k8s.io/v1 to core/v1. */
export const eventToCore = (object: Draft): Draft => renamed(object, names, 'v1');

/** From core/v1 to events.k8s.io/v1. */
export const eventFromCore = (object: Draft): Draft => renamed(object, reversed, 'events.k8s.io/v1');

import { apiServices } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateApiService } from './validation.ts';

export const apiServiceKind = defineKind(apiServices, {
  validate: validateApiService,
  hasStatus: true,
  unconditionalUpdate: false,
  defaults: (object) => {
    if (object.spec?.service !== undefined) object.spec.service.port ??= 443;
  },
  prepareForCreate: (object, { now }) => {
    if (object.spec?.service !== undefined) return;
    const lastTransitionTime = now.toISOString().replace(/\.\d+Z$/, 'Z');
    const message = 'Local APIServices are always available';
    object.status = { conditions: [{ type: 'Available', status: 'True', reason: 'Local', message, lastTransitionTime }] };
  },
  table: {
    columns: [
      nameColumn,
      column('Service', 'The service that serves the group and version.'),
      column('Available', 'Whether it answers.'),
      ageColumn,
    ],
    cells: (object, now) => {
      const service = object.spec?.service;
      const available = object.status?.conditions?.find((c) => c.type === 'Available');
      const text =
        available === undefined ? 'Unknown' : available.status === 'True' ? 'True' : `${available.status} (${available.reason ?? ''})`;
      return [
        object.metadata.name ?? '',
        service === undefined ? 'Local' : `${service.namespace ?? ''}/${service.name ?? ''}`,
        text,
        ageOf(object, now),
      ];
    },
  },
});

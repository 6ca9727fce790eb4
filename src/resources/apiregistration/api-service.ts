import type { APIService } from '#kube/generated/apiregistration-v1.ts';
import { apiServices } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, nameColumn } from '../print.ts';
import { validateApiService, validateApiServiceStatus } from './validation.ts';

export const apiServiceKind = defineKind(apiServices, {
  // The legacy group's is called "v1."; the rest of the name's rules is in the validation.
  nameFormat: 'path',
  validate: validateApiService,
  validateStatusUpdate: validateApiServiceStatus,
  hasStatus: true,
  statusKeepsMetadata: 'all',
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
      column('Service', 'The reference to the service that hosts this API endpoint.'),
      column('Available', 'Whether this service is available.'),
      ageColumn,
    ],
    cells: (object, now) => {
      const service = object.spec?.service;
      return [
        object.metadata.name ?? '',
        service === undefined ? 'Local' : `${service.namespace ?? ''}/${service.name ?? ''}`,
        availability(object),
        ageOf(object, now),
      ];
    },
  },
});

/** kube-aggregator pkg/registry/apiservice/etcd: the reason only where it is not available. */
function availability(object: APIService): string {
  const available = object.status?.conditions?.find((c) => c.type === 'Available');
  if (available === undefined) return 'Unknown';
  const { status, reason = '' } = available;
  return status === 'True' || reason === '' ? status : `${status} (${reason})`;
}

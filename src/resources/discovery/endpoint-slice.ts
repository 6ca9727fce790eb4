import type { Endpoint, EndpointPort } from '#kube/generated/discovery-v1.ts';
import { endpointSlices } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, listWithMore, nameColumn } from '../print.ts';
import { endpointSliceWarnings, validateEndpointSlice, validateEndpointSliceUpdate } from './validation.ts';

const portsText = (ports: readonly EndpointPort[]): string =>
  ports.length === 0
    ? '<unset>'
    : listWithMore(
        ports.map((p) => p.port?.toString() ?? (p.name || '*')),
        3,
      );

const endpointsText = (endpoints: readonly Endpoint[]): string =>
  endpoints.length === 0
    ? '<unset>'
    : listWithMore(
        endpoints.flatMap((e) => e.addresses),
        3,
      );

export const endpointSliceKind = defineKind(endpointSlices, {
  warnings: endpointSliceWarnings,
  validate: validateEndpointSlice,
  validateUpdate: validateEndpointSliceUpdate,
  generation: 'spec',
  defaults: (object) => {
    for (const port of object.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  table: {
    columns: [
      nameColumn,
      column('AddressType', 'The type of the addresses.'),
      column('Ports', 'The ports of every endpoint.'),
      column('Endpoints', 'The addresses of the endpoints.'),
      ageColumn,
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      object.addressType,
      portsText(object.ports ?? []),
      endpointsText(object.endpoints ?? []),
      ageOf(object, now),
    ],
  },
});

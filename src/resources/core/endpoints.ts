import type { Endpoints } from '#kube/generated/core-v1.ts';
import { endpoints } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { ageColumn, ageOf, column, listWithMore, nameColumn, orNone } from '../print.ts';
import { endpointsWarnings, validateEndpoints } from './endpoints-validation.ts';

const hostPort = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);

function addresses(object: Endpoints): string {
  const list: string[] = [];
  for (const subset of object.subsets ?? []) {
    const ips = (subset.addresses ?? []).map((a) => a.ip);
    const ports = subset.ports ?? [];
    if (ports.length === 0) list.push(...ips);
    for (const port of ports) list.push(...ips.map((ip) => hostPort(ip, port.port)));
  }
  return orNone(listWithMore(list, 3));
}

export const endpointsKind = defineKind(endpoints, {
  deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  warnings: endpointsWarnings,
  validate: (object) => validateEndpoints(object),
  validateUpdate: (object, old) => validateEndpoints(object, old),
  createOnUpdate: true,
  defaults: (object) => {
    for (const subset of object.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
  },
  table: {
    columns: [nameColumn, column('Endpoints', 'Addresses and ports that are ready.'), ageColumn],
    cells: (object, now) => [object.metadata.name ?? '', addresses(object), ageOf(object, now)],
  },
});

import { isIPv4, isIPv6 } from 'node:net';
import type { Endpoint, EndpointPort, EndpointSlice } from '#kube/generated/discovery-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldProblems, fieldRequired, fieldTooMany } from '#kube/validation/field-error.ts';
import { dnsLabel, immutable, oneOf, optionalOneOf, portNumber, qualifiedName } from '#kube/validation/values.ts';

const limits = { endpoints: 1000, addresses: 100, ports: 20000 };

function addressProblems(type: string, address: string): string[] {
  if (type === 'FQDN') return isDns1123Subdomain(address);
  const fits = type === 'IPv4' ? isIPv4(address) : isIPv6(address);
  if (fits) return [];
  return [type === 'IPv4' ? 'must be a valid IPv4 address' : 'must be a valid IPv6 address'];
}

function endpoint(field: string, value: Endpoint, type: string): FieldError[] {
  const { addresses } = value;
  const errors: FieldError[] = [];
  if (addresses.length === 0) errors.push(fieldRequired(`${field}.addresses`, 'must contain at least 1 address'));
  else if (addresses.length > limits.addresses) errors.push(fieldTooMany(`${field}.addresses`, addresses.length, limits.addresses));
  for (const [i, address] of addresses.entries()) {
    errors.push(...fieldProblems(`${field}.addresses[${i}]`, address, addressProblems(type, address)));
  }
  if (value.hostname !== undefined) errors.push(...dnsLabel(`${field}.hostname`, value.hostname));
  return errors;
}

function ports(field: string, list: readonly EndpointPort[]): FieldError[] {
  if (list.length > limits.ports) return [fieldTooMany(field, list.length, limits.ports)];
  const names = new Set<string>();
  return list.flatMap((p, i) => {
    const at = `${field}[${i}]`;
    const name = p.name ?? '';
    const errors = name === '' ? [] : dnsLabel(`${at}.name`, name);
    if (names.has(name)) errors.push(fieldDuplicate(`${at}.name`, name));
    names.add(name);
    errors.push(...optionalOneOf(`${at}.protocol`, p.protocol, ['SCTP', 'TCP', 'UDP']));
    if (p.port !== undefined) errors.push(...portNumber(`${at}.port`, p.port));
    if (p.appProtocol !== undefined) errors.push(...qualifiedName(`${at}.appProtocol`, p.appProtocol));
    return errors;
  });
}

export function validateEndpointSlice(object: EndpointSlice): FieldError[] {
  const errors = oneOf('addressType', object.addressType, ['FQDN', 'IPv4', 'IPv6']);
  if (errors.length > 0) return errors;
  const list = object.endpoints ?? [];
  if (list.length > limits.endpoints) return [fieldTooMany('endpoints', list.length, limits.endpoints)];
  return [...list.flatMap((e, i) => endpoint(`endpoints[${i}]`, e, object.addressType)), ...ports('ports', object.ports ?? [])];
}

export const validateEndpointSliceUpdate = (object: EndpointSlice, old: EndpointSlice): FieldError[] => [
  ...validateEndpointSlice(object),
  ...immutable('addressType', object.addressType, old.addressType),
];

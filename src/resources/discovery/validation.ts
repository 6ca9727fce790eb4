/** EndpointSlices: pkg/apis/discovery/validation. */
import type { Endpoint, EndpointHints, EndpointPort, EndpointSlice } from '#kube/generated/discovery-v1.ts';
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { ipAddress, ipFamily, ipWarnings, ordinaryIp } from '#kube/validation/addresses.ts';
import { fieldDuplicate, fieldInvalid, fieldProblems, fieldRequired, fieldTooMany } from '#kube/validation/field-error.ts';
import { dnsLabel, dnsSubdomain, immutable, labels, oneOf, optionalOneOf, portNumber, qualifiedName } from '#kube/validation/values.ts';

const limits = { endpoints: 1000, addresses: 100, ports: 20000, topologyLabels: 16, hints: 8 };

function domain(field: string, text: string): FieldError[] {
  if (text === '') return [fieldRequired(field)];
  const name = text.replace(/\.$/, '');
  const problems = isDns1123Subdomain(name);
  if (problems.length > 0) return [fieldInvalid(field, name, problems.join(','))];
  const parts = name.split('.');
  if (parts.length < 2) return [fieldInvalid(field, name, 'should be a domain with at least two segments separated by dots')];
  return parts.flatMap((part) => {
    const wrong = isDns1123Label(part);
    return wrong.length > 0 ? [fieldInvalid(field, part, wrong.join(','))] : [];
  });
}

function address(field: string, type: string, text: string, known: readonly string[]): FieldError[] {
  if (type === 'FQDN') return domain(field, text);
  const errors = ipAddress(field, text, known);
  if (errors.length > 0) return errors;
  const fits = ipFamily(text) === (type === 'IPv4' ? 4 : 6);
  return [...(fits ? [] : [fieldInvalid(field, text, `must be an ${type} address`)]), ...ordinaryIp(field, text)];
}

function hinted(field: string, list: readonly { readonly name: string }[] | undefined): FieldError[] {
  const names = (list ?? []).map(({ name }) => name);
  if (names.length > limits.hints) return [fieldTooMany(field, names.length, limits.hints)];
  return names.flatMap((name, i) => {
    const at = `${field}[${i}].name`;
    return [...(names.indexOf(name) < i ? [fieldDuplicate(at, name)] : []), ...fieldProblems(at, name, isQualifiedName(name))];
  });
}

const hints = (field: string, value: EndpointHints | undefined): FieldError[] => [
  ...hinted(`${field}.forZones`, value?.forZones),
  ...hinted(`${field}.forNodes`, value?.forNodes),
];

function endpoint(field: string, value: Endpoint, type: string, known: readonly string[]): FieldError[] {
  const { addresses, deprecatedTopology: topology, hostname, nodeName } = value;
  const errors: FieldError[] = [];
  const at = `${field}.addresses`;
  if (addresses.length === 0) errors.push(fieldRequired(at, 'must contain at least 1 address'));
  else if (addresses.length > limits.addresses) errors.push(fieldTooMany(at, addresses.length, limits.addresses));
  for (const [i, text] of addresses.entries()) errors.push(...address(`${at}[${i}]`, type, text, known));
  if (nodeName !== undefined) errors.push(...dnsSubdomain(`${field}.nodeName`, nodeName));
  const size = Object.keys(topology ?? {}).length;
  if (size > limits.topologyLabels) errors.push(fieldTooMany(`${field}.deprecatedTopology`, size, limits.topologyLabels));
  errors.push(...labels(`${field}.deprecatedTopology`, topology));
  if (hostname !== undefined) errors.push(...dnsLabel(`${field}.hostname`, hostname));
  return [...errors, ...hints(`${field}.hints`, value.hints)];
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

function slice(object: EndpointSlice, known: readonly string[]): FieldError[] {
  const errors = oneOf('addressType', object.addressType, ['FQDN', 'IPv4', 'IPv6']);
  if (errors.length > 0) return errors;
  const list = object.endpoints ?? [];
  if (list.length > limits.endpoints) return [fieldTooMany('endpoints', list.length, limits.endpoints)];
  return [...list.flatMap((e, i) => endpoint(`endpoints[${i}]`, e, object.addressType, known)), ...ports('ports', object.ports ?? [])];
}

export const validateEndpointSlice = (object: EndpointSlice): FieldError[] => slice(object, []);

/** Addresses that the slice has had stay right. */
export const validateEndpointSliceUpdate = (object: EndpointSlice, old: EndpointSlice): FieldError[] => [
  ...slice(
    object,
    (old.endpoints ?? []).flatMap((e) => e.addresses),
  ),
  ...immutable('addressType', object.addressType, old.addressType),
];

const controllers = new Set(['endpointslice-controller.k8s.io', 'endpointslicemirroring-controller.k8s.io']);
const managedBy = 'endpointslice.kubernetes.io/managed-by';

export function endpointSliceWarnings(object: EndpointSlice): string[] {
  if (object.addressType === 'FQDN') return ['spec.addressType: FQDN endpoints are deprecated'];
  if (controllers.has(object.metadata.labels?.[managedBy] ?? '')) return [];
  return (object.endpoints ?? []).flatMap((e, i) => e.addresses.flatMap((text, j) => ipWarnings(`endpoints[${i}].addresses[${j}]`, text)));
}

import type { EndpointAddress, EndpointPort, Endpoints, Event } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { ipAddress, ipWarnings, ordinaryIp } from '#kube/validation/addresses.ts';
import { fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsLabel, dnsSubdomain, oneOf, ownValue, portNumber, qualifiedName } from '#kube/validation/values.ts';

function address(field: string, value: EndpointAddress, known: readonly string[]): FieldError[] {
  const { ip, hostname = '', nodeName } = value;
  return [
    ...ipAddress(`${field}.ip`, ip, known),
    ...(hostname === '' ? [] : dnsLabel(`${field}.hostname`, hostname)),
    ...(nodeName === undefined ? [] : dnsSubdomain(`${field}.nodeName`, nodeName)),
    ...ordinaryIp(`${field}.ip`, ip),
  ];
}

function port(field: string, value: EndpointPort, requireName: boolean): FieldError[] {
  const name = value.name ?? '';
  const named = name === '' ? (requireName ? [fieldRequired(`${field}.name`)] : []) : dnsLabel(`${field}.name`, name);
  return [
    ...named,
    ...portNumber(`${field}.port`, value.port),
    ...oneOf(`${field}.protocol`, value.protocol, ['SCTP', 'TCP', 'UDP']),
    ...(value.appProtocol === undefined ? [] : qualifiedName(`${field}.appProtocol`, value.appProtocol)),
  ];
}

const addressesOf = (object: Endpoints): EndpointAddress[] =>
  (object.subsets ?? []).flatMap((subset) => [...(subset.addresses ?? []), ...(subset.notReadyAddresses ?? [])]);

export function validateEndpoints(object: Endpoints, old?: Endpoints): FieldError[] {
  const known = old === undefined ? [] : addressesOf(old).map((a) => a.ip);
  return (object.subsets ?? []).flatMap((subset, i) => {
    const at = `subsets[${i}]`;
    const ready = subset.addresses ?? [];
    const notReady = subset.notReadyAddresses ?? [];
    const ports = subset.ports ?? [];
    return [
      ...(ready.length + notReady.length === 0 ? [fieldRequired(at, 'must specify `addresses` or `notReadyAddresses`')] : []),
      ...ready.flatMap((a, j) => address(`${at}.addresses[${j}]`, a, known)),
      ...notReady.flatMap((a, j) => address(`${at}.notReadyAddresses[${j}]`, a, known)),
      ...ports.flatMap((p, j) => port(`${at}.ports[${j}]`, p, ports.length > 1)),
    ];
  });
}

/** Controllers of the cluster write addresses in canonical form. */
const managedBy = 'endpoints.kubernetes.io/managed-by';

export function endpointsWarnings(object: Endpoints): string[] {
  if (ownValue(object.metadata.labels, managedBy) !== undefined) return [];
  return (object.subsets ?? []).flatMap((subset, i) =>
    (['addresses', 'notReadyAddresses'] as const).flatMap((part) =>
      (subset[part] ?? []).flatMap(({ ip }, j) => ipWarnings(`subsets[${i}].${part}[${j}].ip`, ip)),
    ),
  );
}

/** An event is in the namespace of what it is about; those of cluster-scoped objects are in default. */
export function validateEvent(object: Event): FieldError[] {
  const namespace = object.metadata.namespace ?? '';
  const about = object.involvedObject.namespace ?? '';
  const fits = about === '' ? namespace === 'default' || namespace === 'kube-system' || namespace === '' : about === namespace;
  return fits ? [] : [fieldInvalid('involvedObject.namespace', about, 'does not match event.namespace')];
}

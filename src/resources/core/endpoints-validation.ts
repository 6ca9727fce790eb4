import type { EndpointAddress, EndpointPort, Endpoints, Event } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { dnsLabel, ipAddress, oneOf, portNumber } from '#kube/validation/values.ts';

function address(field: string, value: EndpointAddress): FieldError[] {
  const errors = ipAddress(`${field}.ip`, value.ip);
  if ((value.hostname ?? '') !== '') errors.push(...dnsLabel(`${field}.hostname`, value.hostname ?? ''));
  if (errors.length > 0) return errors;
  const bad = /^(?:127\.|169\.254\.|22[4-9]\.|23\d\.|0\.0\.0\.0$|::1?$|fe80:|ff0)/i.exec(value.ip);
  if (bad === null) return [];
  const why = /^(?:127\.|::1$)/.test(value.ip)
    ? 'may not be in the loopback range (127.0.0.0/8, ::1/128)'
    : /^(?:169|fe80)/i.test(value.ip)
      ? 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'
      : /^(?:0\.0\.0\.0|::)$/.test(value.ip)
        ? 'may not be unspecified (0.0.0.0 or ::)'
        : 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
  return [fieldInvalid(`${field}.ip`, value.ip, why)];
}

function port(field: string, value: EndpointPort, requireName: boolean): FieldError[] {
  const name = value.name ?? '';
  const named = name === '' ? (requireName ? [fieldRequired(`${field}.name`)] : []) : dnsLabel(`${field}.name`, name);
  return [...named, ...portNumber(`${field}.port`, value.port), ...oneOf(`${field}.protocol`, value.protocol, ['SCTP', 'TCP', 'UDP'])];
}

export function validateEndpoints(object: Endpoints): FieldError[] {
  return (object.subsets ?? []).flatMap((subset, i) => {
    const at = `subsets[${i}]`;
    const ready = subset.addresses ?? [];
    const notReady = subset.notReadyAddresses ?? [];
    const ports = subset.ports ?? [];
    return [
      ...(ready.length + notReady.length === 0 ? [fieldRequired(at, 'must specify `addresses` or `notReadyAddresses`')] : []),
      ...ready.flatMap((a, j) => address(`${at}.addresses[${j}]`, a)),
      ...notReady.flatMap((a, j) => address(`${at}.notReadyAddresses[${j}]`, a)),
      ...ports.flatMap((p, j) => port(`${at}.ports[${j}]`, p, ports.length > 1)),
    ];
  });
}

/** An event is in the namespace of what it is about; those of cluster-scoped objects are in default. */
export function validateEvent(object: Event): FieldError[] {
  const namespace = object.metadata.namespace ?? '';
  const about = object.involvedObject.namespace ?? '';
  const fits = about === '' ? namespace === 'default' || namespace === 'kube-system' || namespace === '' : about === namespace;
  return fits ? [] : [fieldInvalid('involvedObject.namespace', about, 'does not match event.namespace')];
}

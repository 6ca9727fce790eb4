/** Services: ValidateService and ValidateServiceUpdate of pkg/apis/core/validation. */
import type { Service, ServicePort, ServiceSpec } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import {
  cidr,
  dnsLabel,
  dnsSubdomain,
  ipAddress,
  labels,
  oneOf,
  optionalOneOf,
  portNumber,
  portNumberOrName,
  qualifiedName,
} from '#kube/validation/values.ts';

const isHeadless = (spec: ServiceSpec): boolean => spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';

function port(field: string, p: ServicePort, spec: ServiceSpec, names: Set<string>): FieldError[] {
  const errors: FieldError[] = [];
  const name = p.name ?? '';
  if (name === '') {
    if ((spec.ports ?? []).length > 1) errors.push(fieldRequired(`${field}.name`));
  } else {
    errors.push(...dnsLabel(`${field}.name`, name));
    if (names.has(name)) errors.push(fieldDuplicate(`${field}.name`, name));
    names.add(name);
  }
  errors.push(...portNumber(`${field}.port`, p.port), ...oneOf(`${field}.protocol`, p.protocol, ['SCTP', 'TCP', 'UDP']));
  if (p.targetPort !== undefined) errors.push(...portNumberOrName(`${field}.targetPort`, p.targetPort));
  if (p.appProtocol !== undefined) errors.push(...qualifiedName(`${field}.appProtocol`, p.appProtocol));
  if (p.nodePort !== undefined && p.nodePort !== 0) {
    if (spec.type === 'ClusterIP') errors.push(fieldForbidden(`${field}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
    else errors.push(...portNumber(`${field}.nodePort`, p.nodePort));
  }
  return errors;
}

function ports(spec: ServiceSpec): FieldError[] {
  const list = spec.ports ?? [];
  const errors: FieldError[] = [];
  if (list.length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName') errors.push(fieldRequired('spec.ports'));
  const names = new Set<string>();
  const pairs = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [i, p] of list.entries()) {
    const at = `spec.ports[${i}]`;
    errors.push(...port(at, p, spec, names));
    if (spec.type === 'LoadBalancer' && p.port === 10250) {
      errors.push(fieldInvalid(`${at}.port`, p.port, 'may not expose port 10250 externally since it is used by kubelet'));
    }
    const pair = `${p.protocol}/${p.port}`;
    if (pairs.has(pair)) errors.push(fieldDuplicate(at, { protocol: p.protocol, port: p.port }));
    pairs.add(pair);
    const nodePair = `${p.protocol}/${p.nodePort}`;
    if (p.nodePort !== undefined && p.nodePort !== 0 && nodePorts.has(nodePair)) errors.push(fieldDuplicate(`${at}.nodePort`, p.nodePort));
    nodePorts.add(nodePair);
  }
  return errors;
}

function addresses(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const given = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
  if (spec.type === 'ExternalName') {
    if (given.length > 0) errors.push(fieldForbidden('spec.clusterIPs', 'may not be set for ExternalName services'));
  } else {
    for (const [i, ip] of given.entries()) {
      if (ip === 'None' && i === 0 && given.length === 1) continue;
      errors.push(...ipAddress(`spec.clusterIPs[${i}]`, ip));
    }
    if (isHeadless(spec) && (spec.type === 'LoadBalancer' || spec.type === 'NodePort')) {
      errors.push(fieldInvalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
    }
  }
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) errors.push(...ipAddress(`spec.externalIPs[${i}]`, ip));
  for (const [i, range] of (spec.loadBalancerSourceRanges ?? []).entries()) {
    errors.push(...cidr(`spec.loadBalancerSourceRanges[${i}]`, range.trim()));
  }
  if ((spec.loadBalancerSourceRanges ?? []).length > 0 && spec.type !== 'LoadBalancer') {
    errors.push(fieldForbidden('spec.LoadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'"));
  }
  return errors;
}

function affinityAndTraffic(spec: ServiceSpec): FieldError[] {
  const errors = oneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']);
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (spec.sessionAffinity === 'ClientIP' && seconds !== undefined && (seconds <= 0 || seconds > 86400)) {
    const field = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
    errors.push(fieldInvalid(field, seconds, 'must be greater than 0 and less than 86400'));
  }
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.externalIPs ?? []).length > 0;
  if (external) errors.push(...optionalOneOf('spec.externalTrafficPolicy', spec.externalTrafficPolicy, ['Cluster', 'Local']));
  else if ((spec.externalTrafficPolicy ?? '') !== '') {
    errors.push(
      fieldInvalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, 'may only be set for externally-accessible services'),
    );
  }
  errors.push(...optionalOneOf('spec.internalTrafficPolicy', spec.internalTrafficPolicy, ['Cluster', 'Local']));
  errors.push(...optionalOneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, ['PreferDualStack', 'RequireDualStack', 'SingleStack']));
  errors.push(...optionalOneOf('spec.trafficDistribution', spec.trafficDistribution, ['PreferClose', 'PreferSameNode', 'PreferSameZone']));
  return errors;
}

export function validateService(object: Service): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = oneOf('spec.type', spec.type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']);
  if (spec.type === 'ExternalName') {
    const name = (spec.externalName ?? '').replace(/\.$/, '');
    if (name === '') errors.push(fieldRequired('spec.externalName'));
    else errors.push(...dnsSubdomain('spec.externalName', name));
  }
  errors.push(...ports(spec), ...labels('spec.selector', spec.selector), ...addresses(spec), ...affinityAndTraffic(spec));
  if (spec.loadBalancerClass !== undefined) {
    if (spec.type === 'LoadBalancer') errors.push(...qualifiedName('spec.loadBalancerClass', spec.loadBalancerClass));
    else errors.push(fieldForbidden('spec.loadBalancerClass', "may only be used when `type` is 'LoadBalancer'"));
  }
  return errors;
}

export function validateServiceUpdate(object: Service, old: Service): FieldError[] {
  const errors: FieldError[] = [];
  const [now, was] = [object.spec, old.spec];
  const named = was?.type !== 'ExternalName' && now?.type !== 'ExternalName';
  if (named && was?.clusterIP !== undefined && was.clusterIP !== '' && now?.clusterIP !== was.clusterIP) {
    errors.push(fieldInvalid('spec.clusterIPs[0]', now?.clusterIP ?? '', 'may not change once set'));
  }
  if (was?.type === 'LoadBalancer' && now?.type === 'LoadBalancer' && now.loadBalancerClass !== was.loadBalancerClass) {
    errors.push(fieldInvalid('spec.loadBalancerClass', now.loadBalancerClass, 'may not change once set'));
  }
  return [...errors, ...validateService(object)];
}

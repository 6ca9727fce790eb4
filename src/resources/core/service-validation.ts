/** Services: ValidateService, ValidateServiceUpdate and ValidateServiceStatusUpdate of pkg/apis/core/validation. */
import type { Service, ServicePort, ServiceSpec } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { cidr, ipAddress, ordinaryIp } from '#kube/validation/addresses.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import {
  dnsLabel,
  dnsSubdomain,
  labels,
  oneOf,
  optionalOneOf,
  ownValue,
  portNumber,
  portNumberOrName,
  qualifiedName,
} from '#kube/validation/values.ts';
import { loadBalancerPoints, noLoadBalancer } from './load-balancer-validation.ts';
import { addressesUpdate, clusterAddresses, isHeadless, noAddresses } from './service-addresses.ts';

const protocols = ['SCTP', 'TCP', 'UDP'];

function port(field: string, p: ServicePort, requireName: boolean, names: Set<string>): FieldError[] {
  const errors: FieldError[] = [];
  const name = p.name ?? '';
  if (name === '') {
    if (requireName) errors.push(fieldRequired(`${field}.name`));
  } else {
    errors.push(...dnsLabel(`${field}.name`, name));
    if (names.has(name)) errors.push(fieldDuplicate(`${field}.name`, name));
    names.add(name);
  }
  errors.push(...portNumber(`${field}.port`, p.port), ...oneOf(`${field}.protocol`, p.protocol, protocols));
  if (p.targetPort !== undefined) errors.push(...portNumberOrName(`${field}.targetPort`, p.targetPort));
  if (p.appProtocol !== undefined) errors.push(...qualifiedName(`${field}.appProtocol`, p.appProtocol));
  return errors;
}

const nodePortOf = (p: ServicePort): number => p.nodePort ?? 0;

/** The later of two ports that are the same. */
function repeated(
  list: readonly ServicePort[],
  key: (p: ServicePort) => string,
  error: (i: number, p: ServicePort) => FieldError,
): FieldError[] {
  const seen = new Set<string>();
  return list.flatMap((p, i) => {
    const known = seen.has(key(p));
    seen.add(key(p));
    return known ? [error(i, p)] : [];
  });
}

function portConflicts(spec: ServiceSpec): FieldError[] {
  const list = spec.ports ?? [];
  const used = list.map((p, i) => [i, p] as const).filter(([, p]) => nodePortOf(p) !== 0);
  const clusterOnly = used.map(([i]) => fieldForbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
  return [
    ...(spec.type === 'ClusterIP' ? clusterOnly : []),
    ...repeated(
      list,
      (p) => (nodePortOf(p) === 0 ? `${list.indexOf(p)}` : `${p.protocol}/${p.nodePort}`),
      (i, p) => fieldDuplicate(`spec.ports[${i}].nodePort`, p.nodePort),
    ),
    ...repeated(
      list,
      (p) => `${p.protocol}/${p.port}`,
      (i, { protocol, port: number }) =>
        // As Go writes the struct that it compares ports by.
        fieldDuplicate(`spec.ports[${i}]`, { Name: '', Protocol: protocol, AppProtocol: null, Port: number, TargetPort: 0, NodePort: 0 }),
    ),
  ];
}

/** How often `ClientIP` sends a client to the same pod. */
function affinity(spec: ServiceSpec): FieldError[] {
  const errors = oneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']);
  const field = 'spec.sessionAffinityConfig';
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'None' && config !== undefined)
    errors.push(fieldForbidden(field, 'must not be set when session affinity is None'));
  if (spec.sessionAffinity !== 'ClientIP') return errors;
  const when = 'when session affinity type is ClientIP';
  const seconds = config?.clientIP?.timeoutSeconds;
  if (config === undefined) errors.push(fieldRequired(field, when));
  else if (config.clientIP === undefined) errors.push(fieldRequired(`${field}.clientIP`, when));
  else if (seconds === undefined) errors.push(fieldRequired(`${field}.clientIP.timeoutSeconds`, when));
  else if (seconds <= 0 || seconds > 86400)
    errors.push(fieldInvalid(`${field}.clientIP.timeoutSeconds`, seconds, 'must be greater than 0 and less than 86400'));
  return errors;
}

const rangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';

/** Ranges may be padded with spaces: they were once an annotation. */
function sourceRanges({ metadata, spec = {} }: Service, known: readonly string[]): FieldError[] {
  const given = spec.loadBalancerSourceRanges ?? [];
  const annotation = ownValue(metadata.annotations, rangesAnnotation);
  const annotated = given.length === 0 && annotation !== undefined;
  if (given.length === 0 && !annotated) return [];
  const field = annotated ? `metadata.annotations[${rangesAnnotation}]` : 'spec.LoadBalancerSourceRanges';
  const wrongType = spec.type === 'LoadBalancer' ? [] : [fieldForbidden(field, "may only be used when `type` is 'LoadBalancer'")];
  const ranges = annotated ? (annotation.trim() === '' ? [] : annotation.trim().split(',')) : given;
  return [...wrongType, ...ranges.flatMap((range, i) => cidr(annotated ? field : `${field}[${i}]`, range.trim(), known))];
}

const onlyBalanced = "may only be used when `type` is 'LoadBalancer'";

function balancing(spec: ServiceSpec): FieldError[] {
  const balanced = spec.type === 'LoadBalancer';
  const allocate = spec.allocateLoadBalancerNodePorts;
  const errors: FieldError[] = [];
  if (allocate !== undefined && !balanced) errors.push(fieldForbidden('spec.allocateLoadBalancerNodePorts', onlyBalanced));
  if (allocate === undefined && balanced) errors.push(fieldRequired('allocateLoadBalancerNodePorts'));
  const name = spec.loadBalancerClass;
  if (name === undefined) return errors;
  return [
    ...errors,
    ...(balanced ? qualifiedName('spec.loadBalancerClass', name) : [fieldForbidden('spec.loadBalancerClass', onlyBalanced)]),
  ];
}

const needsHealthCheck = (spec: ServiceSpec): boolean => spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

function externalTraffic(spec: ServiceSpec): FieldError[] {
  const { type, externalTrafficPolicy: policy = '', healthCheckNodePort: health = 0 } = spec;
  const reachable = type === 'LoadBalancer' || type === 'NodePort' || (type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0);
  const field = 'spec.externalTrafficPolicy';
  const errors: FieldError[] = [];
  if (reachable) errors.push(...oneOf(field, policy, ['Cluster', 'Local']));
  else if (policy !== '') errors.push(fieldInvalid(field, policy, 'may only be set for externally-accessible services'));
  const at = 'spec.healthCheckNodePort';
  if (needsHealthCheck(spec)) return [...errors, ...(health === 0 ? [fieldRequired(at)] : portNumber(at, health))];
  const rule = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
  return health === 0 ? errors : [...errors, fieldInvalid(at, health, rule)];
}

function internalTraffic(spec: ServiceSpec): FieldError[] {
  const field = 'spec.internalTrafficPolicy';
  const policy = spec.internalTrafficPolicy;
  const needed = spec.type === 'ClusterIP' || spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  return [
    ...(policy === undefined && needed ? [fieldRequired(field)] : optionalOneOf(field, policy, ['Cluster', 'Local'])),
    ...optionalOneOf('spec.trafficDistribution', spec.trafficDistribution, ['PreferClose', 'PreferSameNode', 'PreferSameZone']),
  ];
}

function externalName(spec: ServiceSpec): FieldError[] {
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  return [...noAddresses(spec), ...(name === '' ? [fieldRequired('spec.externalName')] : dnsSubdomain('spec.externalName', name))];
}

const hints = 'service.kubernetes.io/topology-aware-hints';
const mode = 'service.kubernetes.io/topology-mode';

function topologyAnnotations({ metadata }: Service): FieldError[] {
  const [old, now] = [ownValue(metadata.annotations, hints), ownValue(metadata.annotations, mode)];
  if (old === undefined || now === undefined || old === now) return [];
  return [fieldInvalid(`metadata.annotations[${mode}]`, now, `must match annotations[${hints}] when both are specified`)];
}

function byType(spec: ServiceSpec): FieldError[] {
  if (spec.type === 'ExternalName') return externalName(spec);
  if ((spec.type !== 'LoadBalancer' && spec.type !== 'NodePort') || !isHeadless(spec)) return [];
  return [fieldInvalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`)];
}

function wholeService(object: Service, old: Service | undefined): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const list = spec.ports ?? [];
  const names = new Set<string>();
  const external = (spec.externalIPs ?? []).flatMap((ip, i) => {
    const bad = ipAddress(`spec.externalIPs[${i}]`, ip, old?.spec?.externalIPs);
    return bad.length > 0 ? bad : ordinaryIp(`spec.externalIPs[${i}]`, ip);
  });
  return [
    ...topologyAnnotations(object),
    ...(list.length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName' ? [fieldRequired('spec.ports')] : []),
    ...byType(spec),
    ...list.flatMap((p, i) => port(`spec.ports[${i}]`, p, list.length > 1, names)),
    ...labels('spec.selector', spec.selector),
    ...affinity(spec),
    ...(spec.type === 'ExternalName' ? [] : clusterAddresses(spec, old?.spec?.clusterIPs ?? [])),
    ...external,
    ...oneOf('spec.type', spec.type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']),
    ...portConflicts(spec),
    ...sourceRanges(
      object,
      (old?.spec?.loadBalancerSourceRanges ?? []).map((range) => range.trim()),
    ),
    ...balancing(spec),
    ...externalTraffic(spec),
    ...internalTraffic(spec),
  ];
}

export const validateService = (object: Service): FieldError[] => wholeService(object, undefined);

export function validateServiceUpdate(object: Service, old: Service): FieldError[] {
  const [now = {}, was = {}] = [object.spec, old.spec];
  const errors = addressesUpdate(object, old);
  if (was.type === 'LoadBalancer' && now.type === 'LoadBalancer' && now.loadBalancerClass !== was.loadBalancerClass)
    errors.push(fieldInvalid('spec.loadBalancerClass', now.loadBalancerClass, 'may not change once set'));
  if (needsHealthCheck(was) && needsHealthCheck(now) && now.healthCheckNodePort !== was.healthCheckNodePort)
    errors.push(fieldForbidden('spec.healthCheckNodePort', 'field is immutable'));
  return [...errors, ...wholeService(object, old)];
}

export function validateServiceStatusUpdate(object: Service, old: Service): FieldError[] {
  const points = object.status?.loadBalancer?.ingress ?? [];
  if (object.spec?.type !== 'LoadBalancer' && points.length > 0) return noLoadBalancer();
  return loadBalancerPoints(points, old.status?.loadBalancer?.ingress, true);
}

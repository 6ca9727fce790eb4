/** Ingresses, their classes and network policies: pkg/apis/networking/validation. */
import { isIP } from 'node:net';
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressRule,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from '#kube/generated/networking-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { cidr, dnsSubdomain, immutable, portName, portNumber, portNumberOrName } from '#kube/validation/values.ts';
import { parseCidr } from '#lib/cidr.ts';

function backend(field: string, value: IngressBackend): FieldError[] {
  const { service, resource } = value;
  if (resource !== undefined && service !== undefined) {
    return [fieldInvalid(field, '', 'cannot set both resource and service backends')];
  }
  if (resource !== undefined) {
    const errors: FieldError[] = [];
    if (resource.kind === '') errors.push(fieldRequired(`${field}.resource.kind`));
    if (resource.name === '') errors.push(fieldRequired(`${field}.resource.name`));
    return errors;
  }
  if (service === undefined) return [fieldInvalid(field, '', 'resource or service backend is required')];
  const errors: FieldError[] = [];
  if (service.name === '') errors.push(fieldRequired(`${field}.service.name`));
  else errors.push(...dnsSubdomain(`${field}.service.name`, service.name));
  const { name = '', number = 0 } = service.port ?? {};
  if (name !== '' && number !== 0) errors.push(fieldInvalid(field, '', 'cannot set both port name & port number'));
  else if (name !== '') errors.push(...portName(`${field}.service.port.name`, name));
  else if (number !== 0) errors.push(...portNumber(`${field}.service.port.number`, number));
  else errors.push(fieldRequired(field, 'port name or number is required'));
  return errors;
}

const badSequences = ['//', '/./', '/../', '%2f', '%2F'];
const badEndings = ['/..', '/.'];

function path(field: string, p: HTTPIngressPath): FieldError[] {
  const errors: FieldError[] = [];
  const text = p.path ?? '';
  if (p.pathType === undefined)
    return [fieldRequired(`${field}.pathType`, 'pathType must be specified'), ...backend(`${field}.backend`, p.backend)];
  if (p.pathType === 'Exact' || p.pathType === 'Prefix') {
    if (!text.startsWith('/')) errors.push(fieldInvalid(`${field}.path`, text, 'must be an absolute path'));
    for (const bad of badSequences) if (text.includes(bad)) errors.push(fieldInvalid(`${field}.path`, text, `must not contain '${bad}'`));
    for (const bad of badEndings) if (text.endsWith(bad)) errors.push(fieldInvalid(`${field}.path`, text, `cannot end with '${bad}'`));
  } else if (p.pathType === 'ImplementationSpecific') {
    if (text !== '' && !text.startsWith('/')) errors.push(fieldInvalid(`${field}.path`, text, 'must be an absolute path'));
  } else errors.push(fieldNotSupported(`${field}.pathType`, p.pathType, ['Exact', 'ImplementationSpecific', 'Prefix']));
  return [...errors, ...backend(`${field}.backend`, p.backend)];
}

function hostProblems(host: string): string[] {
  if (!host.includes('*')) return isDns1123Subdomain(host);
  const wildcard = host.startsWith('*.') && isDns1123Subdomain(host.slice(2)).length === 0;
  return wildcard
    ? []
    : [
        `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
      ];
}

function rule(field: string, r: IngressRule): FieldError[] {
  const errors: FieldError[] = [];
  const host = r.host ?? '';
  if (isIP(host) !== 0) errors.push(fieldInvalid(`${field}.host`, host, 'must be a DNS name, not an IP address'));
  else if (host !== '') errors.push(...fieldProblems(`${field}.host`, host, hostProblems(host)));
  if (r.http === undefined) return errors;
  if (r.http.paths.length === 0) errors.push(fieldRequired(`${field}.http.paths`));
  for (const [i, p] of r.http.paths.entries()) errors.push(...path(`${field}.http.paths[${i}]`, p));
  return errors;
}

export function validateIngress(object: Ingress): FieldError[] {
  const { spec } = object;
  const rules = spec?.rules ?? [];
  const errors: FieldError[] = [];
  if (rules.length === 0 && spec?.defaultBackend === undefined) {
    errors.push(fieldInvalid('spec', rules, 'either `defaultBackend` or `rules` must be specified'));
  }
  if (spec?.defaultBackend !== undefined) errors.push(...backend('spec.defaultBackend', spec.defaultBackend));
  for (const [i, r] of rules.entries()) errors.push(...rule(`spec.rules[${i}]`, r));
  for (const [i, tls] of (spec?.tls ?? []).entries()) {
    for (const [j, host] of (tls.hosts ?? []).entries())
      errors.push(...fieldProblems(`spec.tls[${i}].hosts[${j}]`, host, hostProblems(host)));
    if ((tls.secretName ?? '') !== '') errors.push(...dnsSubdomain(`spec.tls[${i}].secretName`, tls.secretName ?? ''));
  }
  const className = spec?.ingressClassName;
  if (className !== undefined) errors.push(...dnsSubdomain('spec.ingressClassName', className));
  return errors;
}

/** On creation the annotation and the field for the class exclude each other. */
export function validateIngressCreate(object: Ingress): FieldError[] {
  const annotation = object.metadata.annotations?.['kubernetes.io/ingress.class'];
  const both = annotation !== undefined && object.spec?.ingressClassName !== undefined && annotation !== object.spec.ingressClassName;
  const rule = 'must match `ingressClassName` when both are specified';
  return [...(both ? [fieldInvalid('annotations.kubernetes.io/ingress.class', annotation, rule)] : []), ...validateIngress(object)];
}

export function validateIngressClass(object: IngressClass): FieldError[] {
  const controller = object.spec?.controller ?? '';
  const errors: FieldError[] = [];
  if (controller.length > 250)
    errors.push({ field: 'spec.controller', type: 'FieldValueTooLong', message: 'Too long: may not be more than 250 bytes' });
  if (controller === '') errors.push(fieldRequired('spec.controller'));
  else if (!/^[a-z0-9.-]+\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(controller)) {
    errors.push(fieldInvalid('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")'));
  }
  const parameters = object.spec?.parameters;
  if (parameters === undefined) return errors;
  if (parameters.kind === '') errors.push(fieldRequired('spec.parameters.kind'));
  if (parameters.name === '') errors.push(fieldRequired('spec.parameters.name'));
  if (parameters.scope === 'Namespace' && (parameters.namespace ?? '') === '') {
    errors.push(fieldRequired('spec.parameters.namespace', "`parameters.scope` is set to 'Namespace'"));
  }
  if (parameters.scope === 'Cluster' && parameters.namespace !== undefined) {
    errors.push(fieldForbidden('spec.parameters.namespace', "`parameters.scope` is set to 'Cluster'"));
  }
  return errors;
}

export const validateIngressClassUpdate = (object: IngressClass, old: IngressClass): FieldError[] => [
  ...immutable('spec.controller', object.spec?.controller, old.spec?.controller),
  ...validateIngressClass(object),
];

function policyPort(field: string, p: NetworkPolicyPort): FieldError[] {
  const errors: FieldError[] = [];
  const protocols = ['SCTP', 'TCP', 'UDP'];
  if (p.protocol !== undefined && !protocols.includes(p.protocol))
    errors.push(fieldNotSupported(`${field}.protocol`, p.protocol, protocols));
  if (p.port === undefined) {
    if (p.endPort !== undefined)
      errors.push(fieldInvalid(`${field}.endPort`, p.endPort, 'may not be specified when `port` is not specified'));
    return errors;
  }
  errors.push(...portNumberOrName(`${field}.port`, p.port));
  if (p.endPort === undefined) return errors;
  if (typeof p.port === 'string')
    errors.push(fieldInvalid(`${field}.endPort`, p.endPort, 'may not be specified when `port` is non-numeric'));
  else {
    if (p.endPort < p.port) errors.push(fieldInvalid(`${field}.endPort`, p.endPort, 'must be greater than or equal to `port`'));
    errors.push(...portNumber(`${field}.endPort`, p.endPort));
  }
  return errors;
}

function peer(field: string, p: NetworkPolicyPeer): FieldError[] {
  const errors: FieldError[] = [];
  const parts = Object.keys(p).length;
  errors.push(...labelSelector(`${field}.podSelector`, p.podSelector), ...labelSelector(`${field}.namespaceSelector`, p.namespaceSelector));
  if (p.ipBlock !== undefined) {
    const at = `${field}.ipBlock`;
    if (p.ipBlock.cidr === '') errors.push(fieldRequired(`${at}.cidr`));
    else errors.push(...cidr(`${at}.cidr`, p.ipBlock.cidr));
    const outer = parseCidr(p.ipBlock.cidr);
    for (const [i, except] of (p.ipBlock.except ?? []).entries()) {
      errors.push(...cidr(`${at}.except[${i}]`, except));
      const inner = parseCidr(except);
      const within = outer !== undefined && inner !== undefined && inner.family === outer.family && inner.prefix > outer.prefix;
      if (outer !== undefined && inner !== undefined && !within) {
        errors.push(fieldInvalid(`${at}.except[${i}]`, except, 'must be a strict subset of `cidr`'));
      }
    }
    if (parts > 1) errors.push(fieldForbidden(field, 'may not specify both ipBlock and another peer'));
  }
  if (parts === 0) errors.push(fieldRequired(field, 'must specify a peer'));
  return errors;
}

export function validateNetworkPolicy(object: NetworkPolicy): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = labelSelector('spec.podSelector', spec.podSelector);
  for (const [i, r] of (spec.ingress ?? []).entries()) {
    for (const [j, p] of (r.ports ?? []).entries()) errors.push(...policyPort(`spec.ingress[${i}].ports[${j}]`, p));
    for (const [j, p] of (r.from ?? []).entries()) errors.push(...peer(`spec.ingress[${i}].from[${j}]`, p));
  }
  for (const [i, r] of (spec.egress ?? []).entries()) {
    for (const [j, p] of (r.ports ?? []).entries()) errors.push(...policyPort(`spec.egress[${i}].ports[${j}]`, p));
    for (const [j, p] of (r.to ?? []).entries()) errors.push(...peer(`spec.egress[${i}].to[${j}]`, p));
  }
  const types = spec.policyTypes ?? [];
  if (types.length > 2) errors.push(fieldInvalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  for (const [i, type] of types.entries()) {
    if (type !== 'Ingress' && type !== 'Egress') errors.push(fieldNotSupported(`spec.policyTypes[${i}]`, type, ['Egress', 'Ingress']));
  }
  return errors;
}

/** Ingresses, their classes and network policies: pkg/apis/networking/validation. */
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressClassParametersReference,
  IngressRule,
  IngressSpec,
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from '#kube/generated/networking-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { cidr, cidrFamily, cidrWarnings, isIpText, isStrictSubnet } from '#kube/validation/addresses.ts';
import {
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldProblems,
  fieldRequired,
  fieldTooLong,
} from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import {
  dnsLabel,
  dnsSubdomain,
  domainPrefixedPath,
  immutable,
  optionalOneOf,
  ownValue,
  portName,
  portNumber,
  requiredDnsLabel,
  requiredPathSegment,
} from '#kube/validation/values.ts';
import { loadBalancerPoints } from '../core/load-balancer-validation.ts';

/** A group, where given, and a kind and a name, required: where a backend or the parameters of a class are. */
function reference(field: string, ref: { readonly apiGroup?: string; readonly kind: string; readonly name: string }): FieldError[] {
  return [
    ...(ref.apiGroup === undefined ? [] : dnsSubdomain(`${field}.apiGroup`, ref.apiGroup)),
    ...requiredPathSegment(`${field}.kind`, ref.kind),
    ...requiredPathSegment(`${field}.name`, ref.name),
  ];
}

function backend(field: string, { service, resource }: IngressBackend): FieldError[] {
  if (resource !== undefined && service !== undefined) return [fieldInvalid(field, '', 'cannot set both resource and service backends')];
  if (resource !== undefined) return reference(`${field}.resource`, resource);
  if (service === undefined) return [fieldInvalid(field, '', 'resource or service backend is required')];
  const errors = requiredDnsLabel(`${field}.service.name`, service.name);
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
  if (p.pathType === undefined) return [fieldRequired(`${field}.pathType`, 'pathType must be specified')];
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

function ruleHost(field: string, r: IngressRule): FieldError[] {
  const errors: FieldError[] = [];
  const host = r.host ?? '';
  if (isIpText(host)) errors.push(fieldInvalid(`${field}.host`, host, 'must be a DNS name, not an IP address'));
  if (host !== '') errors.push(...fieldProblems(`${field}.host`, host, hostProblems(host)));
  return errors;
}

function ruleValue(field: string, r: IngressRule): FieldError[] {
  if (r.http === undefined) return [];
  const errors: FieldError[] = [];
  if (r.http.paths.length === 0) errors.push(fieldRequired(`${field}.http.paths`));
  for (const [i, p] of r.http.paths.entries()) errors.push(...path(`${field}.http.paths[${i}]`, p));
  return errors;
}

/** What older servers took stays: secrets with bad names, and bad rules for wildcard hosts. */
interface Leniency {
  readonly secretNames?: boolean;
  readonly wildcardRules?: boolean;
}

const badSecretName = (name: string | undefined): boolean => (name ?? '') !== '' && isDns1123Subdomain(name ?? '').length > 0;
const isWildcard = (r: IngressRule): boolean => (r.host ?? '').includes('*');

function ingressSpec(spec: IngressSpec | undefined, lenient: Leniency): FieldError[] {
  const rules = spec?.rules ?? [];
  const errors: FieldError[] = [];
  if (rules.length === 0 && spec?.defaultBackend === undefined)
    errors.push(fieldInvalid('spec', spec?.rules ?? null, 'either `defaultBackend` or `rules` must be specified'));
  if (spec?.defaultBackend !== undefined) errors.push(...backend('spec.defaultBackend', spec.defaultBackend));
  for (const [i, r] of rules.entries()) {
    errors.push(...ruleHost(`spec.rules[${i}]`, r));
    if (lenient.wildcardRules !== true || !isWildcard(r)) errors.push(...ruleValue(`spec.rules[${i}]`, r));
  }
  for (const [i, { hosts, secretName }] of (spec?.tls ?? []).entries()) {
    for (const [j, host] of (hosts ?? []).entries()) errors.push(...fieldProblems(`spec.tls[${i}].hosts[${j}]`, host, hostProblems(host)));
    if (lenient.secretNames !== true && badSecretName(secretName))
      errors.push(...dnsSubdomain(`spec.tls[${i}].secretName`, secretName ?? ''));
  }
  const className = spec?.ingressClassName;
  if (className !== undefined) errors.push(...dnsSubdomain('spec.ingressClassName', className));
  return errors;
}

/** On creation the annotation for the class and the field must say the same. */
export function validateIngress({ metadata, spec }: Ingress): FieldError[] {
  const annotation = ownValue(metadata.annotations, 'kubernetes.io/ingress.class');
  const errors = ingressSpec(spec, {});
  if (annotation === undefined || spec?.ingressClassName === undefined || annotation === spec.ingressClassName) return errors;
  const text = 'must match `ingressClassName` when both are specified';
  return [...errors, fieldInvalid('annotations.kubernetes.io/ingress.class', annotation, text)];
}

export const validateIngressUpdate = (object: Ingress, old: Ingress): FieldError[] =>
  ingressSpec(object.spec, {
    secretNames: (old.spec?.tls ?? []).some((tls) => badSecretName(tls.secretName)),
    wildcardRules: (old.spec?.rules ?? []).some((r) => isWildcard(r) && ruleValue('', r).length > 0),
  });

export const validateIngressStatusUpdate = (object: Ingress, old: Ingress): FieldError[] =>
  loadBalancerPoints(object.status?.loadBalancer?.ingress, old.status?.loadBalancer?.ingress, false);

function classParameters(field: string, ref: IngressClassParametersReference | undefined): FieldError[] {
  if (ref === undefined) return [];
  const errors = reference(field, ref);
  const { scope, namespace } = ref;
  if (scope === undefined || scope === '') errors.push(fieldRequired(`${field}.scope`));
  else errors.push(...optionalOneOf(`${field}.scope`, scope, ['Cluster', 'Namespace']));
  const why = `\`parameters.scope\` is set to '${scope}'`;
  if (scope === 'Namespace')
    errors.push(...(namespace === undefined ? [fieldRequired(`${field}.namespace`, why)] : dnsLabel(`${field}.namespace`, namespace)));
  if (scope === 'Cluster' && namespace !== undefined) errors.push(fieldForbidden(`${field}.namespace`, why));
  return errors;
}

export function validateIngressClass(object: IngressClass): FieldError[] {
  const controller = object.spec?.controller ?? '';
  return [
    ...(controller.length > 250 ? [fieldTooLong('spec.controller', 250)] : []),
    ...domainPrefixedPath('spec.controller', controller),
    ...classParameters('spec.parameters', object.spec?.parameters),
  ];
}

export const validateIngressClassUpdate = (object: IngressClass, old: IngressClass): FieldError[] => [
  ...immutable('spec.controller', object.spec?.controller, old.spec?.controller),
  ...validateIngressClass(object),
];

function policyPort(field: string, { port, endPort, protocol }: NetworkPolicyPort): FieldError[] {
  const errors = optionalOneOf(`${field}.protocol`, protocol, ['TCP', 'UDP', 'SCTP']);
  const end = (why: string): FieldError[] => (endPort === undefined ? [] : [fieldInvalid(`${field}.endPort`, endPort, why)]);
  if (port === undefined) return [...errors, ...end('may not be specified when `port` is not specified')];
  if (typeof port === 'string')
    return [...errors, ...end('may not be specified when `port` is non-numeric'), ...portName(`${field}.port`, port)];
  errors.push(...portNumber(`${field}.port`, port));
  if (endPort === undefined) return errors;
  if (endPort < port) errors.push(...end('must be greater than or equal to `port`'));
  return [...errors, ...portNumber(`${field}.endPort`, endPort)];
}

function ipBlock(field: string, block: IPBlock, known: readonly string[]): FieldError[] {
  if (block.cidr === '') return [fieldRequired(`${field}.cidr`)];
  const errors = cidr(`${field}.cidr`, block.cidr, known);
  if (cidrFamily(block.cidr) === undefined) return errors;
  for (const [i, except] of (block.except ?? []).entries()) {
    const at = `${field}.except[${i}]`;
    errors.push(...cidr(at, except, known));
    if (isStrictSubnet(except, block.cidr) === false) errors.push(fieldInvalid(at, except, 'must be a strict subset of `cidr`'));
  }
  return errors;
}

function peer(field: string, p: NetworkPolicyPeer, known: readonly string[]): FieldError[] {
  const parts = [p.podSelector, p.namespaceSelector, p.ipBlock].filter((part) => part !== undefined).length;
  const errors = [
    ...labelSelector(`${field}.podSelector`, p.podSelector),
    ...labelSelector(`${field}.namespaceSelector`, p.namespaceSelector),
    ...(p.ipBlock === undefined ? [] : ipBlock(`${field}.ipBlock`, p.ipBlock, known)),
  ];
  if (parts === 0) errors.push(fieldRequired(field, 'must specify a peer'));
  else if (parts > 1 && p.ipBlock !== undefined) errors.push(fieldForbidden(field, 'may not specify both ipBlock and another peer'));
  return errors;
}

type PolicyRules = readonly (readonly [
  at: string,
  ports: readonly NetworkPolicyPort[],
  peersAt: string,
  peers: readonly NetworkPolicyPeer[],
])[];

const rulesOf = (object: NetworkPolicy): PolicyRules => [
  ...(object.spec?.ingress ?? []).map((r, i) => [`spec.ingress[${i}]`, r.ports ?? [], 'from', r.from ?? []] as const),
  ...(object.spec?.egress ?? []).map((r, i) => [`spec.egress[${i}]`, r.ports ?? [], 'to', r.to ?? []] as const),
];

const blocksOf = (object: NetworkPolicy): IPBlock[] => rulesOf(object).flatMap(([, , , peers]) => peers.flatMap((p) => p.ipBlock ?? []));

function policySpec(object: NetworkPolicy, known: readonly string[]): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = labelSelector('spec.podSelector', spec.podSelector);
  for (const [at, ports, peersAt, peers] of rulesOf(object)) {
    for (const [i, p] of ports.entries()) errors.push(...policyPort(`${at}.ports[${i}]`, p));
    for (const [i, p] of peers.entries()) errors.push(...peer(`${at}.${peersAt}[${i}]`, p, known));
  }
  const types = spec.policyTypes ?? [];
  if (types.length > 2) return [...errors, fieldInvalid('spec.policyTypes', types, 'may not specify more than two policyTypes')];
  return [...errors, ...types.flatMap((type, i) => optionalOneOf(`spec.policyTypes[${i}]`, type, ['Ingress', 'Egress']))];
}

export const validateNetworkPolicy = (object: NetworkPolicy): FieldError[] => policySpec(object, []);

/** Networks that were written in ways that are refused now may stay, wherever in the policy. */
export const validateNetworkPolicyUpdate = (object: NetworkPolicy, old: NetworkPolicy): FieldError[] =>
  policySpec(
    object,
    blocksOf(old).flatMap((block) => [block.cidr, ...(block.except ?? [])]),
  );

/** What is odd about the networks of a policy: pkg/registry/networking/networkpolicy/strategy.go. */
export const networkPolicyWarnings = (object: NetworkPolicy): string[] =>
  rulesOf(object).flatMap(([at, , peersAt, peers]) =>
    peers.flatMap(({ ipBlock: block }, i) => {
      if (block === undefined) return [];
      const field = `${at}.${peersAt}[${i}].ipBlock`;
      return [
        ...cidrWarnings(`${field}.cidr`, block.cidr),
        ...(block.except ?? []).flatMap((except, j) => cidrWarnings(`${field}.except[${j}]`, except)),
      ];
    }),
  );

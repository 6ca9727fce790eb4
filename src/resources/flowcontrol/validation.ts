/** FlowSchemas and PriorityLevelConfigurations: pkg/apis/flowcontrol/validation. */
import { isDeepStrictEqual } from 'node:util';
import type {
  FlowSchema,
  FlowSchemaSpec,
  LimitedPriorityLevelConfiguration,
  LimitResponse,
  PolicyRulesWithSubjects,
  PriorityLevelConfiguration,
  PriorityLevelConfigurationSpec,
  QueuingConfiguration,
  Subject,
} from '#kube/generated/flowcontrol-v1.ts';
import { isDns1123Label, isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldProblems,
  fieldRequired,
} from '#kube/validation/field-error.ts';
import { dnsLabel, dnsSubdomain, ownValue, rangeText } from '#kube/validation/values.ts';
import { mandatoryLevels, mandatorySchemas } from './mandatory.ts';

const limits = { precedence: 10_000, queues: 10_000_000, hashBits: 60 };

/** Conditions: with types, each once. */
function conditions(list: readonly { readonly type?: string }[] | undefined): FieldError[] {
  const seen = new Set<string>();
  return (list ?? []).flatMap(({ type = '' }, i) => {
    const at = `status.conditions[${i}].type`;
    const twice = seen.has(type) ? [fieldDuplicate(at, type)] : [];
    seen.add(type);
    return type === '' ? [...twice, fieldRequired(at, 'must not be empty')] : twice;
  });
}

const parts = { User: 'user', Group: 'group', ServiceAccount: 'serviceAccount' } as const;

function serviceAccount(field: string, { name, namespace }: { readonly name: string; readonly namespace: string }): FieldError[] {
  const errors: FieldError[] = [];
  if (name === '') errors.push(fieldRequired(`${field}.name`));
  else if (name !== '*') errors.push(...fieldProblems(`${field}.name`, name, isDns1123Subdomain(name)));
  if (namespace === '') errors.push(fieldRequired(`${field}.namespace`, 'must specify namespace for service account'));
  else errors.push(...dnsLabel(`${field}.namespace`, namespace));
  return errors;
}

function subject(field: string, value: Subject): FieldError[] {
  const part = ownValue<'user' | 'group' | 'serviceAccount'>(parts, value.kind);
  if (part === undefined) return [fieldNotSupported(`${field}.kind`, value.kind, ['Group', 'ServiceAccount', 'User'])];
  const at = `${field}.${part}`;
  const errors: FieldError[] = [];
  if (value[part] === undefined) errors.push(fieldRequired(at, `${part} is required when subject kind is '${value.kind}'`));
  else if (part === 'serviceAccount') errors.push(...serviceAccount(at, value.serviceAccount ?? { name: '', namespace: '' }));
  else if (value[part]?.name === '') errors.push(fieldRequired(`${at}.name`));
  for (const other of ['serviceAccount', 'user', 'group'] as const) {
    if (other === part || value[other] === undefined) continue;
    const kind = other.charAt(0).toUpperCase() + other.slice(1);
    errors.push(fieldForbidden(`${field}.${other}`, `${other} is forbidden when subject kind is not '${kind}'`));
  }
  return errors;
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];

/** A list where `*` stands alone; `rest`: the check of lists without it. */
function wildcards(field: string, list: readonly string[], what: string, rest: () => FieldError[] = () => []): FieldError[] {
  if (!list.includes('*')) return rest();
  return list.length > 1 ? [fieldInvalid(field, list, `if '*' is present, must not specify other ${what}`)] : [];
}

const verbList = (field: string, list: readonly string[]): FieldError[] =>
  list.length === 0
    ? [fieldRequired(field, 'verbs must contain at least one value')]
    : wildcards(field, list, 'verbs', () => (list.every((verb) => verbs.includes(verb)) ? [] : [fieldNotSupported(field, list, verbs)]));

function urlProblems(path: string): string[] {
  if (path === '') return ['must not be empty'];
  if (path === '/') return [];
  if (!path.startsWith('/')) return ['must start with slash'];
  if (path.includes(' ')) return ['must not contain white-space'];
  if (path.includes('//')) return ['must not contain double slash'];
  const stars = path.split('*').length - 1;
  return stars > 1 || (stars === 1 && !path.endsWith('/*')) ? ['wildcard can only do suffix matching'] : [];
}

type ResourceRule = NonNullable<PolicyRulesWithSubjects['resourceRules']>[number];
type NonResourceRule = NonNullable<PolicyRulesWithSubjects['nonResourceRules']>[number];

function resourceRule(field: string, rule: ResourceRule): FieldError[] {
  const { apiGroups: groups, resources, namespaces = [], clusterScope = false } = rule;
  const errors = verbList(`${field}.verbs`, rule.verbs);
  if (groups.length === 0) errors.push(fieldRequired(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
  if (resources.length === 0) errors.push(fieldRequired(`${field}.resources`, 'resource rules must supply at least one resource'));
  errors.push(...wildcards(`${field}.apiGroups`, groups, 'api groups'), ...wildcards(`${field}.resources`, resources, 'resources'));
  const at = `${field}.namespaces`;
  if (namespaces.length === 0 && !clusterScope)
    return [...errors, fieldRequired(at, 'resource rules that are not cluster scoped must supply at least one namespace')];
  const each = (): FieldError[] =>
    namespaces.flatMap((name, i) =>
      isDns1123Label(name).map((why) =>
        fieldInvalid(`${at}[${i}]`, name, `each member of this list must be '*' or a DNS-1123 label; ${why}`),
      ),
    );
  return [...errors, ...wildcards(at, namespaces, 'namespaces', each)];
}

function nonResourceRule(field: string, rule: NonResourceRule): FieldError[] {
  const { nonResourceURLs: urls } = rule;
  const at = `${field}.nonResourceURLs`;
  const errors = verbList(`${field}.verbs`, rule.verbs);
  if (urls.length === 0) return [...errors, fieldRequired(at, 'nonResourceURLs must contain at least one value')];
  const each = (): FieldError[] => urls.flatMap((url, i) => fieldProblems(`${at}[${i}]`, url, urlProblems(url)));
  return [...errors, ...wildcards(at, urls, 'non-resource URLs', each)];
}

function schemaRule(field: string, rule: PolicyRulesWithSubjects): FieldError[] {
  const { subjects, resourceRules = [], nonResourceRules = [] } = rule;
  const errors = subjects.flatMap((s, i) => subject(`${field}.subjects[${i}]`, s));
  if (subjects.length === 0) errors.push(fieldRequired(`${field}.subjects`, 'subjects must contain at least one value'));
  if (resourceRules.length + nonResourceRules.length === 0)
    errors.push(fieldRequired(field, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
  return [
    ...errors,
    ...resourceRules.flatMap((r, i) => resourceRule(`${field}.resourceRules[${i}]`, r)),
    ...nonResourceRules.flatMap((r, i) => nonResourceRule(`${field}.nonResourceRules[${i}]`, r)),
  ];
}

const methods = ['ByNamespace', 'ByUser'];

function schemaSpec(name: string, spec: FlowSchemaSpec): FieldError[] {
  const { matchingPrecedence: precedence = 0, distinguisherMethod: method, priorityLevelConfiguration: level } = spec;
  const errors: FieldError[] = [];
  const wrong = (why: string): number => errors.push(fieldInvalid('spec.matchingPrecedence', precedence, why));
  if (precedence <= 0) wrong('must be a positive value');
  if (precedence > limits.precedence) wrong(`must not be greater than ${limits.precedence}`);
  if (precedence === 1 && name !== 'exempt') wrong("only the schema named 'exempt' may have matchingPrecedence 1");
  if (method !== undefined && !methods.includes(method.type))
    // As Go writes the struct.
    errors.push(fieldNotSupported('spec.distinguisherMethod.type', { Type: method.type }, methods));
  const at = 'spec.priorityLevelConfiguration.name';
  errors.push(...(level.name === '' ? [fieldRequired(at, 'must reference a priority level')] : dnsSubdomain(at, level.name)));
  return [...errors, ...(spec.rules ?? []).flatMap((rule, i) => schemaRule(`spec.rules[${i}]`, rule))];
}

/** Without what is empty: as Go compares. */
function lean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lean);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, part]) => [key, lean(part)] as const)
      .filter(([, part]) => part !== undefined && !(Array.isArray(part) && part.length === 0)),
  );
}

export function validateFlowSchema(object: FlowSchema): FieldError[] {
  const { spec } = object;
  const name = object.metadata.name ?? '';
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = schemaSpec(name, spec);
  const fixed = ownValue(mandatorySchemas, name);
  if (fixed !== undefined && !isDeepStrictEqual(lean(spec), fixed))
    errors.push(fieldInvalid('spec', spec, `spec of '${name}' must equal the fixed value`));
  return [...errors, ...validateFlowSchemaStatus(object)];
}

export const validateFlowSchemaStatus = ({ status }: FlowSchema): FieldError[] => conditions(status?.conditions);

interface Shares {
  readonly nominalConcurrencyShares?: number;
  readonly lendablePercent?: number;
}

function shares(field: string, { nominalConcurrencyShares: nominal = 0, lendablePercent: lendable = 0 }: Shares): FieldError[] {
  const errors: FieldError[] = [];
  if (nominal < 0) errors.push(fieldInvalid(`${field}.nominalConcurrencyShares`, nominal, 'must be a non-negative integer'));
  if (lendable < 0 || lendable > 100) errors.push(fieldInvalid(`${field}.lendablePercent`, lendable, rangeText(0, 100)));
  return errors;
}

function queuing(field: string, { queues = 0, handSize: hand = 0, queueLengthLimit: length = 0 }: QueuingConfiguration): FieldError[] {
  const errors: FieldError[] = [];
  const wrong = (part: string, value: number, why: string): number => errors.push(fieldInvalid(`${field}.${part}`, value, why));
  if (length <= 0) wrong('queueLengthLimit', length, 'must be positive');
  if (queues <= 0) wrong('queues', queues, 'must be positive');
  else if (queues > limits.queues) wrong('queues', queues, `must not be greater than ${limits.queues}`);
  const bits = Math.ceil(Math.log2(queues) * hand);
  if (hand <= 0) wrong('handSize', hand, 'must be positive');
  else if (hand > queues) wrong('handSize', hand, `should not be greater than queues (${queues})`);
  else if (bits > limits.hashBits) {
    const rule = `required entropy bits of deckSize ${queues} and handSize ${hand} should not be greater than ${limits.hashBits}`;
    wrong('handSize', hand, rule);
  }
  return errors;
}

function limitResponse(field: string, response: LimitResponse | undefined): FieldError[] {
  const { type = '', queuing: queues } = response ?? {};
  const at = `${field}.queuing`;
  if (type === 'Reject')
    return queues === undefined ? [] : [fieldForbidden(at, 'must be nil if limited.limitResponse.type is not Limited')];
  if (type !== 'Queue') return [fieldNotSupported(`${field}.type`, type, ['Queue', 'Reject'])];
  return queues === undefined ? [fieldRequired(at, 'must not be empty if limited.limitResponse.type is Limited')] : queuing(at, queues);
}

function limited(field: string, config: LimitedPriorityLevelConfiguration): FieldError[] {
  const { borrowingLimitPercent: borrowed = 0 } = config;
  return [
    ...shares(field, config),
    ...(borrowed < 0 ? [fieldInvalid(`${field}.borrowingLimitPercent`, borrowed, 'if specified, must be a non-negative integer')] : []),
    ...limitResponse(`${field}.limitResponse`, config.limitResponse),
  ];
}

function levelSpec(name: string, spec: PriorityLevelConfigurationSpec): FieldError[] {
  const { type, limited: limits, exempt } = spec;
  const errors: FieldError[] = [];
  if ((name === 'exempt') !== (type === 'Exempt'))
    errors.push(fieldInvalid('spec.type', type, "type must be 'Exempt' if and only if name is 'exempt'"));
  if (type === 'Exempt') {
    if (limits !== undefined) errors.push(fieldForbidden('spec.limited', 'must be nil if the type is not Limited'));
    return exempt === undefined ? errors : [...errors, ...shares('spec.exempt', exempt)];
  }
  if (type !== 'Limited') return [...errors, fieldNotSupported('spec.type', type, ['Exempt', 'Limited'])];
  if (exempt !== undefined) errors.push(fieldForbidden('spec.exempt', 'must be nil if the type is Limited'));
  if (limits === undefined) return [...errors, fieldRequired('spec.limited', 'must not be empty when type is Limited')];
  return [...errors, ...limited('spec.limited', limits)];
}

/** The levels that every server has are fixed, but for how much the exempt one lends. */
function fixedLevel(name: string, spec: PriorityLevelConfigurationSpec): FieldError[] {
  const fixed = ownValue(mandatoryLevels, name);
  const { exempt: _exempt, ...rest } = spec;
  if (fixed === undefined || isDeepStrictEqual(lean(rest), fixed)) return [];
  const part = name === 'exempt' ? " except the 'spec.exempt' field" : '';
  return [fieldInvalid('spec', spec, `spec of '${name}'${part} must equal the fixed value`)];
}

export function validatePriorityLevel(object: PriorityLevelConfiguration): FieldError[] {
  const { spec } = object;
  const name = object.metadata.name ?? '';
  if (spec === undefined) return [fieldRequired('spec')];
  return [...levelSpec(name, spec), ...fixedLevel(name, spec), ...validatePriorityLevelStatus(object)];
}

export const validatePriorityLevelStatus = ({ status }: PriorityLevelConfiguration): FieldError[] => conditions(status?.conditions);

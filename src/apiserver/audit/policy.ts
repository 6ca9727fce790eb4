/** Audit policies (audit.k8s.io/v1 Policy): which requests are recorded, and how much of each. k8s.io/apiserver pkg/audit/policy. */
import { parse } from 'yaml';
import type { UserInfo } from '../contract.ts';
import type { RequestInfo } from '../request-info.ts';

export const levels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type Level = (typeof levels)[number];
export const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type Stage = (typeof stages)[number];

interface GroupResources {
  readonly group: string;
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
}

interface Rule {
  readonly level: Level;
  readonly users: readonly string[];
  readonly userGroups: readonly string[];
  readonly verbs: readonly string[];
  readonly resources: readonly GroupResources[];
  readonly namespaces: readonly string[];
  readonly nonResourceURLs: readonly string[];
  readonly omitStages: readonly Stage[];
  readonly omitManagedFields: boolean;
}

export interface AuditPolicy {
  readonly rules: readonly Rule[];
}

/** How one request is recorded. */
export interface AuditDecision {
  readonly level: Level;
  readonly omitStages: readonly Stage[];
  readonly omitManagedFields: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${path}: must be an object`);
  return { ...value };
}

function texts(value: unknown, path: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((v) => typeof v === 'string')) throw new Error(`${path}: must be a list of text`);
  return value;
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], path: string): T {
  const found = allowed.find((a) => a === value);
  if (found === undefined) throw new Error(`${path}: Unsupported value: ${JSON.stringify(value)}: supported values: ${allowed.join(', ')}`);
  return found;
}

const stagesOf = (value: unknown, path: string): readonly Stage[] => texts(value, path).map((s, i) => oneOf(s, stages, `${path}[${i}]`));

function resourcesOf(value: unknown, path: string): readonly GroupResources[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`${path}: must be a list`);
  return value.map((entry, i) => {
    const given = fields(entry, `${path}[${i}]`);
    const resources = texts(given['resources'], `${path}[${i}].resources`);
    const resourceNames = texts(given['resourceNames'], `${path}[${i}].resourceNames`);
    if (resourceNames.length > 0 && resources.length === 0)
      throw new Error(`${path}[${i}].resourceNames: using resourceNames requires at least one resource`);
    return { group: typeof given['group'] === 'string' ? given['group'] : '', resources, resourceNames };
  });
}

/** Reads the file of --audit-policy-file. Throws an Error that names the field that is wrong. */
export function parseAuditPolicy(yaml: string): AuditPolicy {
  const policy = fields(parse(yaml), 'Policy');
  if (policy['kind'] !== 'Policy' || policy['apiVersion'] !== 'audit.k8s.io/v1')
    throw new Error('expected apiVersion audit.k8s.io/v1 and kind Policy');
  const list = policy['rules'];
  if (!Array.isArray(list) || list.length === 0) throw new Error('rules: loaded illegal policy with 0 rules');
  const omitStages = stagesOf(policy['omitStages'], 'omitStages');
  const rules = list.map((entry, i): Rule => {
    const path = `rules[${i}]`;
    const rule = fields(entry, path);
    const resources = resourcesOf(rule['resources'], `${path}.resources`);
    const nonResourceURLs = texts(rule['nonResourceURLs'], `${path}.nonResourceURLs`);
    const namespaces = texts(rule['namespaces'], `${path}.namespaces`);
    if (nonResourceURLs.length > 0 && (resources.length > 0 || namespaces.length > 0))
      throw new Error(`${path}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs`);
    return {
      level: oneOf(rule['level'], levels, `${path}.level`),
      users: texts(rule['users'], `${path}.users`),
      userGroups: texts(rule['userGroups'], `${path}.userGroups`),
      verbs: texts(rule['verbs'], `${path}.verbs`),
      resources,
      namespaces,
      nonResourceURLs,
      omitStages: [...new Set([...omitStages, ...stagesOf(rule['omitStages'], `${path}.omitStages`)])],
      omitManagedFields: (rule['omitManagedFields'] ?? policy['omitManagedFields']) === true,
    };
  });
  return { rules };
}

/** "pods" the resource, "pods/log" the subresource, "pods/*" both, "*\/status" a subresource of any. */
function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  if (pattern === '*' || pattern === combined) return true;
  if (pattern.startsWith('*/')) return subresource !== '' && pattern.slice(2) === subresource;
  return pattern.endsWith('/*') && pattern.slice(0, -2) === resource;
}

function matchesResource(rule: Rule, info: RequestInfo): boolean {
  if (rule.namespaces.length > 0 && !rule.namespaces.includes(info.namespace)) return false;
  if (rule.resources.length === 0) return true;
  return rule.resources.some(
    (g) =>
      g.group === info.group &&
      (g.resources.length === 0 || g.resources.some((r) => resourceMatches(r, info.resource, info.subresource))) &&
      (g.resourceNames.length === 0 || g.resourceNames.includes(info.name)),
  );
}

const matchesPath = (rule: Rule, path: string): boolean =>
  rule.nonResourceURLs.some((u) => u === '*' || u === path || (u.endsWith('*') && path.startsWith(u.slice(0, -1))));

function matches(rule: Rule, user: UserInfo, info: RequestInfo, path: string): boolean {
  if (rule.users.length > 0 && !rule.users.includes(user.name)) return false;
  if (rule.userGroups.length > 0 && !rule.userGroups.some((g) => user.groups.includes(g))) return false;
  if (rule.verbs.length > 0 && !rule.verbs.includes(info.verb)) return false;
  if (info.isResource) return rule.nonResourceURLs.length === 0 && matchesResource(rule, info);
  if (rule.resources.length > 0 || rule.namespaces.length > 0) return false;
  return rule.nonResourceURLs.length === 0 || matchesPath(rule, path);
}

/** The first rule that matches decides; what no rule matches is not recorded. */
export function auditDecision(policy: AuditPolicy, user: UserInfo, info: RequestInfo, path: string): AuditDecision {
  return policy.rules.find((r) => matches(r, user, info, path)) ?? { level: 'None', omitStages: [], omitManagedFields: false };
}

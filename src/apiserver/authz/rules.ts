/** PolicyRules: what they allow, whether some cover others, and how refusals name them. pkg/registry/rbac/validation and pkg/apis/rbac. */
import type { PolicyRule } from '#kube/generated/rbac-v1.ts';
import type { AuthorizationAttributes } from '../contract.ts';

const has = (list: readonly string[] | undefined, value: string): boolean => list?.includes(value) === true;
const hasOrAll = (list: readonly string[] | undefined, value: string): boolean => has(list, value) || has(list, '*');

function resourceMatches(resources: readonly string[] | undefined, resource: string, subresource: string): boolean {
  if (resources === undefined) return false;
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some((r) => r === '*' || r === combined || (subresource !== '' && r === `*/${subresource}`));
}

function urlMatches(urls: readonly string[] | undefined, path: string): boolean {
  if (urls === undefined) return false;
  return urls.some((u) => u === '*' || u === path || (u.endsWith('*') && path.startsWith(u.replace(/\*+$/, ''))));
}

/** Whether a rule allows what is asked. */
export function ruleAllows(rule: PolicyRule, a: AuthorizationAttributes): boolean {
  if (!hasOrAll(rule.verbs, a.verb)) return false;
  if (!a.resourceRequest) return urlMatches(rule.nonResourceURLs, a.path);
  if (!hasOrAll(rule.apiGroups, a.group) || !resourceMatches(rule.resources, a.resource, a.subresource)) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(a.name);
}

/** One combination of the rule's lists: covering all of them is covering the rule. */
function breakdown(rule: PolicyRule): PolicyRule[] {
  const simple: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? [])
    for (const resource of rule.resources ?? [])
      for (const verb of rule.verbs) {
        const base = { verbs: [verb], apiGroups: [group], resources: [resource] };
        const names = rule.resourceNames ?? [];
        if (names.length === 0) simple.push(base);
        else simple.push(...names.map((name) => ({ ...base, resourceNames: [name] })));
      }
  for (const url of rule.nonResourceURLs ?? []) for (const verb of rule.verbs) simple.push({ verbs: [verb], nonResourceURLs: [url] });
  return simple;
}

function coversResource(owner: PolicyRule, resource: string): boolean {
  if (hasOrAll(owner.resources, resource)) return true;
  const slash = resource.indexOf('/');
  return slash >= 0 && has(owner.resources, `*${resource.slice(slash)}`);
}

function coversUrl(owner: PolicyRule, url: string): boolean {
  return urlMatches(owner.nonResourceURLs, url);
}

function covers(owner: PolicyRule, simple: PolicyRule): boolean {
  if (!hasOrAll(owner.verbs, simple.verbs[0] ?? '')) return false;
  const url = simple.nonResourceURLs?.[0];
  if (url !== undefined) return coversUrl(owner, url);
  if (!hasOrAll(owner.apiGroups, simple.apiGroups?.[0] ?? '') || !coversResource(owner, simple.resources?.[0] ?? '')) return false;
  const names = owner.resourceNames ?? [];
  const name = simple.resourceNames?.[0];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

/** Which single permissions of `wanted` nobody in `owned` covers. */
export function uncovered(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): readonly PolicyRule[] {
  return wanted.flatMap(breakdown).filter((simple) => !owned.some((owner) => covers(owner, simple)));
}

const list = (values: readonly string[]): string => `[${values.map((v) => JSON.stringify(v)).join(' ')}]`;

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}` */
function compactText(rule: PolicyRule): string {
  const part = (name: string, values: readonly string[] | undefined): string[] =>
    values === undefined || values.length === 0 ? [] : [`${name}:${list(values)}`];
  return `{${[
    ...part('APIGroups', rule.apiGroups),
    ...part('Resources', rule.resources),
    ...part('NonResourceURLs', rule.nonResourceURLs),
    ...part('ResourceNames', rule.resourceNames),
    ...part('Verbs', rule.verbs),
  ].join(', ')}}`;
}

/** Single permissions put together again: those that differ in the verb only share a line. */
export function compactTexts(rules: readonly PolicyRule[]): readonly string[] {
  const merged = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const id = JSON.stringify({ ...rule, verbs: [] });
    const known = merged.get(id);
    merged.set(id, known === undefined ? rule : { ...known, verbs: [...known.verbs, ...rule.verbs] });
  }
  return [...new Set([...merged.values()].map(compactText))].sort();
}

/** The message with which giving away permissions that one lacks is refused. */
export function escalationMessage(
  user: { readonly name: string; readonly groups: readonly string[] },
  missing: readonly PolicyRule[],
): string {
  return `user ${JSON.stringify(user.name)} (groups=${list(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${compactTexts(missing).join('\n')}`;
}

/** Which flow schema a request belongs to: k8s.io/apiserver pkg/util/flowcontrol/rule.go. */
import type { FlowSchema, NonResourcePolicyRule, ResourcePolicyRule, Subject } from '#kube/generated/flowcontrol-v1.ts';
import { serviceAccountUser } from '../authn/types.ts';
import type { UserInfo } from '../contract.ts';
import type { RequestInfo } from '../request-info.ts';

const hasOrAll = (list: readonly string[] | undefined, value: string): boolean => list?.some((v) => v === '*' || v === value) === true;

function subjectMatches(subject: Subject, user: UserInfo): boolean {
  if (subject.kind === 'User') return subject.user?.name === '*' || subject.user?.name === user.name;
  if (subject.kind === 'Group') return subject.group?.name === '*' || user.groups.includes(subject.group?.name ?? '');
  const { namespace = '', name = '' } = subject.serviceAccount ?? {};
  if (name === '*') return user.name.startsWith(serviceAccountUser(namespace, ''));
  return user.name === serviceAccountUser(namespace, name);
}

function resourceMatches(rule: ResourcePolicyRule, info: RequestInfo): boolean {
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  if (!hasOrAll(rule.verbs, info.verb) || !hasOrAll(rule.apiGroups, info.group) || !hasOrAll(rule.resources, resource)) return false;
  return info.namespace === '' ? rule.clusterScope === true : hasOrAll(rule.namespaces, info.namespace);
}

const pathMatches = (pattern: string, path: string): boolean =>
  pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));

const nonResourceMatches = (rule: NonResourcePolicyRule, verb: string, path: string): boolean =>
  hasOrAll(rule.verbs, verb) && rule.nonResourceURLs.some((u) => pathMatches(u, path));

export function schemaMatches(schema: FlowSchema, user: UserInfo, info: RequestInfo, path: string): boolean {
  return (schema.spec?.rules ?? []).some(
    (rule) =>
      rule.subjects.some((s) => subjectMatches(s, user)) &&
      (info.isResource
        ? (rule.resourceRules ?? []).some((r) => resourceMatches(r, info))
        : (rule.nonResourceRules ?? []).some((r) => nonResourceMatches(r, info.verb, path))),
  );
}

/** In the order in which they are asked: by precedence, then by name. */
export function sortSchemas(schemas: Iterable<FlowSchema>): readonly FlowSchema[] {
  const precedence = (s: FlowSchema): number => s.spec?.matchingPrecedence ?? 1000;
  return [...schemas].sort((a, b) => precedence(a) - precedence(b) || ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
}

/** What sets the flows of one schema apart. */
export function distinguisher(schema: FlowSchema, user: UserInfo, info: RequestInfo): string {
  const type = schema.spec?.distinguisherMethod?.type;
  return type === 'ByUser' ? user.name : type === 'ByNamespace' ? info.namespace : '';
}

const longRunningSubresources = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

/** Requests that stay open hold no seat: they would keep others out for hours. */
export const isLongRunning = (info: RequestInfo): boolean =>
  info.verb === 'watch' || (info.isResource && longRunningSubresources.has(info.subresource));

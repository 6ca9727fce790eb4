/** What an object counts for in a ResourceQuota, and which quotas it falls under (k8s.io/kubernetes pkg/quota/v1/evaluator). */
import type { Container, PersistentVolumeClaim, Pod, PodSpec, ResourceQuota, Service } from './generated/core-v1.ts';
import type { KubeObject } from './object.ts';
import { type Amounts, podLimits, podRequests } from './pod-resources.ts';
import { addQuantity, compareQuantity, formatQuantity, subtractQuantity } from './quantity.ts';

type Usage = Record<string, string | number>;

const plain = new Set(['cpu', 'memory', 'ephemeral-storage']);
const isHugePages = (name: string): boolean => name.startsWith('hugepages-');

/** Requests and limits under the names that quotas know them by. */
function computeUsage(requests: Amounts, limits: Amounts): Usage {
  const out: Usage = {};
  for (const [name, amount] of Object.entries(requests)) {
    if (plain.has(name) || isHugePages(name)) out[name] = amount;
    out[`requests.${name}`] = amount;
  }
  for (const [name, amount] of Object.entries(limits)) if (plain.has(name)) out[`limits.${name}`] = amount;
  return out;
}

/** Pods that are over or beyond their grace period hold nothing any more. */
function holdsCompute(pod: Pod, now: number): boolean {
  const phase = pod.status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed') return false;
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  return deletionTimestamp === undefined || now <= Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000;
}

function podUsage(pod: Pod, now: number): Usage {
  const counted = { 'count/pods': 1 };
  if (pod.spec === undefined || !holdsCompute(pod, now)) return counted;
  return { ...counted, pods: 1, ...computeUsage(podRequests(pod.spec), podLimits(pod.spec)) };
}

function serviceUsage(service: Service): Usage {
  const { type = 'ClusterIP', ports = [], allocateLoadBalancerNodePorts } = service.spec ?? {};
  const nodePorts = type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false) ? ports.length : 0;
  return { 'count/services': 1, services: 1, 'services.nodeports': nodePorts, 'services.loadbalancers': type === 'LoadBalancer' ? 1 : 0 };
}

function claimUsage(claim: PersistentVolumeClaim): Usage {
  const className = claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? claim.spec?.storageClassName ?? '';
  const amount = claim.spec?.resources?.requests?.['storage'];
  const out: Usage = { 'count/persistentvolumeclaims': 1, persistentvolumeclaims: 1 };
  const suffix = `${className}.storageclass.storage.k8s.io`;
  if (className !== '') out[`${suffix}/persistentvolumeclaims`] = 1;
  if (amount === undefined) return out;
  // What a claim has already been given counts, should it ask for less now.
  const given = claim.status?.allocatedResources?.['storage'];
  const storage = given !== undefined && compareQuantity(given, amount) > 0 ? given : amount;
  out['requests.storage'] = storage;
  if (className !== '') out[`${suffix}/requests.storage`] = storage;
  return out;
}

const aliases = new Set(['configmaps', 'secrets', 'replicationcontrollers', 'resourcequotas']);

/** What an object of a resource uses. `now`: milliseconds since the epoch. */
export function quotaUsage(resource: { readonly group: string; readonly plural: string }, object: KubeObject, now: number): Usage {
  const { group, plural } = resource;
  if (group === '' && plural === 'pods') return podUsage(object as Pod, now);
  if (group === '' && plural === 'services') return serviceUsage(object as Service);
  if (group === '' && plural === 'persistentvolumeclaims') return claimUsage(object as PersistentVolumeClaim);
  const counted: Usage = { [group === '' ? `count/${plural}` : `count/${plural}.${group}`]: 1 };
  return group === '' && aliases.has(plural) ? { ...counted, [plural]: 1 } : counted;
}

const containersOf = (spec: PodSpec): readonly Container[] => [...spec.containers, ...(spec.initContainers ?? [])];

function isBestEffort(spec: PodSpec): boolean {
  const asks = (amounts: Amounts | undefined): boolean =>
    Object.entries(amounts ?? {}).some(([name, amount]) => (name === 'cpu' || name === 'memory') && compareQuantity(amount, 0) > 0);
  return ![spec, ...containersOf(spec)].some((c) => asks(c.resources?.requests) || asks(c.resources?.limits));
}

function hasCrossNamespaceAffinity(spec: PodSpec): boolean {
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap((a) => [
    ...(a?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(a?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((w) => w.podAffinityTerm),
  ]);
  return terms.some((t) => (t.namespaces ?? []).length > 0 || t.namespaceSelector !== undefined);
}

interface Scope {
  readonly scopeName: string;
  readonly operator: string;
  readonly values: readonly string[];
}

const scopesOf = (quota: ResourceQuota): Scope[] => [
  ...(quota.spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists', values: [] })),
  ...(quota.spec?.scopeSelector?.matchExpressions ?? []).map((e) => ({ ...e, values: e.values ?? [] })),
];

/** Whether a scope's selector chooses an object that names these classes. */
function matchesClasses(scope: Scope, names: readonly string[]): boolean {
  const given = names.filter((name) => name !== '');
  switch (scope.operator) {
    case 'Exists':
      return given.length > 0;
    case 'DoesNotExist':
      return given.length === 0;
    case 'In':
      return given.some((name) => scope.values.includes(name));
    case 'NotIn':
      return given.length === 0 || given.some((name) => !scope.values.includes(name));
    default:
      return false;
  }
}

/** The volume attributes classes that a claim has, is to have or is being given. */
const attributesClasses = ({ spec, status }: PersistentVolumeClaim): string[] => [
  spec?.volumeAttributesClassName ?? '',
  status?.currentVolumeAttributesClassName ?? '',
  status?.modifyVolumeStatus?.targetVolumeAttributesClassName ?? '',
];

function matchesPodScope(scope: Scope, spec: PodSpec): boolean {
  switch (scope.scopeName) {
    case 'Terminating':
      return spec.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds >= 0;
    case 'NotTerminating':
      return spec.activeDeadlineSeconds === undefined;
    case 'BestEffort':
      return isBestEffort(spec);
    case 'NotBestEffort':
      return !isBestEffort(spec);
    case 'PriorityClass':
      return matchesClasses(scope, [spec.priorityClassName ?? '']);
    case 'CrossNamespacePodAffinity':
      return hasCrossNamespaceAffinity(spec);
    default:
      return false;
  }
}

/** Whether an object falls under a quota's scopes. Scopes speak of pods and claims: other objects fall under quotas without any. */
export function inQuotaScopes(
  quota: ResourceQuota,
  resource: { readonly group: string; readonly plural: string },
  object: KubeObject,
): boolean {
  const scopes = scopesOf(quota);
  if (scopes.length === 0) return true;
  if (resource.group === '' && resource.plural === 'persistentvolumeclaims') {
    const classes = attributesClasses(object as PersistentVolumeClaim);
    return scopes.every((s) => s.scopeName === 'VolumeAttributesClass' && matchesClasses(s, classes));
  }
  if (resource.group !== '' || resource.plural !== 'pods') return false;
  const { spec } = object as Pod;
  return spec !== undefined && scopes.every((s) => matchesPodScope(s, spec));
}

const mustBeSet = new Set(['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']);

/**
 * Where a quota limits a compute resource, each container must say how much of it it wants. Gives upstream's text for a pod that does
 * not, undefined where all is well.
 */
export function missingRequests(spec: PodSpec, limited: readonly string[]): string | undefined {
  if (spec.resources?.requests !== undefined || spec.resources?.limits !== undefined) return undefined;
  const missing = new Map<string, string[]>();
  for (const name of limited.filter((n) => mustBeSet.has(n))) {
    for (const c of containersOf(spec)) {
      if (computeUsage(c.resources?.requests ?? {}, c.resources?.limits ?? {})[name] !== undefined) continue;
      missing.set(name, [...(missing.get(name) ?? []), c.name]);
    }
  }
  if (missing.size === 0) return undefined;
  const parts = [...missing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, names]) => `${name} for: ${[...new Set(names)].sort().join(',')}`);
  return `must specify ${parts.join('; ')}`;
}

/** `a` and `b` together. */
export function addUsage(a: Amounts, b: Amounts): Usage {
  const out: Usage = { ...a };
  for (const [name, amount] of Object.entries(b)) out[name] = formatQuantity(addQuantity(out[name] ?? 0, amount));
  return out;
}

/** `a` without `b`; what is not positive is left out. */
export function growth(a: Amounts, b: Amounts): Usage {
  const out: Usage = {};
  for (const [name, amount] of Object.entries(a)) {
    const more = subtractQuantity(amount, b[name] ?? 0);
    if (more.value > 0n) out[name] = formatQuantity(more);
  }
  return out;
}

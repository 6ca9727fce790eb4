/** Holds pods to the level that their namespace's labels ask for (k8s.io/pod-security-admission/admission). */
import type { Container, PodSpec } from '#kube/generated/core-v1.ts';
import type { ObjectMeta } from '#kube/object.ts';
import { namespaces, pods } from '#kube/refs.ts';
import { invalid } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, isNamespace, isResource, namespaceOf, oldObjectAs } from './attributes.ts';
import type { PodUnderCheck } from './pod-security-checks.ts';
import { violations } from './pod-security-levels.ts';
import type { PodSecurityMetrics } from './pod-security-metrics.ts';
import {
  labelErrors,
  levels,
  modes,
  noPodSecuritySettings,
  type PodSecuritySettings,
  type Policies,
  type Policy,
  policiesOf,
  policyText,
  samePolicy,
} from './pod-security-policy.ts';

/** Where the pod template of each kind of workload is. */
const templates: Readonly<Record<string, readonly string[]>> = {
  '/podtemplates': ['template'],
  '/replicationcontrollers': ['spec', 'template'],
  'apps/deployments': ['spec', 'template'],
  'apps/replicasets': ['spec', 'template'],
  'apps/statefulsets': ['spec', 'template'],
  'apps/daemonsets': ['spec', 'template'],
  'batch/jobs': ['spec', 'template'],
  'batch/cronjobs': ['spec', 'jobTemplate', 'spec', 'template'],
};

/** Subresources of pods that do not change what a pod may do. */
const harmless = new Set(['exec', 'attach', 'binding', 'eviction', 'log', 'portforward', 'proxy', 'status']);

function at(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const step of path) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined;
  return value;
}

function asPod(value: unknown): PodUnderCheck | undefined {
  const spec = at(value, ['spec']);
  if (typeof spec !== 'object' || spec === null) return undefined;
  const metadata = (at(value, ['metadata']) ?? {}) as ObjectMeta;
  return { metadata, spec: { ...(spec as PodSpec), containers: (spec as PodSpec).containers ?? [] } };
}

const phrase = (policy: Policy, pod: PodUnderCheck): string | undefined => {
  const found = violations(policy.level, pod, policy.version);
  if (found.length === 0) return undefined;
  const text = found.map((v) => `${v.reason} (${v.detail})`).join(', ');
  return `violate PodSecurity ${JSON.stringify(policyText(policy))}: ${text}`;
};

/** Of a pod that is there, only images, seccomp annotations and new containers matter: the rest cannot change. */
function isSignificant(old: PodUnderCheck, next: PodUnderCheck): boolean {
  const annotation = (pod: PodUnderCheck, name: string): string => pod.metadata.annotations?.[name] ?? '';
  const differs = (name: string): boolean => annotation(old, name) !== annotation(next, name);
  const changed = (container: Container, before: Container | undefined): boolean =>
    before === undefined || container.image !== before.image || differs(`container.seccomp.security.alpha.kubernetes.io/${container.name}`);
  if (differs('seccomp.security.alpha.kubernetes.io/pod')) return true;
  const before = (next.spec.ephemeralContainers ?? []) as readonly Container[];
  const formerly = (old.spec.ephemeralContainers ?? []) as readonly Container[];
  return (
    old.spec.containers.length !== next.spec.containers.length ||
    (old.spec.initContainers ?? []).length !== (next.spec.initContainers ?? []).length ||
    next.spec.containers.some((c, i) => changed(c, old.spec.containers[i])) ||
    (next.spec.initContainers ?? []).some((c, i) => changed(c, old.spec.initContainers?.[i])) ||
    before.some((c) =>
      changed(
        c,
        formerly.find((o) => o.name === c.name),
      ),
    )
  );
}

const prefix = 'pod-security.kubernetes.io/';

/** Refuses (pods only), notes for the audit log and warns, each by its own policy. */
function check(r: AdmissionRequest, policies: Policies, pod: PodUnderCheck, enforce: boolean, metrics: PodSecurityMetrics): void {
  if (enforce) r.audit(`${prefix}enforce-policy`, policyText(policies.enforce));
  const enforced = enforce ? phrase(policies.enforce, pod) : undefined;
  if (enforce) metrics.evaluated(enforced === undefined ? 'allow' : 'deny', policies.enforce, 'enforce', r);
  const audited = phrase(policies.audit, pod);
  if (audited !== undefined) metrics.evaluated('deny', policies.audit, 'audit', r);
  if (audited !== undefined) r.audit(`${prefix}audit-violations`, `would ${audited}`);
  if (enforced !== undefined) throw denied(r, enforced.replace('violate', 'violates'));
  const warned = phrase(policies.warn, pod);
  if (warned === undefined) return;
  r.warn(`would ${warned}`);
  metrics.evaluated('deny', policies.warn, 'warn', r);
}

/** Most pods of a namespace that are looked at when its level is raised. */
const maxNamespacePods = 3000;

function warnOfExisting(r: AdmissionRequest, objects: Pick<ObjectReader, 'list'>, policy: Policy, exempt: ReadonlySet<string>): void {
  const name = namespaceOf(r);
  const found = new Map<string, string[]>();
  const all = objects.list(pods, name);
  for (const pod of all.slice(0, maxNamespacePods)) {
    const checked = asPod(pod);
    if (checked === undefined || exempt.has(checked.spec.runtimeClassName ?? '')) continue;
    const reasons = violations(policy.level, checked, policy.version).map((v) => v.reason);
    if (reasons.length === 0) continue;
    const key = reasons.join(', ');
    found.set(key, [...(found.get(key) ?? []), pod.metadata.name]);
  }
  if (all.length > maxNamespacePods)
    r.warn(`new PodSecurity enforce level only checked against the first ${maxNamespacePods} of ${all.length} existing pods`);
  if (found.size === 0) return;
  const level = JSON.stringify(policyText(policy));
  r.warn(`existing pods in namespace ${JSON.stringify(name)} violate the new PodSecurity enforce level ${level}`);
  const lines = [...found].map(([reasons, names]) => {
    const [first] = names.sort();
    const others = names.length > 1 ? ` (and ${names.length - 1} other ${names.length === 2 ? 'pod' : 'pods'})` : '';
    return `${first}${others}: ${reasons}`;
  });
  for (const line of lines.sort()) r.warn(line);
}

function warnOfExemption(r: AdmissionRequest, policies: Policies, defaults: Policies): void {
  const same = modes.every((mode) => samePolicy(policies[mode], defaults[mode]) || policies[mode].level === 'privileged');
  if (same) return;
  const text = modes.map((mode) => `${mode}=${policyText(policies[mode])}`).join(', ');
  r.warn(`namespace ${JSON.stringify(namespaceOf(r))} is exempt from Pod Security, and the policy (${text}) will be ignored`);
}

function checkNamespace(r: AdmissionRequest, objects: Pick<ObjectReader, 'list'>, { defaults, exemptions }: PodSecuritySettings): void {
  const labels = r.object?.metadata.labels;
  const oldLabels = r.oldObject?.metadata.labels;
  const errors = labelErrors(labels);
  // Labels that were wrong before may stay, so that the namespace can still be changed.
  const before = new Set(labelErrors(oldLabels).map((e) => e.message));
  const fresh = r.operation === 'CREATE' ? errors : errors.filter((e) => !before.has(e.message));
  if (fresh.length > 0) throw invalid(namespaces, r.name, fresh);
  const policies = policiesOf(labels, defaults);
  const next = policies.enforce;
  const old = policiesOf(oldLabels, defaults).enforce;
  const isExempt = exemptions.namespaces.has(namespaceOf(r));
  if (isExempt && (r.operation === 'CREATE' || !samePolicy(next, old))) warnOfExemption(r, policies, defaults);
  if (r.operation !== 'UPDATE' || isExempt || next.level === 'privileged') return;
  const raised = levels.indexOf(next.level) > levels.indexOf(old.level) || next.version !== old.version;
  if (raised) warnOfExisting(r, objects, next, exemptions.runtimeClasses);
}

const isPodWrite = (r: AdmissionRequest): boolean =>
  r.def.ref.group === '' &&
  r.def.ref.plural === 'pods' &&
  (r.operation === 'CREATE' || r.operation === 'UPDATE') &&
  !harmless.has(r.subresource);

const isTemplate = (r: AdmissionRequest): boolean =>
  r.subresource === '' &&
  (r.operation === 'CREATE' || r.operation === 'UPDATE') &&
  Object.hasOwn(templates, `${r.def.ref.group}/${r.def.ref.plural}`);

export function createPodSecurity(
  objects: Pick<ObjectReader, 'get' | 'list'>,
  metrics: PodSecurityMetrics,
  settings: PodSecuritySettings = noPodSecuritySettings,
): AdmissionPlugin {
  const { exemptions } = settings;

  /** Why a request is let through whatever its pod is. */
  function exemption(r: AdmissionRequest): string | undefined {
    if (exemptions.namespaces.has(r.namespace)) return 'namespace';
    return exemptions.usernames.has(r.user.name) ? 'user' : undefined;
  }

  function checkPod(r: AdmissionRequest): void {
    const reason = exemption(r);
    if (reason !== undefined) {
      r.audit(`${prefix}exempt`, reason);
      metrics.exempted(r);
      return;
    }
    const labels = objects.get(namespaces, '', r.namespace)?.metadata.labels;
    const policies = policiesOf(labels, settings.defaults);
    const enforce = isPodWrite(r);
    if (modes.every((m) => policies[m].level === 'privileged' || (m === 'enforce' && !enforce))) {
      if (!enforce) return;
      r.audit(`${prefix}enforce-policy`, policyText(policies.enforce));
      metrics.evaluated('allow', policies.enforce, 'enforce', r);
      return;
    }
    const pod = asPod(enforce ? r.object : at(r.object, templates[`${r.def.ref.group}/${r.def.ref.plural}`] ?? []));
    if (pod === undefined) return;
    const old = enforce && r.operation === 'UPDATE' ? asPod(oldObjectAs<unknown>(r)) : undefined;
    if (old !== undefined && !isSignificant(old, pod)) return;
    if (exemptions.runtimeClasses.has(pod.spec.runtimeClassName ?? '')) {
      r.audit(`${prefix}exempt`, 'runtimeClass');
      metrics.exempted(r);
      return;
    }
    const problems = labelErrors(labels);
    if (problems.length > 0) {
      r.audit(`${prefix}error`, `Failed to parse policy: ${problems.map((e) => `${e.field}: ${e.message}`).join(', ')}`);
      metrics.failed(r);
    }
    check(r, policies, pod, enforce, metrics);
  }

  return {
    name: 'PodSecurity',
    handles: (r) => isPodWrite(r) || isTemplate(r) || isResource(r, '', 'namespaces', 'CREATE', 'UPDATE'),
    validate: (r) => {
      if (isNamespace(r)) checkNamespace(r, objects, settings);
      else checkPod(r);
    },
  };
}

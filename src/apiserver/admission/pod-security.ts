/** Holds pods to the level that their namespace's labels ask for (k8s.io/pod-security-admission/admission). */
import type { Namespace, PodSpec } from '#kube/generated/core-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import type { ObjectMeta, Stored } from '#kube/object.ts';
import { namespaces, pods } from '#kube/refs.ts';
import { type FieldError, invalid } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, isPod, isResource, oldObjectAs } from './attributes.ts';
import { type Level, type PodUnderCheck, violations } from './pod-security-checks.ts';

interface Policy {
  readonly level: Level;
  readonly version: string;
}

interface Policies {
  readonly enforce: Policy;
  readonly audit: Policy;
  readonly warn: Policy;
}

type Mode = keyof Policies;

const prefix = 'pod-security.kubernetes.io/';
const levels: readonly string[] = ['privileged', 'baseline', 'restricted'];
const isLevel = (text: string): text is Level => levels.includes(text);
const isVersion = (text: string): boolean => text === 'latest' || /^v1\.(?:0|[1-9]\d*)$/.test(text);
const modes: readonly Mode[] = ['enforce', 'audit', 'warn'];

/** What the labels say. A level that is none counts as restricted for enforcement's sake, as upstream has it. */
function policiesOf(labels: Readonly<Record<string, string>> | undefined): Policies {
  const policy = (mode: Mode): Policy => {
    const level = labels?.[prefix + mode] ?? 'privileged';
    const version = labels?.[`${prefix}${mode}-version`] ?? 'latest';
    return { level: isLevel(level) ? level : 'restricted', version: isVersion(version) ? version : 'latest' };
  };
  return { enforce: policy('enforce'), audit: policy('audit'), warn: policy('warn') };
}

function labelErrors(labels: Readonly<Record<string, string>> | undefined): FieldError[] {
  const errors: FieldError[] = [];
  for (const mode of modes) {
    const level = labels?.[prefix + mode];
    const version = labels?.[`${prefix}${mode}-version`];
    const wrong = (key: string, value: string, why: string): number =>
      errors.push({
        field: `metadata.labels[${key}]`,
        type: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
      });
    if (level !== undefined && !isLevel(level)) wrong(prefix + mode, level, 'must be one of privileged, baseline, restricted');
    if (version !== undefined && !isVersion(version)) wrong(`${prefix}${mode}-version`, version, 'must be "latest" or "v1.x"');
  }
  return errors;
}

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
  const found = violations(policy.level, pod);
  if (found.length === 0) return undefined;
  return `violate PodSecurity "${policy.level}:${policy.version}": ${found.map((v) => `${v.reason} (${v.detail})`).join(', ')}`;
};

/** An update that changes nothing about security is let through, whatever the pod was before. */
function isSignificant(r: AdmissionRequest, pod: PodUnderCheck): boolean {
  if (r.operation === 'CREATE') return true;
  const old = asPod(oldObjectAs<unknown>(r));
  return old === undefined || !jsonEqual(security(old), security(pod));
}

const security = ({ metadata, spec }: PodUnderCheck): unknown => [
  Object.entries(metadata.annotations ?? {}).filter(([k]) => k.startsWith('container.apparmor')),
  { ...spec, activeDeadlineSeconds: null, tolerations: null, schedulingGates: null, nodeSelector: null, nodeName: null },
];

function checkPod(r: AdmissionRequest, policies: Policies, pod: PodUnderCheck): void {
  const enforced = phrase(policies.enforce, pod);
  if (enforced !== undefined) throw denied(r, enforced.replace('violate', 'violates'));
  report(r, policies, pod);
}

function report(r: AdmissionRequest, policies: Policies, pod: PodUnderCheck): void {
  const audited = phrase(policies.audit, pod);
  if (audited !== undefined) r.audit('pod-security.kubernetes.io/audit-violations', `would ${audited}`);
  const warned = phrase(policies.warn, pod);
  if (warned !== undefined) r.warn(`would ${warned}`);
}

/** Most pods of a namespace that are looked at when its level is raised. */
const maxNamespacePods = 3000;

function warnOfExisting(r: AdmissionRequest, objects: Pick<ObjectReader, 'list'>, policy: Policy): void {
  const name = r.name || (r.object?.metadata.name ?? '');
  const found = new Map<string, string[]>();
  for (const pod of objects.list(pods, name).slice(0, maxNamespacePods)) {
    const checked = asPod(pod);
    const reasons = checked === undefined ? [] : violations(policy.level, checked).map((v) => v.reason);
    if (reasons.length === 0) continue;
    const key = reasons.join(', ');
    found.set(key, [...(found.get(key) ?? []), pod.metadata.name]);
  }
  if (found.size === 0) return;
  r.warn(
    `existing pods in namespace ${JSON.stringify(name)} violate the new PodSecurity enforce level "${policy.level}:${policy.version}"`,
  );
  for (const [reasons, names] of found) {
    const [first] = names.sort();
    const others = names.length > 1 ? ` (and ${names.length - 1} other ${names.length === 2 ? 'pod' : 'pods'})` : '';
    r.warn(`${first}${others}: ${reasons}`);
  }
}

function checkNamespace(r: AdmissionRequest, objects: Pick<ObjectReader, 'list'>): void {
  const labels = r.object?.metadata.labels;
  const oldLabels = r.oldObject?.metadata.labels;
  const errors = labelErrors(labels);
  // Labels that were wrong before may stay, so that the namespace can still be changed.
  const before = new Set(labelErrors(oldLabels).map((e) => e.message));
  const fresh = r.operation === 'CREATE' ? errors : errors.filter((e) => !before.has(e.message));
  if (fresh.length > 0) throw invalid(namespaces, r.name, fresh);
  if (r.operation !== 'UPDATE') return;
  const next = policiesOf(labels).enforce;
  const old = policiesOf(oldLabels).enforce;
  const raised = levels.indexOf(next.level) > levels.indexOf(old.level) || (next.version !== old.version && next.level !== 'privileged');
  if (raised) warnOfExisting(r, objects, next);
}

export function createPodSecurity(objects: Pick<ObjectReader, 'get' | 'list'>): AdmissionPlugin {
  const policies = (r: AdmissionRequest): Policies => {
    const namespace: Stored<Namespace> | undefined = objects.get(namespaces, '', r.namespace);
    return policiesOf(namespace?.metadata.labels);
  };
  const isEphemeral = (r: AdmissionRequest): boolean =>
    r.def.ref.group === '' && r.def.ref.plural === 'pods' && r.subresource === 'ephemeralcontainers' && r.operation === 'UPDATE';
  return {
    name: 'PodSecurity',
    handles: (r) =>
      isPod(r, 'CREATE', 'UPDATE') ||
      isEphemeral(r) ||
      isResource(r, '', 'namespaces', 'CREATE', 'UPDATE') ||
      (r.subresource === '' &&
        (r.operation === 'CREATE' || r.operation === 'UPDATE') &&
        Object.hasOwn(templates, `${r.def.ref.group}/${r.def.ref.plural}`)),
    validate: (r) => {
      if (r.def.ref.plural === 'namespaces') {
        checkNamespace(r, objects);
        return;
      }
      const applied = policies(r);
      if (modes.every((m) => applied[m].level === 'privileged')) return;
      if (r.def.ref.group === '' && r.def.ref.plural === 'pods') {
        const pod = asPod(r.object);
        if (pod !== undefined && isSignificant(r, pod)) checkPod(r, applied, pod);
        return;
      }
      const pod = asPod(at(r.object, templates[`${r.def.ref.group}/${r.def.ref.plural}`] ?? []));
      if (pod !== undefined) report(r, applied, pod);
    },
  };
}

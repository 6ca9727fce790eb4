/** Jobs: pkg/apis/batch/validation and what pkg/registry/batch/job/strategy.go adds. */
import { isDeepStrictEqual } from 'node:util';
import type { Job, JobSpec } from '#kube/generated/batch-v1.ts';
import type { Container, PodSpec, PodTemplateSpec } from '#kube/generated/core-v1.ts';
import { isDns1123Label } from '#kube/names.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';
import { labelSelector, selects } from '#kube/validation/label-selector.ts';
import { domainPrefixedPath, immutable, nonNegative, ownValue } from '#kube/validation/values.ts';
import { podTemplate } from '../core/pod-validation/pod.ts';
import { failurePolicy, replacementPolicy, successPolicy } from './job-policies.ts';

const limits = { indexed: 100_000, highCompletions: 10_000, managedBy: 63 };

const amounts = ['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit', 'ttlSecondsAfterFinished'] as const;

function indexed(field: string, spec: JobSpec): FieldError[] {
  const { completions, parallelism = 0, maxFailedIndexes: maxFailed } = spec;
  const errors: FieldError[] = [];
  const atMost = (part: string, value: number, limit: number, when = ''): void => {
    if (value > limit) errors.push(fieldInvalid(`${field}.${part}`, value, `must be less than or equal to ${limit}${when}`));
  };
  if (completions === undefined) errors.push(fieldRequired(`${field}.completions`, 'when completion mode is Indexed'));
  atMost('parallelism', parallelism, limits.indexed, ' when completion mode is Indexed');
  if (completions !== undefined && maxFailed !== undefined && maxFailed > completions)
    errors.push(fieldInvalid(`${field}.maxFailedIndexes`, maxFailed, 'must be less than or equal to completions'));
  if (maxFailed !== undefined) atMost('maxFailedIndexes', maxFailed, limits.indexed);
  if (completions === undefined || completions <= limits.indexed || spec.backoffLimitPerIndex === undefined) return errors;
  const when = ` when completions are above ${limits.indexed} and used with backoff limit per index`;
  if (maxFailed === undefined)
    errors.push(fieldRequired(`${field}.maxFailedIndexes`, `must be specified when completions is above ${limits.indexed}`));
  atMost('parallelism', parallelism, limits.highCompletions, when);
  if (maxFailed !== undefined) atMost('maxFailedIndexes', maxFailed, limits.highCompletions, when);
  return errors;
}

function completionMode(field: string, spec: JobSpec): FieldError[] {
  const { completionMode: mode } = spec;
  if (mode === 'Indexed') return indexed(field, spec);
  if (mode !== undefined && mode !== 'NonIndexed') return [fieldNotSupported(`${field}.completionMode`, mode, ['NonIndexed', 'Indexed'])];
  return (['backoffLimitPerIndex', 'maxFailedIndexes'] as const).flatMap((part) =>
    spec[part] === undefined ? [] : [fieldInvalid(`${field}.${part}`, spec[part], 'requires indexed completion mode')],
  );
}

function restartPolicy(field: string, spec: JobSpec): FieldError[] {
  const policy = spec.template.spec?.restartPolicy ?? '';
  if (policy === 'Always' || policy === '') return [fieldRequired(field, 'valid values: "OnFailure", "Never"')];
  if (policy !== 'OnFailure' && policy !== 'Never') return [fieldNotSupported(field, policy, ['OnFailure', 'Never'])];
  if (spec.podFailurePolicy === undefined || policy === 'Never') return [];
  return [fieldInvalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified')];
}

/** The spec of a job, also inside a CronJob: validateJobSpec. */
export function jobSpec(field: string, spec: JobSpec): FieldError[] {
  const errors = amounts.flatMap((part) => nonNegative(`${field}.${part}`, spec[part]));
  errors.push(
    ...nonNegative(`${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex),
    ...nonNegative(`${field}.maxFailedIndexes`, spec.maxFailedIndexes),
  );
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    errors.push(fieldRequired(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  if (spec.managedBy !== undefined) {
    errors.push(...domainPrefixedPath(`${field}.managedBy`, spec.managedBy));
    if (spec.managedBy.length > limits.managedBy) errors.push(fieldTooLong(`${field}.managedBy`, limits.managedBy));
  }
  errors.push(...completionMode(field, spec));
  if (spec.podFailurePolicy !== undefined) errors.push(...failurePolicy(`${field}.podFailurePolicy`, spec));
  if (spec.successPolicy !== undefined) errors.push(...successPolicy(`${field}.successPolicy`, spec));
  errors.push(
    ...replacementPolicy(`${field}.podReplacementPolicy`, spec),
    ...podTemplate(`${field}.template`, spec.template),
    ...restartPolicy(`${field}.template.spec.restartPolicy`, spec),
  );
  return errors;
}

const uidLabels = ['controller-uid', 'batch.kubernetes.io/controller-uid'];
const nameLabels = ['job-name', 'batch.kubernetes.io/job-name'];

/** What a selector that the server made must say; `prefixed`: the labels with a prefix are required too. */
function generatedSelector(job: Job, prefixed: boolean): FieldError[] {
  const { selector, manualSelector, template } = job.spec ?? { template: {} };
  if (manualSelector === true || selector === undefined) return [];
  const { uid = '', name = '' } = job.metadata;
  const labels = template.metadata?.labels ?? {};
  const errors: FieldError[] = uid === '' ? [fieldRequired('metadata.uid')] : [];
  const expected: Record<string, string> = {};
  const both = (pair: readonly string[], value: string): readonly (readonly [string, string])[] =>
    (prefixed ? pair : pair.slice(0, 1)).map((label) => [label, value]);
  for (const [label, value] of [...both(uidLabels, uid), ...both(nameLabels, name)]) {
    expected[label] = value;
    const at = `spec.template.metadata.labels[${label}]`;
    const given = ownValue(labels, label);
    if (given === undefined) errors.push(fieldRequired(at, `must be '${value}'`));
    else if (given !== value) errors.push(fieldInvalid(at, labels, `must be '${value}'`));
  }
  if (labelSelector('', selector).length === 0 && !matchesLabels(fromLabelSelector(selector), expected))
    errors.push(fieldInvalid('spec.selector', selector, '`selector` not auto-generated'));
  return errors;
}

/** Pods of an indexed job are named after it and their index. */
function podHostname(job: Job): FieldError[] {
  const { completions = 0, completionMode: mode } = job.spec ?? {};
  if (mode !== 'Indexed' || completions <= 0) return [];
  const longest = `${job.metadata.name}-${completions - 1}`;
  return isDns1123Label(longest).length === 0
    ? []
    : [fieldInvalid('metadata.name', job.metadata.name, `will not able to create pod with invalid DNS label: ${longest}`)];
}

function wholeJob(job: Job, prefixedLabels: boolean): FieldError[] {
  const { spec } = job;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = [...generatedSelector(job, prefixedLabels), ...jobSpec('spec', spec)];
  if (spec.selector === undefined) errors.push(fieldRequired('spec.selector'));
  else {
    const bad = labelSelector('spec.selector', spec.selector);
    errors.push(...bad);
    const labels = spec.template.metadata?.labels;
    if (bad.length === 0 && !selects(spec.selector, labels))
      errors.push(fieldInvalid('spec.template.metadata.labels', labels ?? null, '`selector` does not match template `labels`'));
  }
  return [...errors, ...podHostname(job)];
}

export const validateJob = (job: Job): FieldError[] => wholeJob(job, true);

function completions(spec: JobSpec, old: JobSpec): FieldError[] {
  const field = 'spec.completions';
  if (spec.completionMode !== 'Indexed') return immutable(field, spec.completions, old.completions);
  if (spec.completions === undefined || spec.completions === old.completions || spec.completions === spec.parallelism) return [];
  return [fieldInvalid(field, spec.completions, 'can only be modified in tandem with spec.parallelism')];
}

/** The old template with the parts of the new one that say where pods run. */
function withPlacement(old: PodTemplateSpec, now: PodTemplateSpec): PodTemplateSpec {
  const { nodeSelector, tolerations, schedulingGates } = now.spec ?? {};
  const { nodeSelector: _n, tolerations: _t, schedulingGates: _g, affinity: oldAffinity, ...oldSpec } = old.spec ?? { containers: [] };
  const { labels: _l, annotations: _a, ...oldMeta } = old.metadata ?? {};
  const { labels, annotations } = now.metadata ?? {};
  const { nodeAffinity: _o, ...others } = oldAffinity ?? {};
  const nodeAffinity = now.spec?.affinity?.nodeAffinity;
  const affinity =
    now.spec?.affinity === undefined && Object.keys(others).length === 0
      ? undefined
      : { ...others, ...(nodeAffinity === undefined ? {} : { nodeAffinity }) };
  const metadata = { ...oldMeta, ...(labels === undefined ? {} : { labels }), ...(annotations === undefined ? {} : { annotations }) };
  return {
    ...(old.metadata === undefined && now.metadata === undefined ? {} : { metadata }),
    spec: {
      ...oldSpec,
      ...(affinity === undefined ? {} : { affinity }),
      ...(nodeSelector === undefined ? {} : { nodeSelector }),
      ...(tolerations === undefined ? {} : { tolerations }),
      ...(schedulingGates === undefined ? {} : { schedulingGates }),
    },
  };
}

/** The old spec with the new amounts of resources, where the containers are the same ones. */
function withResources(old: PodSpec, now: PodSpec): PodSpec {
  const mix = (before: readonly Container[], after: readonly Container[]): Container[] =>
    before.map((container, i) => {
      const { resources, name } = after[i] ?? container;
      if (before.length !== after.length || name !== container.name) return container;
      const { resources: _r, ...rest } = container;
      return { ...rest, ...(resources === undefined ? {} : { resources }) };
    });
  const { initContainers } = old;
  return {
    ...old,
    containers: mix(old.containers, now.containers),
    ...(initContainers === undefined ? {} : { initContainers: mix(initContainers, now.initContainers ?? []) }),
  };
}

/** Nothing in a template changes, but for placement while the job has never started, and resources while it is suspended. */
function templateUpdate(spec: JobSpec, old: Job): FieldError[] {
  const suspended = old.spec?.suspend === true;
  const before = old.spec?.template ?? {};
  const expected = suspended && old.status?.startTime === undefined ? withPlacement(before, spec.template) : before;
  if (!suspended) return immutable('spec.template', spec.template, expected);
  const [now, was] = [spec.template.spec ?? { containers: [] }, expected.spec ?? { containers: [] }];
  return isDeepStrictEqual(now, withResources(was, now)) ? [] : immutable('spec.template.spec', now, was);
}

export function validateJobUpdate(job: Job, old: Job): FieldError[] {
  const [spec, before] = [job.spec, old.spec];
  if (spec === undefined || before === undefined) return validateJob(job);
  const hadLabels = [uidLabels[1] ?? '', nameLabels[1] ?? ''].every((l) => ownValue(before.template.metadata?.labels, l) !== undefined);
  const errors = wholeJob(job, hadLabels);
  errors.push(...completions(spec, before), ...immutable('spec.selector', spec.selector, before.selector), ...templateUpdate(spec, old));
  for (const part of ['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const)
    errors.push(...immutable(`spec.${part}`, spec[part], before[part]));
  return errors;
}

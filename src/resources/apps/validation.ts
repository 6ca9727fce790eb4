/** Workloads of apps/v1: pkg/apis/apps/validation. */
import { isDeepStrictEqual } from 'node:util';
import type { DaemonSet, Deployment, DeploymentStrategy, ReplicaSet, StatefulSet } from '#kube/generated/apps-v1.ts';
import type { PodTemplateSpec } from '#kube/generated/core-v1.ts';
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { isEmptySelector, labelSelector, selects } from '#kube/validation/label-selector.ts';
import {
  immutable,
  intOrPercentValue,
  nonNegative,
  nonNegativeIntOrPercent,
  notMoreThan100Percent,
  oneOf,
} from '#kube/validation/values.ts';
import { podTemplate } from '../core/pod-validation/pod.ts';

/** A selector that must be there and select something. `what` is upstream's word for the kind in the message. */
function requiredSelector(selector: LabelSelector | undefined, what: string): FieldError[] {
  if (selector === undefined) return [fieldRequired('spec.selector')];
  const errors = labelSelector('spec.selector', selector);
  if (isEmptySelector(selector)) errors.push(fieldInvalid('spec.selector', selector, `empty selector is invalid for ${what}`));
  return errors;
}

/** A template whose pods the selector finds and that are restarted for ever. */
function longRunningTemplate(template: PodTemplateSpec | undefined, selector: LabelSelector | undefined, kind: string): FieldError[] {
  if (template === undefined) return [fieldRequired('spec.template')];
  const errors: FieldError[] = [];
  const labels = template.metadata?.labels;
  if (selector !== undefined && !isEmptySelector(selector) && labelSelector('', selector).length === 0 && !selects(selector, labels)) {
    errors.push(fieldInvalid('spec.template.metadata.labels', labels ?? {}, '`selector` does not match template `labels`'));
  }
  errors.push(...podTemplate('spec.template', template));
  const policy = template.spec?.restartPolicy;
  if (policy !== 'Always') errors.push(fieldNotSupported('spec.template.spec.restartPolicy', policy ?? '', ['Always']));
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    errors.push(fieldForbidden('spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${kind} is not Supported`));
  }
  return errors;
}

function deploymentStrategy(field: string, strategy: DeploymentStrategy): FieldError[] {
  const { type, rollingUpdate: rolling } = strategy;
  if (type === 'Recreate') {
    return rolling === undefined
      ? []
      : [fieldForbidden(`${field}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")];
  }
  if (type !== 'RollingUpdate') return [fieldNotSupported(`${field}.type`, type ?? '', ['Recreate', 'RollingUpdate'])];
  if (rolling === undefined) return [fieldRequired(`${field}.rollingUpdate`, 'this should be defaulted and never be nil')];
  const { maxUnavailable = 0, maxSurge = 0 } = rolling;
  const errors = [
    ...nonNegativeIntOrPercent(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable),
    ...nonNegativeIntOrPercent(`${field}.rollingUpdate.maxSurge`, maxSurge),
  ];
  if (intOrPercentValue(maxUnavailable) === 0 && intOrPercentValue(maxSurge) === 0) {
    errors.push(fieldInvalid(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  }
  return [...errors, ...notMoreThan100Percent(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable)];
}

export function validateDeployment(object: Deployment): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors = [
    ...nonNegative('spec.replicas', spec.replicas),
    ...requiredSelector(spec.selector, 'deployment'),
    ...longRunningTemplate(spec.template, spec.selector, 'ReplicaSet'),
    ...deploymentStrategy('spec.strategy', spec.strategy ?? {}),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...nonNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
  ];
  const deadline = spec.progressDeadlineSeconds;
  if (deadline !== undefined) {
    errors.push(...nonNegative('spec.progressDeadlineSeconds', deadline));
    if (deadline <= (spec.minReadySeconds ?? 0)) {
      errors.push(fieldInvalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
    }
  }
  return errors;
}

export const validateDeploymentUpdate = (object: Deployment, old: Deployment): FieldError[] => [
  ...validateDeployment(object),
  ...immutable('spec.selector', object.spec?.selector, old.spec?.selector),
];

export function validateReplicaSet(object: ReplicaSet): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  return [
    ...nonNegative('spec.replicas', spec.replicas),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...requiredSelector(spec.selector, 'deployment'),
    ...longRunningTemplate(spec.template, spec.selector, 'ReplicaSet'),
  ];
}

export const validateReplicaSetUpdate = (object: ReplicaSet, old: ReplicaSet): FieldError[] => [
  ...validateReplicaSet(object),
  ...immutable('spec.selector', object.spec?.selector, old.spec?.selector),
];

function daemonSetStrategy(field: string, strategy: NonNullable<NonNullable<DaemonSet['spec']>['updateStrategy']>): FieldError[] {
  const errors = oneOf(`${field}.type`, strategy.type, ['RollingUpdate', 'OnDelete']);
  if (errors.length > 0 || strategy.type === 'OnDelete') return errors;
  const rolling = strategy.rollingUpdate;
  if (rolling === undefined) return [fieldRequired(`${field}.rollingUpdate`)];
  const { maxUnavailable = 0, maxSurge = 0 } = rolling;
  const at = `${field}.rollingUpdate`;
  errors.push(
    ...nonNegativeIntOrPercent(`${at}.maxUnavailable`, maxUnavailable),
    ...nonNegativeIntOrPercent(`${at}.maxSurge`, maxSurge),
    ...notMoreThan100Percent(`${at}.maxUnavailable`, maxUnavailable),
    ...notMoreThan100Percent(`${at}.maxSurge`, maxSurge),
  );
  const [unavailable, surge] = [intOrPercentValue(maxUnavailable) ?? 0, intOrPercentValue(maxSurge) ?? 0];
  if (unavailable > 0 && surge > 0) errors.push(fieldInvalid(`${at}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'));
  if (unavailable === 0 && surge === 0) errors.push(fieldInvalid(`${at}.maxUnavailable`, maxUnavailable, 'cannot be 0 when maxSurge is 0'));
  return errors;
}

export function validateDaemonSet(object: DaemonSet): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  return [
    ...requiredSelector(spec.selector, 'daemonset'),
    ...longRunningTemplate(spec.template, spec.selector, 'DaemonSet'),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...daemonSetStrategy('spec.updateStrategy', spec.updateStrategy ?? {}),
    ...nonNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
  ];
}

export const validateDaemonSetUpdate = (object: DaemonSet, old: DaemonSet): FieldError[] => [
  ...validateDaemonSet(object),
  ...immutable('spec.selector', object.spec?.selector, old.spec?.selector),
];

function statefulSetStrategy(field: string, strategy: NonNullable<NonNullable<StatefulSet['spec']>['updateStrategy']>): FieldError[] {
  const { type = '', rollingUpdate: rolling } = strategy;
  if (type === '') return [fieldRequired(field)];
  if (type === 'OnDelete') {
    return rolling === undefined
      ? []
      : [fieldInvalid(`${field}.rollingUpdate`, rolling, "only allowed for updateStrategy 'RollingUpdate'")];
  }
  if (type !== 'RollingUpdate') return [fieldInvalid(field, strategy, "must be 'RollingUpdate' or 'OnDelete'")];
  const errors = nonNegative(`${field}.rollingUpdate.partition`, rolling?.partition);
  if (rolling?.maxUnavailable !== undefined) {
    const at = `${field}.rollingUpdate.maxUnavailable`;
    errors.push(...nonNegativeIntOrPercent(at, rolling.maxUnavailable));
    if (intOrPercentValue(rolling.maxUnavailable) === 0) errors.push(fieldInvalid(at, rolling.maxUnavailable, 'cannot be 0'));
    errors.push(...notMoreThan100Percent(at, rolling.maxUnavailable));
  }
  return errors;
}

export function validateStatefulSet(object: StatefulSet): FieldError[] {
  const { spec } = object;
  if (spec === undefined) return [fieldRequired('spec')];
  const errors: FieldError[] = [];
  const policy = spec.podManagementPolicy ?? '';
  if (policy === '') errors.push(fieldRequired('spec.podManagementPolicy'));
  else if (policy !== 'OrderedReady' && policy !== 'Parallel') {
    errors.push(fieldInvalid('spec.podManagementPolicy', policy, "must be 'OrderedReady' or 'Parallel'"));
  }
  errors.push(...statefulSetStrategy('spec.updateStrategy', spec.updateStrategy ?? {}));
  const retention = spec.persistentVolumeClaimRetentionPolicy;
  for (const part of ['whenDeleted', 'whenScaled'] as const) {
    if (retention !== undefined)
      errors.push(...oneOf(`spec.persistentVolumeClaimRetentionPolicy.${part}`, retention[part], ['Delete', 'Retain']));
  }
  errors.push(
    ...nonNegative('spec.replicas', spec.replicas),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...nonNegative('spec.ordinals.start', spec.ordinals?.start),
    ...requiredSelector(spec.selector, 'statefulset'),
    ...longRunningTemplate(spec.template, spec.selector, 'StatefulSet'),
  );
  return errors;
}

const mutableParts = [
  'replicas',
  'template',
  'updateStrategy',
  'minReadySeconds',
  'ordinals',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
] as const;
const statefulSetRule =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

export function validateStatefulSetUpdate(object: StatefulSet, old: StatefulSet): FieldError[] {
  const fixed = (spec: StatefulSet['spec']): unknown =>
    Object.fromEntries(Object.entries(spec ?? {}).filter(([part]) => !(mutableParts as readonly string[]).includes(part)));
  const changed = !isDeepStrictEqual(fixed(object.spec), fixed(old.spec));
  return [...validateStatefulSet(object), ...(changed ? [fieldForbidden('spec', statefulSetRule)] : [])];
}

/** SubjectAccessReview, its self and local forms, and SelfSubjectRulesReview: pkg/registry/authorization. */
import type {
  NonResourceAttributes,
  ResourceAttributes,
  SubjectAccessReview,
  SubjectRulesReviewStatus,
} from '#kube/generated/authorization-v1.ts';
import {
  localSubjectAccessReviews,
  type ResourceRef,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
} from '#kube/refs.ts';
import { badRequest, type FieldError, invalid } from '#kube/status-error.ts';
import type { ApiRequest, AuthorizationAttributes, Authorize, ReviewDef, UserInfo } from '../contract.ts';
import { nodeNameOf } from './node.ts';
import { rulesFor } from './rbac.ts';
import type { RbacIndex } from './rbac-index.ts';

type Spec = SubjectAccessReview['spec'];

function check(ref: ResourceRef, spec: Spec, self: boolean): void {
  const errors: FieldError[] = [];
  const both = spec.resourceAttributes !== undefined && spec.nonResourceAttributes !== undefined;
  const neither = spec.resourceAttributes === undefined && spec.nonResourceAttributes === undefined;
  if (both)
    errors.push({
      field: 'spec.nonResourceAttributes',
      type: 'FieldValueInvalid',
      message: 'Invalid value: "spec.nonResourceAttributes": cannot be specified in combination with resourceAttributes',
    });
  if (neither)
    errors.push({
      field: 'spec.resourceAttributes',
      type: 'FieldValueInvalid',
      message: 'Invalid value: "spec.resourceAttributes": exactly one of nonResourceAttributes or resourceAttributes must be specified',
    });
  if (!self && (spec.user ?? '') === '' && (spec.groups ?? []).length === 0)
    errors.push({
      field: 'spec.user',
      type: 'FieldValueInvalid',
      message: 'Invalid value: "spec.user": at least one of user or group must be specified',
    });
  if (errors.length > 0) throw invalid(ref, '', errors);
}

function resourceQuestion(user: UserInfo, r: ResourceAttributes): AuthorizationAttributes {
  const field = r.fieldSelector?.rawSelector;
  const label = r.labelSelector?.rawSelector;
  return {
    user,
    verb: r.verb ?? '',
    resourceRequest: true,
    group: r.group ?? '',
    version: r.version ?? '',
    resource: r.resource ?? '',
    subresource: r.subresource ?? '',
    namespace: r.namespace ?? '',
    name: r.name ?? '',
    path: '',
    ...(field === undefined ? {} : { fieldSelector: field }),
    ...(label === undefined ? {} : { labelSelector: label }),
  };
}

const pathQuestion = (user: UserInfo, n: NonResourceAttributes | undefined): AuthorizationAttributes => ({
  user,
  verb: n?.verb ?? '',
  resourceRequest: false,
  group: '',
  version: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  path: n?.path ?? '',
});

async function answer(authorize: Authorize, user: UserInfo, spec: Spec, signal: AbortSignal) {
  const question =
    spec.resourceAttributes === undefined
      ? pathQuestion(user, spec.nonResourceAttributes)
      : resourceQuestion(user, spec.resourceAttributes);
  const { decision, reason } = await authorize(question, signal);
  return {
    allowed: decision === 'allow',
    ...(decision === 'deny' ? { denied: true } : {}),
    ...(reason === '' ? {} : { reason }),
  };
}

const subjectOf = (spec: Spec): UserInfo => ({
  name: spec.user ?? '',
  groups: spec.groups ?? [],
  ...(spec.uid === undefined ? {} : { uid: spec.uid }),
  ...(spec.extra === undefined ? {} : { extra: spec.extra }),
});

type Subject = (spec: Spec, request: ApiRequest) => UserInfo;

function accessReview(ref: ResourceRef, authorize: Authorize, self: boolean, subject: Subject): ReviewDef {
  return {
    resource: ref,
    handle: async (object, request, namespace) => {
      const spec = (object['spec'] ?? {}) as Spec;
      check(ref, spec, self);
      const asked = spec.resourceAttributes?.namespace ?? '';
      if (ref.namespaced && asked !== namespace) throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
      return { ...object, status: await answer(authorize, subject(spec, request), spec, request.signal) };
    },
  };
}

function ruleLists(index: RbacIndex, user: UserInfo, namespace: string): SubjectRulesReviewStatus {
  const masters = user.groups.includes('system:masters');
  const { rules, errors } = rulesFor(index, user, namespace);
  const nodeError = nodeNameOf(user) === undefined ? [] : ['node authorizer does not support user rule resolution'];
  const all = [...nodeError, ...errors];
  const resourceRules = rules
    .filter((r) => (r.resources ?? []).length > 0)
    .map((r) => ({
      verbs: r.verbs,
      apiGroups: r.apiGroups ?? [],
      resources: r.resources ?? [],
      ...((r.resourceNames ?? []).length === 0 ? {} : { resourceNames: r.resourceNames ?? [] }),
    }));
  const nonResourceRules = rules
    .filter((r) => (r.nonResourceURLs ?? []).length > 0)
    .map((r) => ({ verbs: r.verbs, nonResourceURLs: r.nonResourceURLs ?? [] }));
  return {
    resourceRules: masters ? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, ...resourceRules] : resourceRules,
    nonResourceRules: masters ? [{ verbs: ['*'], nonResourceURLs: ['*'] }, ...nonResourceRules] : nonResourceRules,
    incomplete: all.length > 0,
    ...(all.length === 0 ? {} : { evaluationError: all.join(', ') }),
  };
}

const rulesReview = (index: RbacIndex): ReviewDef => ({
  resource: selfSubjectRulesReviews,
  handle: async (object, request) => {
    const namespace = (object['spec'] as { readonly namespace?: string } | undefined)?.namespace ?? '';
    if (namespace === '') throw badRequest('no namespace on request');
    return await Promise.resolve({ ...object, status: ruleLists(index, request.user, namespace) });
  },
});

export function accessReviews(authorize: Authorize, index: RbacIndex): readonly ReviewDef[] {
  return [
    accessReview(subjectAccessReviews, authorize, false, subjectOf),
    accessReview(localSubjectAccessReviews, authorize, false, subjectOf),
    accessReview(selfSubjectAccessReviews, authorize, true, (_spec, request) => request.user),
    rulesReview(index),
  ];
}

import { expect, test } from 'vitest';
import type { KubeObject } from '#kube/object.ts';
import { created, kindNamed, testContext } from '../testing.ts';

const rule = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] };
const matchConstraints = { resourceRules: [rule] };
const validations = [{ expression: 'true' }];
const mutation = { patchType: 'JSONPatch', jsonPatch: { expression: '[]' } };
const mutating = { matchConstraints, mutations: [mutation], reinvocationPolicy: 'Never' };

function problems(kind: string, spec: object): string[] {
  const def = kindNamed(kind);
  const object = created(def, { metadata: { name: 'x', uid: 'u' }, spec }) as unknown as KubeObject;
  return (def.validate?.(object, testContext) ?? []).map((e) => `${e.field}: ${e.message}`);
}

test.each<[string, object]>([
  ['ValidatingAdmissionPolicy', { matchConstraints, validations }],
  ['ValidatingAdmissionPolicyBinding', { policyName: 'p', validationActions: ['Deny', 'Audit'] }],
  ['MutatingAdmissionPolicy', mutating],
  ['MutatingAdmissionPolicyBinding', { policyName: 'p', paramRef: { name: 'n', parameterNotFoundAction: 'Allow' } }],
])('a good %s is accepted', (kind, spec) => {
  expect(problems(kind, spec)).toEqual([]);
});

test.each<[string, object, readonly string[]]>([
  [
    'ValidatingAdmissionPolicy',
    {},
    [
      'spec.matchConstraints: Required value',
      'spec.validations: Required value: validations or auditAnnotations must contain at least one item',
      'spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item',
    ],
  ],
  [
    'ValidatingAdmissionPolicy',
    { matchConstraints: { resourceRules: [{ ...rule, resources: ['*', 'pods'], resourceNames: ['a', 'a'] }] }, validations },
    [
      'spec.matchConstraints.resourceRules[0].resourceNames[1]: Duplicate value: "a"',
      `spec.matchConstraints.resourceRules[0].resources: Invalid value: ["*","pods"]: if '*' is present, must not specify other resources without subresources`,
    ],
  ],
  [
    'ValidatingAdmissionPolicy',
    { matchConstraints, validations: [{ expression: ' ', message: 'a\nb', reason: 'Because' }] },
    [
      'spec.validations[0].expression: Required value: expression is not specified',
      'spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks',
      'spec.validations[0].reason: Unsupported value: "Because": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"',
    ],
  ],
  [
    'ValidatingAdmissionPolicy',
    {
      matchConstraints,
      validations,
      paramKind: { apiVersion: 'a/b/c', kind: '' },
      variables: [{ name: '1a', expression: '' }],
      matchConditions: [
        { name: 'c', expression: '' },
        { name: 'c', expression: 'true' },
      ],
    },
    [
      'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
      'spec.paramKind.kind: Required value',
      'spec.matchConditions[0].expression: Required value',
      'spec.matchConditions[1].name: Duplicate value: "c"',
      'spec.variables[0].name: Invalid value: "1a": name is not a valid CEL identifier',
      'spec.variables[0].expression: Required value: expression is not specified',
    ],
  ],
  [
    'MutatingAdmissionPolicy',
    { matchConstraints },
    ['spec.mutations: Required value: mutations must contain at least one item', 'spec.reinvocationPolicy: Required value'],
  ],
  [
    'MutatingAdmissionPolicy',
    { ...mutating, mutations: [{ ...mutation, patchType: 'ApplyConfiguration' }, { patchType: 'Other' }] },
    [
      'spec.mutations[0].applyConfiguration: Required value: must be specified when patchType is ApplyConfiguration',
      'spec.mutations[0].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration',
      'spec.mutations[1].patchType: Unsupported value: "Other": supported values: "ApplyConfiguration", "JSONPatch"',
    ],
  ],
  [
    'ValidatingAdmissionPolicyBinding',
    { policyName: '', validationActions: ['Deny', 'Warn', 'Deny'], paramRef: { name: 'a', selector: {} } },
    [
      'spec.policyName: Required value',
      'spec.paramRef.name: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.selector: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.parameterNotFoundAction: Required value',
      'spec.validationActions[2]: Duplicate value: "Deny"',
      'spec.validationActions: Invalid value: ["Deny","Warn","Deny"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
    ],
  ],
])('a %s is refused with all that is wrong with it: %j', (kind, spec, expected) => {
  expect(problems(kind, spec)).toEqual(expected);
});

import { describe, expect, test } from 'vitest';
import type { APIService, APIServiceSpec } from '#kube/generated/apiregistration-v1.ts';
import { apiServiceKind } from './api-service.ts';
import { validateApiService, validateApiServiceStatus } from './validation.ts';

const good: APIServiceSpec = {
  group: 'metrics.k8s.io',
  version: 'v1beta1',
  groupPriorityMinimum: 100,
  versionPriority: 100,
  service: { namespace: 'kube-system', name: 'metrics-server', port: 443 },
};
const object = (spec: Partial<APIServiceSpec>, name?: string): APIService => {
  const all = { ...good, ...spec };
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: name ?? `${all.version}.${all.group ?? ''}` },
    spec: all,
  };
};
const { service: _none, ...rest } = good;
const local = (spec: Partial<APIServiceSpec>): APIService => ({ ...object({}), spec: { ...rest, ...spec } });

test('what upstream accepts is accepted', () => {
  expect(validateApiService(object({}))).toEqual([]);
  expect(validateApiService(object({ caBundle: 'QUJD' }))).toEqual([]);
  expect(validateApiService(local({}))).toEqual([]);
  expect(validateApiService(object({ group: '', version: 'v1' }, 'v1.'))).toEqual([]);
});

test.each([
  [
    'a name that is not version and group',
    object({}, 'metrics'),
    'metadata.name',
    'must be `spec.version+"."+spec.group`: "v1beta1.metrics.k8s.io"',
  ],
  ['no group', object({ group: '' }), 'spec.group', 'Required value: only v1 may have an empty group and it better be legacy kube'],
  ['a bad group', object({ group: 'a_b' }), 'spec.group', 'Invalid value: "a_b": a lowercase RFC 1123 subdomain'],
  ['a bad version', object({ version: '1v' }), 'spec.version', 'Invalid value: "1v": a DNS-1035 label'],
  [
    'a group priority of 0',
    object({ groupPriorityMinimum: 0 }),
    'spec.groupPriorityMinimum',
    'Invalid value: 0: must be positive and less than 20000',
  ],
  ['a group priority too high', object({ groupPriorityMinimum: 20001 }), 'spec.groupPriorityMinimum', 'Invalid value: 20001: must be'],
  [
    'a version priority too high',
    object({ versionPriority: 1001 }),
    'spec.versionPriority',
    'Invalid value: 1001: must be positive and less than 1000',
  ],
  [
    'a local one with a bundle',
    local({ caBundle: 'QUJD' }),
    'spec.caBundle',
    'Invalid value: "3 bytes": local APIServices may not have a caBundle',
  ],
  [
    'a local one without verification',
    local({ insecureSkipTLSVerify: true }),
    'spec.insecureSkipTLSVerify',
    'Invalid value: true: local APIServices may not have insecureSkipTLSVerify',
  ],
  ['a service without a name', object({ service: { namespace: 'a' } }), 'spec.service.name', 'Required value'],
  ['a service without a namespace', object({ service: { name: 'a' } }), 'spec.service.namespace', 'Required value'],
  [
    'a bad port',
    object({ service: { namespace: 'a', name: 'b', port: 0 } }),
    'spec.service.port',
    'Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive',
  ],
  [
    'a bundle that is not used',
    object({ caBundle: 'QUJD', insecureSkipTLSVerify: true }),
    'spec.insecureSkipTLSVerify',
    'Invalid value: true: may not be true if caBundle is present',
  ],
])('refused: %s', (_title, value, field, message) => {
  const errors = validateApiService(value);
  expect(errors.map((e) => e.field)).toEqual([field]);
  expect(errors[0]?.message).toContain(message);
});

test('a condition has one of three statuses', () => {
  const status = { conditions: [{ type: 'Available', status: 'Perhaps' }] };
  expect(validateApiServiceStatus({ ...object({}), status })).toMatchObject([
    {
      field: 'status.conditions[0].status',
      message: 'Unsupported value: "Perhaps": supported values: "True", "False", "Unknown"',
    },
  ]);
});

describe('the table', () => {
  const cells = (value: APIService) => apiServiceKind.table?.cells(value, new Date()).slice(0, 3);
  test.each([
    ['a local one', { ...local({}), status: { conditions: [{ type: 'Available', status: 'True', reason: 'Local' }] } }, ['Local', 'True']],
    ['one not looked at yet', object({}), ['kube-system/metrics-server', 'Unknown']],
    [
      'one that is not there',
      { ...object({}), status: { conditions: [{ type: 'Available', status: 'False', reason: 'MissingEndpoints' }] } },
      ['kube-system/metrics-server', 'False (MissingEndpoints)'],
    ],
  ])('shows %s', (_title, value, expected) => {
    expect(cells(value)).toEqual(['v1beta1.metrics.k8s.io', ...expected]);
  });
});

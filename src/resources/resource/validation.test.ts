/** Dynamic resource allocation, as upstream's pkg/apis/resource/validation tests state it. */
import { describe, expect, test } from 'vitest';
import { createProblems, statusProblems, updateProblems } from '../testing.ts';

const exactly = { deviceClassName: 'class' };
const claim = (devices: object): object => ({ spec: { devices } });
const one = claim({ requests: [{ name: 'r', exactly }] });
const made = (devices: object): string[] => createProblems('ResourceClaim', claim(devices));
const r0 = 'spec.devices.requests[0]';
const pool = { name: 'p', generation: 1, resourceSliceCount: 1 };
const slice = (fields: object): string[] => createProblems('ResourceSlice', { spec: { driver: 'd', pool, allNodes: true, ...fields } });
const device = (fields: object): string[] => slice({ devices: [{ name: 'a', ...fields }] });
const d0 = 'spec.devices[0]';
const unknownRequest = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

describe('refused at creation', () => {
  test.each<[string, string[], string[]]>([
    ['a claim', createProblems('ResourceClaim', one), []],
    [
      'a request of nothing',
      made({ requests: [{ name: 'r' }] }),
      [`${r0}: Required value: exactly one of \`exactly\` or \`firstAvailable\` is required`],
    ],
    [
      'a request without a class',
      made({ requests: [{ name: 'r', exactly: { deviceClassName: '' } }] }),
      [`${r0}.exactly.deviceClassName: Required value`],
    ],
    [
      'no device',
      made({ requests: [{ name: 'r', exactly: { ...exactly, allocationMode: 'ExactCount', count: -1 } }] }),
      [`${r0}.exactly.count: Invalid value: -1: must be greater than zero`],
    ],
    [
      'one request twice',
      made({
        requests: [
          { name: 'r', exactly },
          { name: 'r', exactly },
        ],
      }),
      ['spec.devices.requests[1]: Duplicate value: "r"'],
    ],
    [
      'a constraint on another request',
      made({ requests: [{ name: 'r', exactly }], constraints: [{ requests: ['q'], matchAttribute: 'd/a' }] }),
      [`spec.devices.constraints[0].requests[0]: Invalid value: "q": ${unknownRequest}`],
    ],
    [
      'a constraint on a bare name',
      made({ requests: [{ name: 'r', exactly }], constraints: [{ matchAttribute: 'a' }] }),
      [
        'spec.devices.constraints[0].matchAttribute: Invalid value: "a": a fully qualified name must be a domain and a name separated by a slash',
      ],
    ],
    [
      'parameters that are no object',
      made({ requests: [{ name: 'r', exactly }], config: [{ opaque: { driver: 'd' } }] }),
      ['spec.devices.config[0].opaque.parameters: Required value'],
    ],
    ['a slice', device({ attributes: { a: { string: 'x' }, 'd/v': { version: '1.2.3' } } }), []],
    [
      'no place',
      slice({ allNodes: undefined }),
      ['spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required'],
    ],
    [
      'two places',
      slice({ nodeName: 'n' }),
      [
        'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set',
      ],
    ],
    [
      'an attribute of two kinds',
      device({ attributes: { a: { string: 'x', bool: true } } }),
      [expect.stringMatching(/^spec\.devices\[0\]\.attributes\[a\]: Invalid value: .*: exactly one value must be specified$/)],
    ],
    [
      'a version that is none',
      device({ attributes: { a: { version: '1' } } }),
      [`${d0}.attributes[a].version: Invalid value: "1": must be a string compatible with semver.org spec 2.0.0`],
    ],
    [
      'a policy of one device',
      device({ capacity: { m: { value: '1', requestPolicy: { default: '1' } } } }),
      [`${d0}.capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true`],
    ],
    [
      'a class of a bare resource',
      createProblems('DeviceClass', { spec: { extendedResourceName: 'gpu' } }),
      ['spec.extendedResourceName: Invalid value: "gpu": must be a valid extended resource name'],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

test('a claim does not change', () => {
  expect(updateProblems('ResourceClaim', one, one)).toEqual([]);
  expect(updateProblems('ResourceClaim', claim({ requests: [{ name: 'q', exactly }] }), one)).toEqual([
    expect.stringMatching(/^spec: Invalid value: .*: field is immutable$/),
  ]);
});

test('the status of a claim', () => {
  const consumer = { resource: 'pods', name: 'p', uid: 'u' };
  const result = { request: 'r', driver: 'd', pool: 'p', device: 'a' };
  const allocation = { devices: { results: [result] } };
  const problems = (status: object, was: object = {}): string[] =>
    statusProblems('ResourceClaim', { ...one, status }, { ...one, status: was });
  expect(problems({ allocation, reservedFor: [consumer] })).toEqual([]);
  expect(problems({ reservedFor: [consumer] })).toEqual([
    'status.reservedFor: Forbidden: may not be specified when `allocated` is not set',
  ]);
  expect(problems({ allocation: { devices: { results: [{ ...result, request: 'q' }] } } })).toEqual([
    `status.allocation.devices.results[0].request: Invalid value: "q": ${unknownRequest}`,
  ]);
  expect(problems({ allocation: { devices: { results: [] } } }, { allocation })).toEqual([
    expect.stringMatching(/^status\.allocation: Invalid value: .*: field is immutable$/),
  ]);
  expect(problems({ allocation, devices: [{ driver: 'd', pool: 'p', device: 'b' }] })).toEqual([
    'status.devices[0]: Invalid value: "d/p/b": must be an allocated device in the claim',
  ]);
});

/** Kinds that people seldom write, as upstream's validation tests state them. */
import { describe, expect, test } from 'vitest';
import { createProblems, statusProblems, updateProblems } from './testing.ts';

const limits = (...list: object[]): string[] => createProblems('LimitRange', { spec: { limits: list } });
const quota = (spec: object): string[] => createProblems('ResourceQuota', { spec });
const level = (spec: object, name = 'x'): string[] => createProblems('PriorityLevelConfiguration', { metadata: { name }, spec });
const limited = (queuing: object): string[] =>
  level({ type: 'Limited', limited: { nominalConcurrencyShares: 1, limitResponse: { type: 'Queue', queuing } } });
const slice = (addressType: string, ...addresses: string[]): string[] =>
  createProblems('EndpointSlice', { addressType, endpoints: [{ addresses }] });
const storageClass = (fields: object): string[] => createProblems('StorageClass', { provisioner: 'p', ...fields });
const zones = (key: string, ...values: string[]): object => ({ matchLabelExpressions: [{ key, values }] });
const lease = (spec: object): string[] => createProblems('Lease', { spec });
const rules = (rule: object): string[] =>
  createProblems('FlowSchema', { spec: { priorityLevelConfiguration: { name: 'l' }, matchingPrecedence: 50, rules: [rule] } });
const all = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'] };
const masters = { kind: 'Group', group: { name: 'system:masters' } };

describe('refused at creation', () => {
  test.each<[string, string[], string[]]>([
    ['a range', limits({ type: 'Container', max: { cpu: '2' }, min: { cpu: '1' }, maxLimitRequestRatio: { cpu: '2' } }), []],
    [
      'bounds that cross',
      limits({ type: 'Container', max: { cpu: '1' }, min: { cpu: '2' }, default: { cpu: '1' }, defaultRequest: { cpu: '2' } }),
      [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default limit value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
      ],
    ],
    [
      'a ratio out of reach',
      limits({ type: 'Pod', max: { cpu: '2' }, min: { cpu: '1' }, maxLimitRequestRatio: { cpu: '3' } }),
      ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'],
    ],
    [
      'an unknown type twice',
      limits({ type: 'Odd', max: { cpu: '1' } }, { type: 'Odd' }),
      [
        'spec.limits[0].type: Invalid value: "Odd": must be a standard limit type or fully qualified',
        'spec.limits[1].type: Invalid value: "Odd": must be a standard limit type or fully qualified',
        'spec.limits[1].type: Duplicate value: "Odd"',
      ],
    ],
    ['a quota', quota({ hard: { pods: '1', 'requests.cpu': '1' }, scopes: ['NotBestEffort'] }), []],
    [
      'an unknown resource',
      quota({ hard: { odd: '1' } }),
      [
        'spec.hard[odd]: Invalid value: "odd": must be a standard resource type or fully qualified',
        'spec.hard[odd]: Invalid value: "odd": must be a standard resource for quota',
      ],
    ],
    ['half a pod', quota({ hard: { pods: '500m' } }), ['spec.hard[pods]: Invalid value: "500m": must be an integer']],
    [
      'a scope that has no such resource',
      quota({ hard: { 'requests.cpu': '1' }, scopes: ['BestEffort'] }),
      ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
    ],
    [
      'scopes that exclude each other',
      quota({ hard: { pods: '1' }, scopes: ['Terminating', 'NotTerminating'] }),
      ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'],
    ],
    [
      'a scope without values',
      quota({ hard: { pods: '1' }, scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In' }] } }),
      [
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      ],
    ],
    ['a level', limited({ queues: 64, handSize: 8, queueLengthLimit: 50 }), []],
    [
      'hands that are too large',
      limited({ queues: 128, handSize: 10, queueLengthLimit: 50 }),
      [
        'spec.limited.limitResponse.queuing.handSize: Invalid value: 10: required entropy bits of deckSize 128 and handSize 10 should not be greater than 60',
      ],
    ],
    [
      'another exempt level',
      level({ type: 'Exempt' }),
      ["spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'"],
    ],
    ['the exempt level', level({ type: 'Exempt', exempt: { lendablePercent: 50 } }, 'exempt'), []],
    [
      'the last level, changed',
      level({ type: 'Limited', limited: { nominalConcurrencyShares: 6, limitResponse: { type: 'Reject' } } }, 'catch-all'),
      [expect.stringMatching(/^spec: Invalid value: \{.*\}: spec of 'catch-all' must equal the fixed value$/)],
    ],
    ['rules', rules({ subjects: [masters], resourceRules: [all] }), []],
    [
      'rules of nothing',
      rules({ subjects: [{ kind: 'User' }], resourceRules: [{ ...all, verbs: ['*', 'get'], namespaces: [] }] }),
      [
        "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
        'spec.rules[0].resourceRules[0].verbs: Invalid value: ["*","get"]: if \'*\' is present, must not specify other verbs',
        'spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace',
      ],
    ],
    ['endpoints', slice('IPv4', '10.1.2.3'), []],
    [
      'endpoints on this machine',
      slice('IPv4', '127.0.0.1'),
      ['endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ],
    [
      'a name of one part',
      slice('FQDN', 'host'),
      ['endpoints[0].addresses[0]: Invalid value: "host": should be a domain with at least two segments separated by dots'],
    ],
    ['a class', storageClass({ allowedTopologies: [zones('a', 'x', 'y')] }), []],
    [
      'one place twice',
      storageClass({ allowedTopologies: [zones('a', 'x', 'y'), zones('a', 'y', 'x')] }),
      ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
    ],
    ['a parameter without a name', storageClass({ parameters: { '': 'x' } }), ['parameters: Invalid value: "": field can not be empty.']],
    ['a lease that nobody holds', lease({ holderIdentity: '', leaseDurationSeconds: 1 }), []],
    [
      'a preferred holder',
      lease({ preferredHolder: 'a' }),
      ['spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined'],
    ],
    [
      'a driver with short tokens',
      createProblems('CSIDriver', { metadata: { name: 'd' }, spec: { tokenRequests: [{ audience: 'a', expirationSeconds: 599 }] } }),
      ['spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes'],
    ],
    [
      'overhead of odd things',
      createProblems('RuntimeClass', { handler: 'h', overhead: { podFixed: { pods: '1' } } }),
      ['overhead.limits[pods]: Invalid value: "pods": must be a standard resource for containers'],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

describe('refused later', () => {
  const driver = (nodeID: string, count: number): object => ({ spec: { drivers: [{ name: 'd', nodeID, allocatable: { count } }] } });

  test('a driver of a node may change what it can take only', () => {
    expect(updateProblems('CSINode', driver('n', 2), driver('n', 1))).toEqual([]);
    expect(updateProblems('CSINode', driver('m', 1), driver('n', 1))).toEqual([
      expect.stringMatching(/^CSINodeDriver: Invalid value: .*: field is immutable$/),
    ]);
  });

  test("what a quota's status tells is checked", () => {
    const spec = { hard: { pods: '1' } };
    expect(statusProblems('ResourceQuota', { spec, status: { used: { odd: '1', pods: '-1' } } }, { spec })).toEqual([
      'status.used[odd]: Invalid value: "odd": must be a standard resource type or fully qualified',
      'status.used[odd]: Invalid value: "odd": must be a standard resource for quota',
      'status.used[pods]: Invalid value: "-1": must be greater than or equal to 0',
    ]);
  });

  test('who may attach a volume tells little of what went wrong', () => {
    const spec = { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'v' } };
    const status = { attached: false, attachError: { message: 'x'.repeat(1025) } };
    expect(statusProblems('VolumeAttachment', { spec, status }, { spec })).toEqual([
      'status.attachError.message: Too long: may not be more than 1024 bytes',
    ]);
  });
});

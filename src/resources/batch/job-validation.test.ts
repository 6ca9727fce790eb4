/** Jobs and CronJobs as upstream's pkg/apis/batch/validation/validation_test.go states them. */
import { describe, expect, test } from 'vitest';
import { createProblems, statusProblems, updateProblems } from '../testing.ts';

const container = { name: 'c', image: 'i' };
const template = { spec: { restartPolicy: 'Never', containers: [container] } };
const job = (fields: object = {}): string[] => createProblems('Job', { spec: { template, ...fields } });
const indexed = (fields: object): string[] => job({ completionMode: 'Indexed', completions: 2, ...fields });
const failing = (rule: object, fields: object = {}): string[] => job({ podFailurePolicy: { rules: [rule] }, ...fields });
const succeeding = (rule: object): string[] => indexed({ successPolicy: { rules: [rule] } });
const exit = (fields: object): object => ({ action: 'FailJob', onExitCodes: { operator: 'In', values: [1], ...fields } });
const rule0 = 'spec.podFailurePolicy.rules[0]';
const success0 = 'spec.successPolicy.rules[0]';

describe('a job', () => {
  test.each<[string, string[], string[]]>([
    ['a plain one', job(), []],
    ['an indexed one', indexed({ backoffLimitPerIndex: 1, maxFailedIndexes: 2 }), []],
    ['with a failure policy', failing(exit({ containerName: 'c', values: [1, 2] })), []],
    ['with a success policy', succeeding({ succeededIndexes: '0-1', succeededCount: 1 }), []],
    ['managed by others', job({ managedBy: 'acme.io/foo' }), []],
    [
      'negative amounts',
      job({ parallelism: -1, completions: -1, activeDeadlineSeconds: -1, backoffLimit: -1, ttlSecondsAfterFinished: -1 }),
      ['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit', 'ttlSecondsAfterFinished'].map(
        (part) => `spec.${part}: Invalid value: -1: must be greater than or equal to 0`,
      ),
    ],
    [
      'maxFailedIndexes alone',
      indexed({ maxFailedIndexes: 1 }),
      ['spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified'],
    ],
    [
      'a manager without a domain',
      job({ managedBy: 'foo' }),
      ['spec.managedBy: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")'],
    ],
    [
      'an unknown mode',
      job({ completionMode: 'Odd' }),
      ['spec.completionMode: Unsupported value: "Odd": supported values: "NonIndexed", "Indexed"'],
    ],
    [
      'an indexed one without completions',
      job({ completionMode: 'Indexed', parallelism: 1 }),
      ['spec.completions: Required value: when completion mode is Indexed'],
    ],
    [
      'too much parallelism',
      indexed({ parallelism: 100001 }),
      ['spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed'],
    ],
    [
      'very many completions',
      indexed({ completions: 100001, backoffLimitPerIndex: 1, parallelism: 10001 }),
      [
        'spec.maxFailedIndexes: Required value: must be specified when completions is above 100000',
        'spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index',
      ],
    ],
    [
      'limits of indexes without indexes',
      job({ backoffLimitPerIndex: 1 }),
      ['spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode'],
    ],
    [
      'a failure policy for pods that restart',
      failing(exit({}), { template: { spec: { ...template.spec, restartPolicy: 'OnFailure' } } }),
      ['spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified'],
    ],
    [
      'a rule without an action',
      failing({ ...exit({}), action: '' }),
      [`${rule0}.action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`],
    ],
    [
      'a rule that fails an index',
      failing({ ...exit({}), action: 'FailIndex' }),
      [`${rule0}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`],
    ],
    [
      'a rule of both sorts',
      failing({ ...exit({}), onPodConditions: [{ type: 'a', status: 'True' }] }),
      [`${rule0}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported`],
    ],
    [
      'a rule of no sort',
      failing({ action: 'Count' }),
      [`${rule0}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required`],
    ],
    [
      'exit codes',
      failing(exit({ containerName: 'x', values: [3, 0, 3] })),
      [
        `${rule0}.onExitCodes.containerName: Invalid value: "x": must be one of the container or initContainer names in the pod template`,
        `${rule0}.onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator`,
        `${rule0}.onExitCodes.values[2]: Duplicate value: 3`,
        `${rule0}.onExitCodes.values: Invalid value: [3,0,3]: must be ordered`,
      ],
    ],
    [
      'a replacement policy beside a failure policy',
      failing(exit({}), { podReplacementPolicy: 'TerminatingOrFailed' }),
      ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'],
    ],
    [
      'success without indexes',
      job({ successPolicy: { rules: [{ succeededCount: 1 }] } }),
      ['spec.successPolicy: Invalid value: {"rules":[{"succeededCount":1}]}: requires indexed completion mode'],
    ],
    [
      'success of nothing',
      succeeding({}),
      [`${success0}: Required value: at least one of succeededCount or succeededIndexes must be specified`],
    ],
    [
      'success of indexes that are not there',
      succeeding({ succeededIndexes: '0-5' }),
      [`${success0}.succeededIndexes: Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"`],
    ],
    [
      'success of more than there are',
      succeeding({ succeededCount: 3, succeededIndexes: '0' }),
      [
        `${success0}.succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of specified completions)`,
        `${success0}.succeededCount: Invalid value: 3: must be less than or equal to 1 (the number of indexes in the specified succeededIndexes field)`,
      ],
    ],
    [
      'labels of another job',
      createProblems('Job', { spec: { template: { ...template, metadata: { labels: { 'controller-uid': 'v', 'job-name': 'x' } } } } }),
      [
        `spec.template.metadata.labels[controller-uid]: Invalid value: {"job-name":"x","batch.kubernetes.io/job-name":"x","controller-uid":"v","batch.kubernetes.io/controller-uid":"u"}: must be 'u'`,
      ],
    ],
    [
      'a selector of its own',
      job({ selector: { matchLabels: { a: 'b' } } }),
      [
        'spec.selector: Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":"u","a":"b"}}: `selector` not auto-generated',
        'spec.template.metadata.labels: Invalid value: {"job-name":"x","batch.kubernetes.io/job-name":"x","controller-uid":"u","batch.kubernetes.io/controller-uid":"u"}: `selector` does not match template `labels`',
      ],
    ],
    [
      'a name too long for its pods',
      createProblems('Job', {
        metadata: { name: 'x'.repeat(62), namespace: 'default', uid: 'u' },
        spec: { template, completionMode: 'Indexed', completions: 10 },
      }),
      [`metadata.name: Invalid value: "${'x'.repeat(62)}": will not able to create pod with invalid DNS label: ${'x'.repeat(62)}-9`],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

describe('an update of a job', () => {
  const labels = { 'controller-uid': 'u', 'job-name': 'x' };
  const labelled = { metadata: { labels }, ...template };
  const base = { selector: { matchLabels: { 'controller-uid': 'u' } }, template: labelled };
  const change = (now: object, was: object, status: object = {}): string[] =>
    updateProblems('Job', { spec: { ...base, ...now }, status }, { spec: { ...base, ...was }, status });
  const placed = { ...labelled, spec: { ...template.spec, nodeSelector: { a: 'b' } } };
  const bigger = { ...labelled, spec: { ...template.spec, containers: [{ ...container, resources: { requests: { cpu: '2' } } }] } };
  const renamed = { ...labelled, spec: { ...template.spec, containers: [{ ...container, image: 'j' }] } };

  test.each<[string, string[], (string | RegExp)[]]>([
    ['parallelism', change({ parallelism: 3 }, { parallelism: 1 }), []],
    ['completions', change({ completions: 3 }, { completions: 1 }), ['spec.completions: Invalid value: 3: field is immutable']],
    [
      'completions and parallelism of an indexed one',
      change({ completionMode: 'Indexed', completions: 3, parallelism: 3 }, { completionMode: 'Indexed', completions: 1, parallelism: 1 }),
      [],
    ],
    [
      'completions of an indexed one',
      change({ completionMode: 'Indexed', completions: 3, parallelism: 1 }, { completionMode: 'Indexed', completions: 1, parallelism: 1 }),
      ['spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism'],
    ],
    ['where its pods run, while running', change({ template: placed }, {}), [/^spec\.template: Invalid value: .*: field is immutable$/]],
    ['where its pods run, before it began', change({ template: placed, suspend: true }, { suspend: true }), []],
    [
      'where its pods run, suspended later',
      change({ template: placed, suspend: true }, { suspend: true }, { startTime: '2026-01-01T00:00:00Z' }),
      [/^spec\.template\.spec: Invalid value: .*: field is immutable$/],
    ],
    ['what its pods need, suspended', change({ template: bigger, suspend: true }, { suspend: true }), []],
    ['what its pods need, while running', change({ template: bigger }, {}), [/^spec\.template: /]],
    ['images, suspended', change({ template: renamed, suspend: true }, { suspend: true }), [/^spec\.template\.spec: /]],
    ['its manager', change({ managedBy: 'a.b/c' }, {}), ['spec.managedBy: Invalid value: "a.b/c": field is immutable']],
  ])('%s', (_name, found, expected) => {
    expect(found).toHaveLength(expected.length);
    for (const [i, text] of expected.entries()) expect(found[i]).toMatch(text);
  });
});

describe('the status of a job', () => {
  const spec = { template, suspend: false };
  const start = '2026-01-01T00:00:00Z';
  const end = '2026-01-01T01:00:00Z';
  const is = (...types: string[]): object[] => types.map((type) => ({ type, status: 'True' }));
  const change = (now: object, was: object = {}, fields: object = {}): string[] =>
    statusProblems('Job', { spec: { ...spec, ...fields }, status: now }, { spec: { ...spec, ...fields }, status: was });
  const complete = { conditions: is('SuccessCriteriaMet', 'Complete'), startTime: start, completionTime: end };
  const parts = { completionMode: 'Indexed', completions: 5, backoffLimitPerIndex: 1 };

  test.each<[string, string[], string[]]>([
    ['running', change({ active: 2, ready: 1, startTime: start }), []],
    ['complete', change(complete), []],
    ['failed', change({ conditions: is('FailureTarget', 'Failed'), startTime: start }), []],
    [
      'negative counts',
      change({ active: -1, succeeded: -1, failed: -1, ready: -1, terminating: -1 }),
      [
        ...['active', 'succeeded', 'failed', 'ready', 'terminating'].map(
          (part) => `status.${part}: Invalid value: -1: must be greater than or equal to 0`,
        ),
        'status.failed: Invalid value: -1: cannot decrease the failed counter',
        'status.succeeded: Invalid value: -1: cannot decrease the succeeded counter',
      ],
    ],
    [
      'a pod counted twice',
      change({ uncountedTerminatedPods: { succeeded: ['a', ''], failed: ['a'] } }),
      [
        'status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
        'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
      ],
    ],
    [
      'complete too early',
      change({ conditions: is('Complete'), active: 1 }),
      [
        'status.completionTime: Required value: completionTime is required for Complete jobs',
        'status.startTime: Required value: startTime is required for finished job',
        'status.active: Invalid value: 1: active>0 is invalid for finished job',
        'status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
      ],
    ],
    [
      'complete and failed',
      change({ ...complete, conditions: is('SuccessCriteriaMet', 'Complete', 'FailureTarget', 'Failed') }),
      [
        'status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions',
        'status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions',
        'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions',
        'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions',
      ],
    ],
    [
      'failed without a target',
      change({ conditions: is('Failed'), startTime: start }),
      ['status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition'],
    ],
    [
      'an end before its beginning',
      change({ ...complete, completionTime: '2025-01-01T00:00:00Z' }),
      ['status.completionTime: Invalid value: "2025-01-01T00:00:00Z": must be equal to or after `startTime`'],
    ],
    [
      'an end of what goes on',
      change({ startTime: start, completionTime: end }),
      ['status.completionTime: Invalid value: "2026-01-01T01:00:00Z": cannot set completionTime when there is no Complete=True condition'],
    ],
    [
      'complete no more',
      change({ startTime: start }, complete),
      [
        'status.conditions: Invalid value: cannot disable the terminal Complete=True condition',
        'status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition',
      ],
    ],
    [
      'a beginning taken back',
      change({}, { startTime: start }),
      ['status.startTime: Required value: startTime cannot be removed for unsuspended job'],
    ],
    ['a beginning taken back while suspended', change({}, { startTime: start }, { suspend: true }), []],
    ['more ready than active', change({ ready: 2, active: 1 }), ['status.ready: Invalid value: 2: cannot set more ready pods than active']],
    ['indexes', change({ completedIndexes: '0-2', failedIndexes: '4' }, {}, parts), []],
    [
      'indexes out of order',
      change({ completedIndexes: '2,1' }, {}, parts),
      ['status.completedIndexes: Invalid value: "2,1": error parsing completedIndexes: non-increasing order, previous: 2, current: 1'],
    ],
    [
      'indexes twice',
      change({ completedIndexes: '0-2', failedIndexes: '1,4' }, {}, parts),
      ['status.failedIndexes: Invalid value: "1,4": failedIndexes and completedIndexes overlap at index: 1'],
    ],
    [
      'indexes of a job without',
      change({ completedIndexes: '0' }, {}, { completions: 1 }),
      ['status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode'],
    ],
    ['what has not changed is not judged', change({ conditions: is('Complete') }, { conditions: is('Complete') }), []],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

describe('a CronJob', () => {
  const cron = (fields: object = {}, job: object = {}): object => ({
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template, ...job } }, ...fields },
  });
  const zone = (name: string): string[] => createProblems('CronJob', cron({ timeZone: name }));
  const long = { metadata: { name: 'x'.repeat(53), namespace: 'default' }, ...cron() };

  test.each<[string, string[], string[]]>([
    ['a plain one', createProblems('CronJob', cron()), []],
    ['a time zone', zone('Europe/Berlin'), []],
    ['an unknown time zone', zone('Europe/Nowhere'), ['spec.timeZone: Invalid value: "Europe/Nowhere": unknown time zone Europe/Nowhere']],
    ['no time zone', zone(''), ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']],
    [
      'the local time zone',
      zone('Local'),
      ['spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'],
    ],
    [
      'a time zone in the schedule',
      createProblems('CronJob', cron({ schedule: 'TZ=UTC 0 * * * *' })),
      ['spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'],
    ],
    [
      'a time zone that was in the schedule',
      updateProblems('CronJob', cron({ schedule: 'TZ=UTC 0 * * * *' }), cron({ schedule: 'TZ=UTC * * * * *' })),
      [],
    ],
    [
      'a selector',
      createProblems('CronJob', cron({}, { selector: { matchLabels: { a: 'b' } }, manualSelector: true })),
      [
        'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
      ],
    ],
    ['a long name', createProblems('CronJob', long), [`metadata.name: Invalid value: "${'x'.repeat(53)}": must be no more than 52 bytes`]],
    ['a long name that it has already', updateProblems('CronJob', long, long), []],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

import { describe, expect, test } from 'vitest';
import { versionErrors, webhookErrors } from './version-validation.ts';

const schema = {
  openAPIV3Schema: {
    type: 'object',
    properties: { spec: { type: 'object', properties: { color: { type: 'string' }, list: { type: 'array', items: { type: 'string' } } } } },
  },
};
const told = (more: object): string[] =>
  versionErrors({ name: 'v1', served: true, storage: true, schema, ...more } as never, 'v').map((e) => `${e.field}: ${e.message}`);
const scale = (more: object) => ({
  subresources: { scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', ...more } },
});

describe('a version is refused for', () => {
  test.each<[string, object, string]>([
    [
      'replicas outside the spec',
      scale({ specReplicasPath: '.status.replicas' }),
      'v.subresources.scale.specReplicasPath: Invalid value: ".status.replicas": should be a json path under .spec',
    ],
    [
      'a path without a dot',
      scale({ statusReplicasPath: 'status.replicas' }),
      'v.subresources.scale.statusReplicasPath: Invalid value: "status.replicas": must be a simple json path starting with .',
    ],
    ['no path', scale({ specReplicasPath: '' }), 'v.subresources.scale.specReplicasPath: Required value'],
    [
      'a selector elsewhere',
      scale({ labelSelectorPath: '.metadata.labels' }),
      'v.subresources.scale.labelSelectorPath: Invalid value: ".metadata.labels": should be a json path under either .spec or .status',
    ],
    [
      'a column of an unknown type',
      { additionalPrinterColumns: [{ name: 'A', type: 'text', jsonPath: '.a' }] },
      'v.additionalPrinterColumns[0].type: Unsupported value: "text": supported values: "boolean", "date", "integer", "number", "string"',
    ],
    [
      'a column of an unknown format',
      { additionalPrinterColumns: [{ name: 'A', type: 'string', jsonPath: '.a', format: 'x' }] },
      'v.additionalPrinterColumns[0].format: Unsupported value: "x": supported values: "byte", "date", "date-time", "double", "float", "int32", "int64", "password"',
    ],
    [
      'a selectable field that is not there',
      { selectableFields: [{ jsonPath: '.spec.size' }] },
      'v.selectableFields[0].jsonPath: Invalid value: ".spec.size": does not refer to a valid field',
    ],
    [
      'a selectable list',
      { selectableFields: [{ jsonPath: '.spec.list' }] },
      'v.selectableFields[0].jsonPath: Invalid value: ".spec.list": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
    ],
    [
      'a field selectable twice',
      { selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.color' }] },
      'v.selectableFields[1].jsonPath: Duplicate value: ".spec.color"',
    ],
    [
      'a warning of what is not deprecated',
      { deprecationWarning: 'old' },
      'v.deprecationWarning: Invalid value: "old": can only be set for deprecated versions',
    ],
  ])('%s', (_title, more, message) => {
    expect(told(more)).toEqual([message]);
  });
});

test('a version with all that is right is accepted', () => {
  expect(
    told({
      ...scale({ labelSelectorPath: '.status.selector' }),
      selectableFields: [{ jsonPath: '.spec.color' }],
      additionalPrinterColumns: [{ name: 'A', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
      deprecated: true,
      deprecationWarning: 'old',
    }),
  ).toEqual([]);
});

test.each<[string, object, readonly string[]]>([
  ['that is right', { clientConfig: { url: 'https://host/path' }, conversionReviewVersions: ['v1'] }, []],
  [
    'without an address',
    { conversionReviewVersions: ['v1'] },
    ['c.webhookClientConfig: Required value: exactly one of url or service is required'],
  ],
  [
    'that is not asked over TLS',
    { clientConfig: { url: 'http://host/path' }, conversionReviewVersions: ['v1'] },
    [`c.webhookClientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]`],
  ],
  [
    'that knows no review of ours',
    { clientConfig: { url: 'https://host' }, conversionReviewVersions: ['v9'] },
    ['c.conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1'],
  ],
])('a webhook %s', (_title, webhook, expected) => {
  expect(webhookErrors(webhook as never, 'c').map((e) => `${e.field}: ${e.message}`)).toEqual(expected);
});

import { describe, expect, test } from 'vitest';
import type { CustomResourceDefinition } from '../generated/apiextensions-v1.ts';
import { definitionErrors } from './validation.ts';

type Json = Record<string, unknown>;

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        color: { type: 'string' },
        list: { type: 'array', items: { type: 'string' } },
        map: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
  },
};
const version = (more: Json = {}): Json => ({ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, ...more });
const second = (more: Json = {}): Json => version({ name: 'v2', storage: false, ...more });
const names = { plural: 'apples', singular: 'apple', kind: 'Apple', listKind: 'AppleList' };

/** A definition that is right but for what is changed. */
const definition = (spec: Json = {}, more: Json = {}): CustomResourceDefinition =>
  ({
    metadata: { name: 'apples.example.com' },
    spec: { group: 'example.com', scope: 'Namespaced', names, versions: [version()], conversion: { strategy: 'None' }, ...spec },
    status: { storedVersions: ['v1'] },
    ...more,
  }) as unknown as CustomResourceDefinition;

const told = (crd: CustomResourceDefinition, old?: CustomResourceDefinition): string[] =>
  definitionErrors(crd, old, () => []).map((e) => `${e.field}: ${e.message}`);

const label =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const otherSchema = { openAPIV3Schema: { ...schema, description: 'another' } };
const scale = (more: Json): Json => ({
  subresources: { scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', ...more } },
});
const column = (more: Json): Json => ({ additionalPrinterColumns: [{ name: 'A', type: 'string', jsonPath: '.a', ...more }] });
const one = (more: Json): CustomResourceDefinition => definition({ versions: [version(more)] });
const webhook = (clientConfig: unknown, conversionReviewVersions: readonly string[] = ['v1']): CustomResourceDefinition =>
  definition({ conversion: { strategy: 'Webhook', webhook: { clientConfig, conversionReviewVersions } } });
const selectable = (...paths: string[]): Json => ({ selectableFields: paths.map((jsonPath) => ({ jsonPath })) });
const goV1 =
  '{"Name":"v1","Served":true,"Storage":true,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}';

describe('a definition is refused for', () => {
  test.each<[string, CustomResourceDefinition, readonly string[]]>([
    [
      'a name that is not its own',
      definition({}, { metadata: { name: 'pears.example.com' } }),
      ['metadata.name: Invalid value: "pears.example.com": must be spec.names.plural+"."+spec.group'],
    ],
    ['no scope', definition({ scope: '' }), ['spec.scope: Required value']],
    [
      'another scope',
      definition({ scope: 'World' }),
      ['spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"'],
    ],
    [
      'a group that is no domain',
      definition({ group: 'example' }, { metadata: { name: 'apples.example' } }),
      ['spec.group: Invalid value: "example": should be a domain with at least one dot'],
    ],
    ['no schema', one({ schema: undefined }), ['spec.versions[0].schema.openAPIV3Schema: Required value']],
    [
      'a version with a bad name, which the internal version says twice',
      definition({ versions: [version({ name: 'V1' })] }, { status: { storedVersions: ['V1'] } }),
      [`spec.versions[0].name: Invalid value: "V1": ${label}`, `spec.version: Invalid value: "V1": ${label}`],
    ],
    [
      'two versions of one name',
      definition({ versions: [version(), version({ storage: false })] }),
      [`spec.versions: Invalid value: [${goV1},${goV1.replace('"Storage":true', '"Storage":false')}]: must contain unique version names`],
    ],
    [
      'two storage versions',
      definition({ versions: [version(), second({ storage: true })] }, { status: { storedVersions: ['v1', 'v2'] } }),
      [`spec.versions: Invalid value: [${goV1},${goV1.replace('"v1"', '"v2"')}]: must have exactly one version marked as storage version`],
    ],
    [
      'names that are no labels',
      definition({ names: { ...names, singular: 'an_apple', kind: 'An-Apple-', shortNames: ['A'], categories: ['C'] } }),
      [
        `spec.names.singular: Invalid value: "an_apple": ${label}`,
        `spec.names.kind: Invalid value: "An-Apple-": may have mixed case, but should otherwise match: ${label}`,
        `spec.names.shortNames[0]: Invalid value: "A": ${label}`,
        `spec.names.categories[0]: Invalid value: "C": ${label}`,
      ],
    ],
    [
      'names that are missing',
      definition({ names: { ...names, singular: '', listKind: '' } }),
      ['spec.names.singular: Required value', 'spec.names.listKind: Required value'],
    ],
    [
      'one kind for objects and lists',
      definition({ names: { ...names, listKind: 'Apple' } }),
      ['spec.names.listKind: Invalid value: "Apple": kind and listKind may not be the same'],
    ],
    [
      'a root of the schema that is more than fields, beside a status',
      one({ subresources: { status: {} }, schema: { openAPIV3Schema: { type: 'object', minProperties: 1, nullable: true } } }),
      [
        expect.stringMatching(
          /^spec\.validation\.openAPIV3Schema: Invalid value: \{"ID":"","Schema":"","Ref":null,"Description":"","Type":"object","Nullable":true,.*"MinProperties":1,.*"XValidations":null\}: only \[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations\] fields are allowed at the root of the schema if the status subresource is enabled$/,
        ) as unknown as string,
        'spec.validation.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root',
      ],
    ],
    [
      'another type at the root, beside a status',
      one({ subresources: { status: {} }, schema: { openAPIV3Schema: { type: 'array' } } }),
      [
        'spec.validation.openAPIV3Schema.type: Invalid value: "array": only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
      ],
    ],
    [
      'replicas outside the spec',
      one(scale({ specReplicasPath: '.status.replicas' })),
      ['spec.subresources.scale.specReplicasPath: Invalid value: ".status.replicas": should be a json path under .spec'],
    ],
    [
      'replicas without a dot, in one of two versions',
      definition({ versions: [version(), second(scale({ statusReplicasPath: 'status.replicas' }))] }),
      [
        'spec.versions[1].subresources.scale.statusReplicasPath: Invalid value: "status.replicas": must be a simple json path starting with .',
      ],
    ],
    ['no path', one(scale({ specReplicasPath: '' })), ['spec.subresources.scale.specReplicasPath: Required value']],
    [
      'a selector elsewhere',
      one(scale({ labelSelectorPath: '.metadata.labels' })),
      ['spec.subresources.scale.labelSelectorPath: Invalid value: ".metadata.labels": should be a json path under either .spec or .status'],
    ],
    [
      'a column of an unknown type',
      one(column({ type: 'text' })),
      ['spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string'],
    ],
    [
      'a column without a type',
      one(column({ type: '' })),
      ['spec.additionalPrinterColumns[0].type: Required value: must be one of boolean,date,integer,number,string'],
    ],
    [
      'a column of an unknown format',
      one(column({ format: 'x' })),
      ['spec.additionalPrinterColumns[0].format: Invalid value: "x": must be one of byte,date,date-time,double,float,int32,int64,password'],
    ],
    ['a column without a path', one(column({ jsonPath: '' })), ['spec.additionalPrinterColumns[0].JSONPath: Required value']],
    [
      'a path of a column without a dot, in one of two versions',
      definition({ versions: [version(column({ jsonPath: 'a' })), second()] }),
      ['spec.versions[0].additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path starting with .'],
    ],
    [
      'a selectable field that is not there',
      one(selectable('.spec.size')),
      ['spec.selectableFields[0].jsonPath: Invalid value: ".spec.size": is an invalid path: does not refer to a valid field'],
    ],
    [
      'a selectable field in brackets',
      one(selectable(".spec['color']")),
      [`spec.selectableFields[0].jsonPath: Invalid value: ".spec['color']": is an invalid path: array notation is not allowed`],
    ],
    [
      'a selectable field without a dot',
      one(selectable('spec.color')),
      ['spec.selectableFields[0].jsonPath: Invalid value: "spec.color": is an invalid path: expected [ or . but got: spec'],
    ],
    [
      'a selectable path that ends',
      one(selectable('.spec.')),
      ['spec.selectableFields[0].jsonPath: Invalid value: ".spec.": is an invalid path: unexpected end of JSON path'],
    ],
    [
      'a selectable list',
      one(selectable('.spec.list')),
      [
        'spec.selectableFields[0].jsonPath: Invalid value: ".spec.list": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
      ],
    ],
    [
      'a field selectable twice',
      one(selectable('.spec.color', '.spec.color')),
      ['spec.selectableFields[1].jsonPath: Duplicate value: ".spec.color"'],
    ],
    [
      'too many selectable fields',
      one(selectable(...Array.from({ length: 9 }, (_, i) => `.spec.map.k${i}`))),
      ['spec.selectableFields: Too many: 9: must have at most 8 items'],
    ],
    [
      'a warning of what is not deprecated',
      one({ deprecationWarning: 'old' }),
      ['spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions'],
    ],
    [
      'a warning that cannot be printed',
      one({ deprecated: true, deprecationWarning: 'é\n' }),
      [
        'spec.versions[0].deprecationWarning: Invalid value: "é\\n": must only contain printable UTF-8 characters; non-printable character found at index 2',
      ],
    ],
    [
      'another conversion',
      definition({ conversion: { strategy: 'Magic' } }),
      ['spec.conversion.strategy: Unsupported value: "Magic": supported values: "None", "Webhook"'],
    ],
    [
      'a webhook that is not asked',
      definition({ conversion: { strategy: 'None', webhook: { clientConfig: { url: 'https://h' }, conversionReviewVersions: ['v1'] } } }),
      [
        'spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook',
        'spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook',
      ],
    ],
    [
      'no webhook that could be asked',
      definition({ conversion: { strategy: 'Webhook' } }),
      [
        'spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook',
        'spec.conversion.conversionReviewVersions: Required value',
      ],
    ],
    [
      'a webhook without an address',
      webhook({}),
      ['spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required'],
    ],
    [
      'a webhook that is not asked over TLS',
      webhook({ url: 'http://u:p@host/path?q#f' }),
      [
        `spec.conversion.webhookClientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]`,
        'spec.conversion.webhookClientConfig.url: Invalid value: "u:p": user information is not permitted in the URL',
        'spec.conversion.webhookClientConfig.url: Invalid value: "f": fragments are not permitted in the URL',
        'spec.conversion.webhookClientConfig.url: Invalid value: "q": query parameters are not permitted in the URL',
      ],
    ],
    [
      'a webhook in no service',
      webhook({ service: { name: '', namespace: '', port: 0, path: 'a//B' } }),
      [
        'spec.conversion.webhookClientConfig.service.name: Required value: service name is required',
        'spec.conversion.webhookClientConfig.service.namespace: Required value: service namespace is required',
        'spec.conversion.webhookClientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive',
        `spec.conversion.webhookClientConfig.service.path: Invalid value: "a//B": must start with a '/'`,
        'spec.conversion.webhookClientConfig.service.path: Invalid value: "a//B": segment[0] may not be empty',
        'spec.conversion.webhookClientConfig.service.path: Invalid value: "a//B": segment[1] may not be empty',
        expect.stringContaining('"a//B": segment[2]: a lowercase RFC 1123 subdomain') as unknown as string,
      ],
    ],
    [
      'reviews that this server does not speak',
      webhook({ url: 'https://host' }, ['v9']),
      ['spec.conversion.conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1'],
    ],
    [
      'reviews said twice',
      webhook({ url: 'https://host' }, ['v1', 'v1']),
      ['spec.conversion.conversionReviewVersions[1]: Invalid value: "v1": duplicate version'],
    ],
    [
      'unknown fields that are kept',
      definition({ preserveUnknownFields: true }),
      [
        'spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ],
    ],
    [
      'a group of the community without an approval',
      definition({ group: 'apps.k8s.io' }, { metadata: { name: 'apples.apps.k8s.io' } }),
      [
        'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ],
    ],
  ])('%s', (_title, crd, errors) => {
    expect(told(crd)).toEqual(errors);
  });
});

test.each<[string, CustomResourceDefinition]>([
  [
    'one version with all that it may have',
    one({
      ...scale({ labelSelectorPath: '.status.selector' }),
      ...selectable('.spec.color', '.spec.map.any'),
      ...column({ type: 'date', jsonPath: '.metadata.creationTimestamp' }),
      deprecated: true,
      deprecationWarning: 'old',
    }),
  ],
  ['columns whose path nobody understands', one(column({ jsonPath: '.spec[?(' }))],
  ['a bundle that is none, while it is not in use', webhook({ url: 'https://host', caBundle: 'Cg==' })],
  ['two versions', definition({ versions: [version(), second({ schema: otherSchema })] })],
])('%s is accepted', (_title, crd) => {
  expect(told(crd)).toEqual([]);
});

describe('an update', () => {
  const inUse = { storedVersions: ['v1'], conditions: [{ type: 'Established', status: 'True' }] };
  const used = (spec: Json = {}): CustomResourceDefinition => definition(spec, { status: inUse });
  const bad = {
    strategy: 'Webhook',
    webhook: { clientConfig: { url: 'https://host', caBundle: 'Cg==' }, conversionReviewVersions: ['v1'] },
  };
  const good = { strategy: 'Webhook', webhook: { clientConfig: { url: 'https://host' }, conversionReviewVersions: ['v1'] } };
  const unknownReviews = { strategy: 'Webhook', webhook: { clientConfig: { url: 'https://host' }, conversionReviewVersions: ['v9'] } };
  const many = one(selectable(...Array.from({ length: 9 }, (_, i) => `.spec.map.k${i}`)));

  test.each<[string, CustomResourceDefinition, CustomResourceDefinition, readonly string[]]>([
    [
      'may not change scope, kind, group and plural of what is in use',
      definition(
        { scope: 'Cluster', group: 'example.org', names: { ...names, kind: 'Pear', plural: 'pears' } },
        { metadata: { name: 'pears.example.org' }, status: inUse },
      ),
      used(),
      [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'spec.names.kind: Invalid value: "Pear": field is immutable',
        'spec.group: Invalid value: "example.org": field is immutable',
        'spec.names.plural: Invalid value: "pears": field is immutable',
      ],
    ],
    ['may change the scope of what is not in use', definition({ scope: 'Cluster' }), definition(), []],
    [
      'may not bring a bundle that is none',
      used({ conversion: bad }),
      used({ conversion: good }),
      [
        'spec.conversion.webhookClientConfig.caBundle: Invalid value: "Cg==": unable to load root certificates: unable to parse bytes as PEM block',
      ],
    ],
    ['may keep a bundle that is none', used({ conversion: bad }), used({ conversion: bad }), []],
    ['may keep reviews that nobody knows', used({ conversion: unknownReviews }), used({ conversion: unknownReviews }), []],
    ['may keep too many selectable fields', many, many, []],
    [
      'may not drop a version in which objects are stored',
      definition({ versions: [second({ storage: true })] }, { status: { storedVersions: ['v1', 'v2'] } }),
      definition(),
      [
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions',
      ],
    ],
  ])('%s', (_title, crd, old, errors) => {
    expect(told(crd, old)).toEqual(errors);
  });

  test('checks only schemas that no version had before', () => {
    const checked: string[] = [];
    const check = (_schema: unknown, path: string): [] => {
      checked.push(path);
      return [];
    };
    definitionErrors(definition({ versions: [version({ schema: otherSchema }), second()] }), definition(), check);
    expect(checked).toEqual(['spec.versions[0].schema.openAPIV3Schema']);
  });
});

import { describe, expect, test } from 'vitest';
import { decodeBody, decodeObject } from './decode.ts';
import type { KindDef } from './kind.ts';
import { configMaps, deployments, podDisruptionBudgets, pods, secrets } from './refs.ts';
import type { Schema } from './schema.ts';
import { kindSchema } from './schema-registry.ts';

const kindOf = (ref: KindDef['ref']) => ({ ref, schema: kindSchema(ref.group, ref.version, ref.kind) ?? {} });
const pod = kindOf(pods as KindDef['ref']);
const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const decodePod = (value: unknown) => decodeObject(pod, value).object as unknown as Record<string, unknown>;

describe('what cannot be decoded is a BadRequest in the words of Go', () => {
  const cannot = 'Pod in version "v1" cannot be handled as a Pod: ';
  const unrecognized = "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: ";
  test.each<[string, unknown, string]>([
    [
      'string for a list',
      { spec: { containers: 'x' } },
      `${cannot}json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container`,
    ],
    [
      'string for a list in a list',
      { spec: { containers: [{ ports: 'x' }] } },
      `${cannot}json: cannot unmarshal string into Go struct field Container.spec.containers.ports of type []v1.ContainerPort`,
    ],
    [
      'number in a map of strings',
      { metadata: { labels: { a: 1 } } },
      `${cannot}json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string`,
    ],
    [
      'bool for an enum',
      { spec: { restartPolicy: true } },
      `${cannot}json: cannot unmarshal bool into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy`,
    ],
    [
      'fraction for an integer',
      { metadata: { generation: 1.5 } },
      `${cannot}json: cannot unmarshal number 1.5 into Go struct field ObjectMeta.metadata.generation of type int64`,
    ],
    [
      'int32 overflow',
      { spec: { priority: 3e9 } },
      `${cannot}json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32`,
    ],
    [
      'no time',
      { metadata: { creationTimestamp: 'abc' } },
      `${cannot}parsing time "abc" as "2006-01-02T15:04:05Z07:00": cannot parse "abc" as "2006"`,
    ],
    [
      'no amount',
      { spec: { containers: [{ resources: { limits: { cpu: 'lots' } } }] } },
      `${cannot}quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`,
    ],
    ['other version', { apiVersion: 'v2' }, 'the API version in the data (v2) does not match the expected API version (v1)'],
    ['broken JSON', '{"a":1 "b"}', `${unrecognized}invalid character '"' after object key:value pair ({"a":1 "b"})`],
    ['truncated JSON', '{"a', `${unrecognized}unexpected end of JSON input ({"a)`],
    ['no JSON', 'malformed', `${unrecognized}invalid character 'm' looking for beginning of value (6d616c666f726d6564)`],
    ['__proto__ in a map', '{"metadata":{"labels":{"__proto__":"x"}}}', `${cannot}the key "__proto__" is not allowed`],
  ])('%s', (_name, value, message) => {
    expect(() => decodeBody(pod, bytes(value), 'application/json', 'Strict')).toThrow(message);
  });

  test('nesting without end', () => {
    const deep = `${'{"x":'.repeat(5000)}1${'}'.repeat(5000)}`;
    expect(() => decodeBody(kindOf(pods as KindDef['ref']), bytes(deep), 'application/json', 'Strict')).toThrow('exceeded max depth');
  });

  test('illegal base64 in a Secret', () => {
    expect(() => decodeObject(kindOf(secrets as KindDef['ref']), { data: { a: 'ab$d' } })).toThrow(
      'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 2',
    );
  });
});

describe('fieldValidation', () => {
  const text =
    '{"metadata":{"name":"a","label":{}},"spec":{"foo":1,"containers":[{"name":"c","name":"d","bar":{"x":1}}],"hostNetwork":true,"hostNetwork":true}}';
  // In the order of the text, as Go's decoder comes to them.
  const problems = [
    'unknown field "metadata.label"',
    'unknown field "spec.foo"',
    'duplicate field "spec.containers[0].name"',
    'unknown field "spec.containers[0].bar"',
    'duplicate field "spec.hostNetwork"',
  ];
  test('Strict refuses unknown and duplicate fields', () => {
    expect(() => decodeBody(pod, bytes(text), 'application/json', 'Strict')).toThrow(
      `Pod in version "v1" cannot be handled as a Pod: strict decoding error: ${problems.join(', ')}`,
    );
  });
  test('Warn drops unknown fields and says so; the last duplicate counts', () => {
    const { object, warnings } = decodeBody(pod, bytes(text), 'application/json', 'Warn');
    expect(warnings).toEqual(problems);
    expect(object['spec']).toEqual({ containers: [{ name: 'd', resources: {} }], hostNetwork: true });
  });
  test('Ignore is silent', () => {
    expect(decodeBody(pod, bytes(text), 'application/json', 'Ignore').warnings).toEqual([]);
  });
});

describe('objects are in the form that Go would write', () => {
  test('nulls, empty and zero values of omitempty fields are left out; structs and required scalars are filled in', () => {
    const object = decodePod({
      metadata: { name: 'a', creationTimestamp: null, labels: {}, annotations: null },
      spec: { hostNetwork: false, nodeName: '', activeDeadlineSeconds: 0, containers: [{ args: [], env: [{ name: 'x', value: '' }] }] },
    });
    expect(object).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'a' },
      spec: { activeDeadlineSeconds: 0, containers: [{ name: '', env: [{ name: 'x' }], resources: {} }] },
      status: {},
    });
  });
  test('amounts and times are canonical', () => {
    const object = decodePod({
      metadata: { deletionTimestamp: '2024-01-01T02:00:00.5+02:00' },
      spec: { containers: [{ resources: { limits: { cpu: 0.5, memory: '1024Mi', 'nvidia.com/gpu': '1000m' } } }] },
    });
    expect(object['metadata']).toEqual({ deletionTimestamp: '2024-01-01T00:00:00Z' });
    expect(object['spec']).toMatchObject({
      containers: [{ resources: { limits: { cpu: '500m', memory: '1Gi', 'nvidia.com/gpu': '1' } } }],
    });
  });
  test('defaults that the schema holds are set', () => {
    expect(decodePod({ spec: { containers: [{ ports: [{ containerPort: 80 }] }] } })['spec']).toMatchObject({
      containers: [{ ports: [{ containerPort: 80, protocol: 'TCP' }] }],
    });
  });
  test('pointers keep their zero value, null in a map of strings is empty', () => {
    const deployment = decodeObject(kindOf(deployments as KindDef['ref']), { spec: { replicas: 0 } }).object;
    expect(deployment['spec']).toMatchObject({ replicas: 0 });
    expect(decodeObject(kindOf(configMaps as KindDef['ref']), { data: { a: null } }).object['data']).toEqual({ a: '' });
  });
  test('the input is neither changed nor shared', () => {
    const input = Object.freeze({ metadata: Object.freeze({ labels: Object.freeze({ a: 'b' }) }) });
    const object = decodeObject(pod, input).object;
    expect(object.metadata.labels).toEqual({ a: 'b' });
    expect(object.metadata.labels).not.toBe(input.metadata.labels);
  });
});

describe('YAML', () => {
  const decode = (text: string) =>
    decodeBody(pod, bytes(text), 'application/yaml; charset=utf-8', 'Strict').object as Record<string, unknown>;
  test('scalars are what sigs.k8s.io/yaml makes of them', () => {
    const object = decode(
      'metadata: {name: "on", labels: {a: "yes"}}\nspec:\n  hostNetwork: yes\n  hostPID: off\n  priority: 0644\n  nodeName: 1:30\n  subdomain: 2001-01-01\n',
    );
    expect(object['metadata']).toEqual({ name: 'on', labels: { a: 'yes' } });
    expect(object['spec']).toMatchObject({ hostNetwork: true, priority: 420, nodeName: '1:30', subdomain: '2001-01-01' });
  });
  test('anchors and merge keys work, bombs do not', () => {
    const spec = decode('spec:\n  containers:\n  - &a {name: x, image: img}\n  - <<: *a\n    name: z\n')['spec'];
    expect(spec).toMatchObject({
      containers: [
        { name: 'x', image: 'img' },
        { name: 'z', image: 'img' },
      ],
    });
    const bomb = Array.from({ length: 30 }, (_, i) => `a${i}: &a${i} [${i === 0 ? 'x' : `*a${i - 1}, *a${i - 1}, *a${i - 1}`}]`).join('\n');
    expect(() => decode(bomb)).toThrow('Excessive alias count');
  });
  test('keys that occur twice are refused, warned of or let through; the last one counts', () => {
    const text = bytes('metadata:\n  name: a\n  name: b\nspec: {foo: 1, foo: 2}\n');
    const as = (validation: 'Strict' | 'Warn' | 'Ignore') => decodeBody(pod, text, 'application/yaml', validation);
    const lines = ['line 3: key "name" already set in map', 'line 4: key "foo" already set in map'];
    expect(() => as('Strict')).toThrow(`strict decoding error: yaml: unmarshal errors:\n  ${lines.join('\n  ')}, unknown field "spec.foo"`);
    expect(as('Warn').warnings).toEqual([...lines, 'unknown field "spec.foo"']);
    expect(as('Ignore')).toMatchObject({ warnings: [], object: { metadata: { name: 'b' } } });
  });
});

describe('custom resources', () => {
  const schema: Schema = {
    custom: true,
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          size: { type: 'integer', default: 3 },
          text: { type: 'string', nullable: true, default: 'x' },
          list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } },
          free: { type: 'object', preserveUnknownFields: true },
          map: { type: 'object', additionalProperties: { type: 'string' } },
        },
      },
    },
  };
  const ref = { ...(pods as KindDef['ref']), group: 'example.com', kind: 'Thing', plural: 'things' };
  test('unknown fields are pruned, zero values and wrong types stay for validation, defaults are set', () => {
    const { object, warnings } = decodeObject(
      { ref, schema },
      {
        apiVersion: 'example.com/v1',
        kind: 'Thing',
        metadata: { name: 'a', creationTimestamp: null },
        spec: { size: null, text: null, list: [{ a: 1, b: 2 }], free: { any: [{ thing: '' }] }, map: { k: '' }, extra: 1 },
        other: 1,
      },
      'Warn',
    );
    expect(object).toEqual({
      apiVersion: 'example.com/v1',
      kind: 'Thing',
      metadata: { name: 'a' },
      spec: { size: 3, text: null, list: [{ a: 1 }], free: { any: [{ thing: '' }] }, map: { k: '' } },
    });
    expect(warnings).toEqual(['unknown field "spec.list[0].b"', 'unknown field "spec.extra"', 'unknown field "other"']);
  });
});

test('numbers that Go writes although they are optional are written: older clients insist on them', () => {
  const budget = kindOf(podDisruptionBudgets as KindDef['ref']);
  expect(decodeObject(budget, { metadata: { name: 'b' } }).object['status']).toEqual({
    currentHealthy: 0,
    desiredHealthy: 0,
    disruptionsAllowed: 0,
    expectedPods: 0,
  });
});

describe('bodies that are made to take long', () => {
  test('JSON in a YAML body is read as JSON, unless it is none', () => {
    const read = (text: string) => decodeBody(pod, bytes(text), 'application/yaml', 'Warn');
    expect(read('{"metadata": {"name": "a"}}').object.metadata.name).toBe('a');
    expect(read('{metadata: {name: a}, }').object.metadata.name).toBe('a');
    expect(read('{"metadata": {"name": "a", "name": "b"}}').warnings).toEqual(['line 1: key "name" already set in map']);
  });

  test.each(['1.0', '1e3', '-1E0', '1.50', '2147483648', '1e400'])('%s is no integer of 32 bits in JSON', (number) => {
    expect(() => decodeBody(pod, bytes(`{"spec": {"priority": ${number}}}`), 'application/json', 'Warn')).toThrow(
      `json: cannot unmarshal number ${number} into Go struct field PodSpec.spec.priority of type int32`,
    );
  });

  test('1.0 is an integer in YAML, and a number where any will do', () => {
    expect(decodeBody(pod, bytes('spec: {priority: 1.0}'), 'application/yaml', 'Warn').object).toMatchObject({ spec: { priority: 1 } });
    const text = '{"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 1.0, "memory": 1e3}}}]}}';
    const limits = { cpu: '1', memory: '1e3' };
    expect(decodeBody(pod, bytes(text), 'application/json', 'Warn').object).toMatchObject({
      spec: { containers: [{ resources: { limits } }] },
    });
    expect(() => decodeBody(pod, bytes('{"spec": 1.0}'), 'application/json', 'Warn')).toThrow('json: cannot unmarshal number into Go');
  });

  test.each(['application/json', 'application/yaml'])('%s: a number of a million digits is refused', (type) => {
    expect(() => decodeBody(pod, bytes(`{"spec": {"activeDeadlineSeconds": ${'1'.repeat(1_000_000)}}}`), type, 'Warn')).toThrow(
      /json: cannot unmarshal number|unsupported value: Infinity/,
    );
    expect(() => decodeBody(pod, bytes(`spec:\n  activeDeadlineSeconds: ${'1'.repeat(1_000_000)}\n`), 'application/yaml', 'Warn')).toThrow(
      /json: cannot unmarshal number|unsupported value: Infinity/,
    );
  });
});

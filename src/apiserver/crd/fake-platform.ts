/** CustomResourceDefinitions as a large platform installs them by the hundred: deep schemas with long descriptions, rules, columns. For tests and bench/. */

type Json = Record<string, unknown>;

const words =
  'the resource configuration controls how provider reconciles external instance region optional reference selector policy default value immutable after creation when set status conditions observed generation'.split(
    ' ',
  );

/** A small generator of numbers, the same for the same seed (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

type Pick = ReturnType<typeof numbers>;

const sentence = (pick: Pick, length: number): string => Array.from({ length }, () => words[pick(words.length)]).join(' ');

function leaf(pick: Pick): Json {
  const description = sentence(pick, 8 + pick(25));
  const kinds: readonly Json[] = [
    { type: 'string', maxLength: 256 },
    { type: 'string', enum: ['Always', 'Never', 'IfNeeded'], default: 'Always' },
    { type: 'integer', format: 'int64', minimum: 0 },
    { type: 'boolean', default: false },
    { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' },
    { type: 'object', additionalProperties: { type: 'string' } },
    { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
  ];
  return { description, ...kinds[pick(kinds.length)] };
}

/** An object of fields, some of which are objects and lists of objects. */
function struct(pick: Pick, depth: number, fields: number): Json {
  const properties: Json = {};
  for (let i = 0; i < fields; i++) {
    const inner = depth > 0 && i % 3 === 0;
    const list = inner && pick(2) === 0;
    const below = inner ? struct(pick, depth - 1, Math.max(3, fields - 3)) : leaf(pick);
    const keyed = list ? { 'x-kubernetes-list-type': 'atomic' } : {};
    properties[`field${i}`] = list ? { type: 'array', description: sentence(pick, 12), maxItems: 50, items: below, ...keyed } : below;
  }
  return { type: 'object', description: sentence(pick, 15), properties };
}

const conditions: Json = {
  type: 'array',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  items: {
    type: 'object',
    required: ['type', 'status'],
    properties: {
      type: { type: 'string' },
      status: { type: 'string' },
      reason: { type: 'string' },
      message: { type: 'string' },
      lastTransitionTime: { type: 'string', format: 'date-time' },
    },
  },
};

function versionOf(pick: Pick, name: string, storage: boolean): Json {
  const spec = struct(pick, 3, 9 + pick(3));
  const rules = [{ rule: '!has(self.field1) || !has(oldSelf.field1) || self.field1 == oldSelf.field1', message: 'field1 is immutable' }];
  return {
    name,
    served: true,
    storage,
    schema: {
      openAPIV3Schema: {
        type: 'object',
        description: sentence(pick, 12),
        required: ['spec'],
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: { type: 'object' },
          spec: { ...spec, 'x-kubernetes-validations': rules },
          status: { type: 'object', properties: { conditions, atProvider: struct(pick, 2, 6) } },
        },
      },
    },
    subresources: { status: {} },
    additionalPrinterColumns: [
      { name: 'READY', type: 'string', jsonPath: ".status.conditions[?(@.type=='Ready')].status" },
      { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  };
}

/** The n-th definition of the platform; ten groups in every hundred, one or two versions each. */
export function platformDefinition(n: number): Json {
  const pick = numbers(n + 1);
  const group = `g${Math.floor(n / 10)}.platform.example.org`;
  const kind = `Managed${n}`;
  const plural = `${kind.toLowerCase()}s`;
  const versions = n % 4 === 0 ? [versionOf(pick, 'v1beta2', true), versionOf(pick, 'v1beta1', false)] : [versionOf(pick, 'v1beta1', true)];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: { platform: 'example' } },
    spec: { group, scope: 'Cluster', names: { plural, singular: kind.toLowerCase(), kind, categories: ['managed'] }, versions },
  };
}

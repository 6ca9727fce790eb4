import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBody, decodeObject } from './decode.ts';
import type { KindDef } from './kind.ts';
import { configMaps, customResourceDefinitions, deployments, events, pods } from './refs.ts';
import { kindSchema } from './schema-registry.ts';
import { isStatus } from './status-error.ts';

const kinds = [pods, deployments, configMaps, customResourceDefinitions, events].map((ref) => {
  const r = ref as KindDef['ref'];
  return { ref: r, schema: kindSchema(r.group, r.version, r.kind) ?? {} };
});
const key = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'metadata', 'spec', 'data', 'labels', 'containers', 'template', 'versions', 'schema', 'kind'),
  fc.string({ maxLength: 4 }),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6 },
    fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.constantFrom('1Gi', '2024-01-01T00:00:00Z')),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** Runs something that may only fail as a client's error. */
function refusedOrDone(run: () => unknown): true {
  try {
    run();
  } catch (error) {
    if (!isStatus(error, 'BadRequest')) throw error;
  }
  return true;
}

test('any JSON value is decoded or refused, and reaches no prototype', () => {
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.dictionary(key, tree, { maxKeys: 6, noNullPrototype: true }), (kind, fields) => {
      refusedOrDone(() => {
        const text = JSON.stringify({ ...fields, kind: kind.ref.kind, apiVersion: '' });
        const { object } = decodeBody(kind, Buffer.from(text), 'application/json', 'Warn');
        expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
        expect(decodeObject(kind, JSON.parse(JSON.stringify(object))).object).toEqual(object);
      });
      expect(Object.keys(Object.prototype)).toEqual([]);
    }),
    { numRuns: 2000, seed: 20261122 },
  );
});

const line = fc.constantFrom(
  'a: b',
  '- x',
  '  c: *a',
  'a: &a {b: c}',
  '<<: *a',
  '? k',
  '!!binary x',
  '---',
  '%YAML 1.2',
  'n: 0x1F',
  '"',
  '{',
  '\t',
  'd: .inf',
  'spec: {x: 1:2}',
);

const configMap = { ref: configMaps as KindDef['ref'], schema: kindSchema('', 'v1', 'ConfigMap') ?? {} };

test('any text is read as YAML or refused', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n')),
        fc.string(),
      ),
      (text) => {
        const run = (): unknown => decodeBody(configMap, Buffer.from(text), 'application/yaml', 'Strict');
        expect(refusedOrDone(run)).toBe(true);
      },
    ),
    { numRuns: 2000, seed: 20261122 },
  );
});

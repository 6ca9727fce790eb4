import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeObject } from '#kube/decode.ts';
import type { KubeObject } from '#kube/object.ts';
import type { Schema } from '#kube/schema.ts';
import { resolveSchema } from '#kube/schema-registry.ts';
import { isStatus } from '#kube/status-error.ts';
import { builtinKinds } from './index.ts';
import { testContext } from './testing.ts';

/** Text that is often what a field wants, and often nearly so. */
const text = fc.constantFrom(
  '',
  'a',
  'a-b',
  'A B',
  '-',
  '1',
  '10%',
  'x/y',
  '/p',
  '../q',
  'a.b.c',
  '10.0.0.1',
  'None',
  '__',
  'constructor',
  '*/5 * * * *',
);
const number = fc.constantFrom(0, 1, -1, 80, 65536, 2 ** 31 - 1);

/** Values that fit a schema, parts of them missing. */
function fitting(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const resolved = resolveSchema(schema);
  if (resolved.enum !== undefined) return fc.oneof(fc.constantFrom(...(resolved.enum as string[])), text);
  switch (resolved.format ?? '') {
    case 'quantity':
      return fc.constantFrom('0', '1', '-1', '100m', '1Gi', 0.5, '1e3', '3n');
    case 'int-or-string':
      return fc.oneof(number, text);
    case 'date-time':
    case 'micro-time':
      return fc.constantFrom('2024-01-01T00:00:00Z', '1999-12-31T23:59:59.5+01:00');
    case 'byte':
      return fc.constantFrom('', 'YQ==', 'e30=');
    default:
  }
  if (resolved.properties !== undefined) {
    if (depth > 9) return fc.constant({});
    const properties = resolved.properties;
    const names = Object.keys(properties);
    return fc
      .subarray(names, { maxLength: Math.min(6, names.length) })
      .chain((chosen) => fc.record(Object.fromEntries(chosen.map((name) => [name, fitting(properties[name] ?? {}, depth + 1)]))));
  }
  if (resolved.type === 'array') return fc.array(fitting(resolved.items ?? {}, depth + 1), { maxLength: 2 });
  if (resolved.type === 'object') {
    const values = typeof resolved.additionalProperties === 'object' ? fitting(resolved.additionalProperties, depth + 1) : text;
    return fc.dictionary(text, values, { maxKeys: 2 });
  }
  if (resolved.type === 'boolean') return fc.boolean();
  if (resolved.type === 'integer' || resolved.type === 'number') return number;
  return resolved.type === 'string' ? text : fc.constantFrom(true, {}, []);
}

test.each(builtinKinds.map((kind) => [`${kind.ref.kind} ${kind.ref.group}/${kind.ref.version}`, kind] as const))(
  '%s: objects that fit the schema are defaulted, validated, shown and converted without a crash',
  (_name, kind) => {
    const property = fc.property(fitting(kind.schema, 0), fitting(kind.schema, 0), (value, other) => {
      const make = (given: unknown) => {
        const { apiVersion: _a, kind: _k, ...fields } = given as Record<string, unknown>;
        const { object } = decodeObject(kind, fields);
        kind.defaults?.(object);
        return object;
      };
      const draft = make(value);
      const old = make(other) as unknown as KubeObject;
      kind.prepareForCreate?.(draft, testContext);
      const object = draft as unknown as KubeObject;
      for (const error of kind.validate?.(object, testContext) ?? []) expect(error.field).toBeTypeOf('string');
      kind.prepareForUpdate?.(draft, old, testContext);
      kind.validateUpdate?.(object, old, testContext);
      kind.prepareForStatusUpdate?.(draft, old, testContext);
      kind.validateStatusUpdate?.(object, old, testContext);
      kind.table?.cells(object, testContext.now);
      for (const field of Object.values(kind.selectableFields ?? {})) expect(field(object)).toBeTypeOf('string');
      kind.scale?.selector(object);
      if (kind.convert !== undefined) decodeObject(kind, kind.convert.fromStored(kind.convert.toStored(draft)));
    });
    try {
      fc.assert(property, { numRuns: 60, seed: 20261122 });
    } catch (error) {
      if (isStatus(error)) throw new Error(`a value that fits was refused: ${error.message}`, { cause: error });
      throw error;
    }
  },
);

/** What one mutation of a MutatingAdmissionPolicy does to an object (k8s.io/apiserver pkg/admission/plugin/policy/mutating/patch). */
import { configurationErrors } from '#kube/apply-fields.ts';
import { mergeObjects } from '#kube/apply-merge.ts';
import { type ApplyType, applyType, isAtomic, isDeclared, memberSchema, shapeOf } from '#kube/apply-type.ts';
import { CelCompileError, celTypeText, type Program } from '#kube/cel.ts';
import { celToJson, readLiterals } from '#kube/cel-literals.ts';
import type { Mutation } from '#kube/generated/admissionregistration-v1.ts';
import { isArray, isObject } from '#kube/json-value.ts';
import type { Draft } from '#kube/kind.ts';
import { applyJsonPatch, JsonPatchTestFailed } from '#kube/patch-json.ts';
import type { Schema } from '#kube/schema.ts';
import { resolveDefinition } from '../managed-fields.ts';
import { type Bound, evaluationError, type PolicyScope } from './expressions.ts';
import { messageOf } from './policy.ts';

export interface CompiledMutation {
  readonly kind: 'apply' | 'json';
  readonly expression: string;
  /** Literals whose types do not match their place. */
  readonly mismatches: readonly string[];
  readonly program: Program;
}

/** The expression of a mutation. */
export const mutationExpression = (m: Mutation): string =>
  (m.patchType === 'JSONPatch' ? m.jsonPatch?.expression : m.applyConfiguration?.expression) ?? '';

/** Throws CelCompileError, also for a result that is of the wrong type. */
export function compileMutation(scope: PolicyScope, m: Mutation): CompiledMutation {
  const kind = m.patchType === 'JSONPatch' ? 'json' : 'apply';
  const expression = mutationExpression(m);
  const { expression: rewritten, mismatches } = readLiterals(expression);
  const program = scope.compile(rewritten);
  const fits = kind === 'json' ? /^list\b/ : /^map\b/;
  if (!fits.test(program.type))
    throw new CelCompileError(`must evaluate to ${kind === 'json' ? 'list(JSONPatch)' : 'Object'} but got ${celTypeText(program.type)}`);
  return { kind, expression, mismatches, program };
}

/** Paths of what is replaced as a whole: an apply configuration may not touch it, lest it remove what it does not name. */
function atomicPaths(value: unknown, type: ApplyType, path: string, found: string[]): void {
  const shape = shapeOf(type, value);
  if (shape !== 'scalar' && type.kind !== 'scalar' && isAtomic(type, shape)) found.push(path);
  if (isArray(value) && type.items !== undefined) {
    const items = applyType(type.items, resolveDefinition);
    for (const [i, item] of value.entries()) atomicPaths(item, items, `${path}[${i}]`, found);
  }
  if (!isObject(value)) return;
  for (const [name, member] of Object.entries(value)) {
    const schema = isDeclared(type, name) ? memberSchema(type, name) : undefined;
    if (schema !== undefined) atomicPaths(member, applyType(schema, resolveDefinition), `${path}.${name}`, found);
  }
}

function applied(object: Draft, configuration: unknown, schema: Schema): unknown {
  if (!isObject(configuration)) throw new Error('unsupported return type from ApplyConfiguration expression');
  const patch = { ...configuration, apiVersion: object.apiVersion, kind: object.kind };
  const errors = configurationErrors(patch, schema, resolveDefinition);
  if (errors.length > 0) throw new Error(`error applying patch: failed to convert patch object to typed object: ${errors.join('\n')}`);
  const atomic: string[] = [];
  atomicPaths(patch, applyType(schema, resolveDefinition), '', atomic);
  if (atomic.length > 0) {
    throw new Error(
      `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomic.join(', ')}`,
    );
  }
  return mergeObjects(object, patch, schema, resolveDefinition);
}

function patched(object: Draft, operations: unknown): unknown {
  if (!isArray(operations)) throw new Error('type mismatch: JSONPatchType.expression should evaluate to array');
  try {
    return applyJsonPatch(object, operations);
  } catch (error) {
    // A test that fails means that there is nothing to do.
    if (error instanceof Error && error.cause instanceof JsonPatchTestFailed) return object;
    throw new Error(`JSONPath: ${messageOf(error instanceof Error ? (error.cause ?? error) : error)}`, { cause: error });
  }
}

/** What a mutation makes of an object, not decoded yet. Rejects with Error. */
export async function mutatedObject(bound: Bound, m: CompiledMutation, object: Draft, schema: Schema): Promise<unknown> {
  let result: unknown;
  try {
    result = celToJson(await bound.evaluate(m.program));
  } catch (error) {
    throw new Error(evaluationError(m.expression, error), { cause: error });
  }
  if (m.mismatches.length > 0) throw new Error(`type mismatch: ${m.mismatches.join('\n')}`);
  return m.kind === 'json' ? patched(object, result) : applied(object, result, schema);
}

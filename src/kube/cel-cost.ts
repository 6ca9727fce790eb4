/**
 * What a rule may cost at most, judged from the schema alone: so that a definition whose rules could never be run within their budget is
 * refused when it is written (apiextensions-apiserver pkg/apis/apiextensions/validation, StaticEstimatedCostLimit).
 *
 * The estimate is coarser than upstream's. A rule is held to be too dear only where the estimate exceeds the limit a hundredfold,
 * which is where upstream stops counting too: between the two, rules are accepted and their running cost is limited.
 */
import type { CelNode } from './cel-macros.ts';
import { celName } from './cel-type.ts';
import type { Schema } from './schema.ts';

const costLimit = 10_000_000;
const tooDear = 100 * costLimit;

/** No request is larger, so no list or text in it is longer. */
const maxRequestBytes = 3 * 1024 * 1024;

export const tooDearMessage =
  'estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';

type Resolve = (ref: string) => Schema;

/** The fewest bytes that a value takes in JSON. */
function minBytes(schema: Schema | undefined, resolve: Resolve, depth = 0): number {
  if (schema === undefined || depth > 8) return 1;
  const s = schema.ref === undefined ? schema : resolve(schema.ref);
  if (s.nullable === true) return 4;
  if (s.type === 'boolean') return 4;
  if (s.type === 'string' && s.format !== 'int-or-string') return 2 + (s.validations?.minLength ?? 0);
  if (s.type === 'array') return 2;
  if (s.type !== 'object') return 1;
  let size = 2;
  for (const name of s.required ?? []) size += name.length + 4 + minBytes(s.properties?.[name], resolve, depth + 1);
  return size;
}

/** How many items, members or characters a value of a schema has at most; 1 where nothing is known. */
export function maxSize(schema: Schema | undefined, resolve: Resolve): number {
  if (schema === undefined) return 1;
  const s = schema.ref === undefined ? schema : resolve(schema.ref);
  if (s.type === 'array') return s.validations?.maxItems ?? Math.floor(maxRequestBytes / (minBytes(s.items, resolve) + 1));
  if (s.type === 'string') return s.validations?.maxLength ?? (s.enum === undefined ? maxRequestBytes : 64);
  if (s.type === 'object' && typeof s.additionalProperties === 'object') {
    return s.validations?.maxProperties ?? Math.floor(maxRequestBytes / (minBytes(s.additionalProperties, resolve) + 6));
  }
  return 1;
}

interface Estimate {
  readonly resolve: Resolve;
  readonly variables: ReadonlyMap<string, Schema | undefined>;
}

function memberSchema(schema: Schema | undefined, field: string, resolve: Resolve): Schema | undefined {
  if (schema === undefined) return undefined;
  const s = schema.ref === undefined ? schema : resolve(schema.ref);
  const declared = Object.entries(s.properties ?? {}).find(([name]) => celName(name) === field);
  return declared?.[1] ?? (typeof s.additionalProperties === 'object' ? s.additionalProperties : undefined);
}

function elementSchema(schema: Schema | undefined, resolve: Resolve): Schema | undefined {
  if (schema === undefined) return undefined;
  const s = schema.ref === undefined ? schema : resolve(schema.ref);
  if (s.type === 'array') return s.items;
  return typeof s.additionalProperties === 'object' ? s.additionalProperties : undefined;
}

interface Loop {
  readonly iterable: CelNode;
  readonly iterVarName: string;
  readonly step: CelNode;
}

const resolved = (node: CelNode): CelNode => node.meta.alternate ?? node;

/** The schema of what an expression selects, where it can be told. */
function schemaOf(e: Estimate, given: CelNode): Schema | undefined {
  const node = resolved(given);
  const args = node.args as readonly unknown[];
  if (node.op === 'id') return e.variables.get(node.args as string);
  if (node.op === '.' || node.op === '.?') return memberSchema(schemaOf(e, args[0] as CelNode), args[1] as string, e.resolve);
  if (node.op === '[]' || node.op === '[?]') return elementSchema(schemaOf(e, args[0] as CelNode), e.resolve);
  // What is filtered is no longer than it was.
  if (node.op === 'comprehension') return schemaOf(e, (node.args as Loop).iterable);
  return undefined;
}

/** What a loop goes over: a map's keys, a list's items. */
function iterated(schema: Schema | undefined, resolve: Resolve): Schema | undefined {
  const s = schema?.ref === undefined ? schema : resolve(schema.ref);
  return s?.type === 'array' ? s.items : { type: 'string', validations: { maxLength: 64 } };
}

const walksText = new Set(['contains', 'matches', 'matchesRE2', 'find', 'findAll', 'split', 'replace', 'indexOf', 'lastIndexOf']);

function costOf(e: Estimate, given: CelNode): number {
  const node = resolved(given);
  if (node.op === 'comprehension') {
    const loop = node.args as Loop;
    const range = schemaOf(e, loop.iterable);
    const variables = new Map(e.variables).set(loop.iterVarName, iterated(range, e.resolve));
    const step = loop.step.op === 'metered' ? (loop.step.args as CelNode) : loop.step;
    return costOf(e, loop.iterable) + maxSize(range, e.resolve) * (1 + costOf({ ...e, variables }, step));
  }
  let cost = 1;
  const args = node.args as readonly unknown[];
  if (node.op === 'rcall' && walksText.has(args[0] as string)) cost += maxSize(schemaOf(e, args[1] as CelNode), e.resolve) / 10;
  const add = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(add);
    else if (typeof value === 'object' && value !== null && 'op' in value) cost += costOf(e, value as CelNode);
  };
  const children = (node.meta.macro as { readonly children?: unknown } | undefined)?.children;
  add(children ?? node.args);
  return Math.min(cost, Number.MAX_SAFE_INTEGER);
}

/** Whether a checked expression on a value of a schema may cost far too much. `times`: how often the value may stand in one object. */
export function isTooDear(root: CelNode, schema: Schema, times: number, resolve: Resolve): boolean {
  const variables = new Map([
    ['self', schema],
    ['oldSelf', schema],
  ]);
  return costOf({ resolve, variables }, root) * Math.min(times, maxRequestBytes) > tooDear;
}

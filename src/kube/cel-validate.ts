/**
 * x-kubernetes-validations: the CEL rules in the schema of a custom resource, compiled once for a schema and run on each create
 * and update (k8s.io/apiextensions-apiserver pkg/apiserver/schema/cel).
 */
import { Optional } from '@marcbachmann/cel-js';
import { type Cel, CelCompileError, CelCostError, type CelScope, type Program, perCallLimit, requestBudget } from './cel.ts';
import { isTooDear, maxSize, tooDearMessage } from './cel-cost.ts';
import type { ParsedFieldPath } from './cel-field-path.ts';
import { parseFieldPath, schemaAtPath } from './cel-field-path.ts';
import { type CelType, type TypeBuilder, typeBuilder } from './cel-type.ts';
import { isObject, jsonEqual, own } from './json-value.ts';
import type { Schema, ValidationRule } from './schema.ts';
import type { FieldError } from './status-error.ts';

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
  readonly path: ParsedFieldPath | undefined;
  /** It compares with the old value, so it holds for updates only (unless optionalOldSelf). */
  readonly transition: boolean;
}

/** The rules of one schema and of what is below it; absent where there are none. */
interface Validator {
  readonly schema: Schema;
  readonly type: CelType;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, Validator>;
  readonly items: Validator | undefined;
  readonly values: Validator | undefined;
}

/** What is wrong with one rule of a schema: shown by the CustomResourceDefinition's validation. */
export interface RuleError {
  /** Path below the schema: properties[spec].x-kubernetes-validations[0].rule */
  readonly field: string;
  readonly value: string;
  readonly message: string;
  /** The rule is sound but could cost too much: reported as Forbidden, not as an invalid value. */
  readonly forbidden?: boolean;
}

export interface CelValidator {
  /** Rules that do not compile; they are not run. */
  readonly errors: readonly RuleError[];
  readonly hasRules: boolean;
  /** Runs the rules on a structurally valid object. `old`: the object before an update. */
  readonly validate: (object: unknown, old: unknown) => FieldError[];
}

/** Where in a schema rules are compiled. */
interface Place {
  readonly path: string;
  /** The whole object of a custom resource. */
  readonly root: boolean;
  /** The schemas around this one, which may refer to themselves. */
  readonly seen: ReadonlySet<Schema>;
  /** How often such a value may stand in one object. */
  readonly times: number;
}

interface Building {
  readonly cel: Cel;
  readonly resolve: (ref: string) => Schema;
  readonly errors: RuleError[];
}

function scopeFor(b: Building, schema: Schema, root: boolean, optionalOldSelf: boolean): { scope: CelScope; type: CelType } {
  const scope = b.cel.scope();
  const types: TypeBuilder = typeBuilder(scope, b.resolve);
  const type = types.typeOf(schema, root);
  scope.declareVariable('self', type.name);
  scope.declareVariable('oldSelf', optionalOldSelf ? `optional<${type.name}>` : type.name);
  return { scope, type };
}

const ruleText = (rule: ValidationRule): string => rule.rule.trim();

function compileRules(b: Building, schema: Schema, at: Place): { rules: CompiledRule[]; type: CelType | undefined } {
  const { path, root } = at;
  const given = schema.validations?.rules ?? [];
  const rules: CompiledRule[] = [];
  let type: CelType | undefined;
  const scopes = new Map<boolean, { scope: CelScope; type: CelType }>();
  for (const [i, rule] of given.entries()) {
    const field = `${path}x-kubernetes-validations[${i}]`;
    const fail = (member: string, value: string, message: string): number => b.errors.push({ field: `${field}.${member}`, value, message });
    const optional = rule.optionalOldSelf === true;
    const made = scopes.get(optional) ?? scopeFor(b, schema, root, optional);
    scopes.set(optional, made);
    // Values are made by the type of the first scope: typed objects belong to the scope that made them.
    type ??= made.type;
    if (ruleText(rule) === '') {
      fail('rule', rule.rule, 'rule is not specified');
      continue;
    }
    try {
      const program = made.scope.compile(ruleText(rule), { result: ['bool'] });
      const message = rule.messageExpression === undefined ? undefined : made.scope.compile(rule.messageExpression, { result: ['string'] });
      const where = rule.fieldPath === undefined ? undefined : parseFieldPath(rule.fieldPath);
      if (where !== undefined && schemaAtPath(schema, where, b.resolve) === undefined) {
        fail('fieldPath', rule.fieldPath ?? '', 'fieldPath must be a valid path: path not found in schema');
        continue;
      }
      if (isTooDear(program.root, schema, at.times, b.resolve)) {
        b.errors.push({ field: `${field}.rule`, value: rule.rule, message: tooDearMessage, forbidden: true });
        continue;
      }
      rules.push({ rule, program, message, path: where, transition: program.mentions('oldSelf') });
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      fail('rule', rule.rule, error.message);
    }
  }
  return { rules, type };
}

function build(b: Building, schema: Schema, at: Place): Validator | undefined {
  const { path, seen } = at;
  if (seen.has(schema)) return undefined;
  const below = new Set([...seen, schema]);
  const target = schema.ref === undefined ? schema : b.resolve(schema.ref);
  const { rules, type } = compileRules(b, target, at);
  const inside = (step: string, times = at.times): Place => ({ path: `${path}${step}.`, root: false, seen: below, times });
  const each = at.times * maxSize(target, b.resolve);
  const properties = new Map<string, Validator>();
  for (const [name, property] of Object.entries(target.properties ?? {})) {
    const v = build(b, property, inside(`properties[${name}]`));
    if (v !== undefined) properties.set(name, v);
  }
  const items = target.items === undefined ? undefined : build(b, target.items, inside('items', each));
  const extra = typeof target.additionalProperties === 'object' ? target.additionalProperties : undefined;
  const values = extra === undefined ? undefined : build(b, extra, inside('additionalProperties', each));
  if (rules.length === 0 && properties.size === 0 && items === undefined && values === undefined) return undefined;
  return { schema: target, type: type ?? { name: 'dyn', convert: (v) => v }, rules, properties, items, values };
}

interface Run {
  readonly errors: FieldError[];
  budget: number;
}

/**
 * Compiles the rules of a schema. `root`: the whole object of a custom resource. Compilation is the slow part: do it when the
 * definition changes, not for each object.
 */
export function compileValidations(cel: Cel, schema: Schema, resolve: (ref: string) => Schema): CelValidator {
  const b: Building = { cel, resolve, errors: [] };
  const root = build(b, schema, { path: '', root: true, seen: new Set(), times: 1 });
  return {
    errors: b.errors,
    hasRules: root !== undefined,
    validate: (object, old) => {
      const run: Run = { errors: [], budget: requestBudget };
      if (root !== undefined) validateNode(run, root, object, old, '');
      return run.errors;
    },
  };
}

const typeNameOf = (schema: Schema): string => schema.type ?? 'object';

function errorFor(v: Validator, rule: ValidationRule, field: string, detail: string): FieldError {
  const shown = field === '' ? '<nil>' : field;
  const type = JSON.stringify(typeNameOf(v.schema));
  if (rule.reason === 'FieldValueForbidden') return { field: shown, type: rule.reason, message: `Forbidden: ${detail}` };
  if (rule.reason === 'FieldValueRequired') return { field: shown, type: rule.reason, message: `Required value: ${detail}` };
  if (rule.reason === 'FieldValueDuplicate') return { field: shown, type: rule.reason, message: `Duplicate value: ${type}` };
  return { field: shown, type: 'FieldValueInvalid', message: `Invalid value: ${type}: ${detail}` };
}

/** The message of a failed rule: its messageExpression where that gives a usable text, else its message, else the rule. */
function messageFor(run: Run, compiled: CompiledRule, variables: Readonly<Record<string, unknown>>): string {
  const { rule, message } = compiled;
  if (message !== undefined) {
    try {
      const { value, cost } = message.evaluate(variables, Math.min(perCallLimit, run.budget));
      run.budget -= cost;
      if (typeof value === 'string' && value.trim() !== '' && !value.includes('\n') && Buffer.byteLength(value) <= 5 * 1024)
        return value.trim();
    } catch {
      // A message that cannot be made does not hide that the rule failed.
    }
  }
  const fixed = rule.message?.trim() ?? '';
  return fixed === '' ? `failed rule: ${ruleText(rule)}` : fixed;
}

function evaluationError(error: unknown, rule: ValidationRule): string {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof CelCostError) {
    return `'${text}': no further validation rules will be run due to call cost exceeds limit for rule: ${ruleText(rule)}`;
  }
  if (text.startsWith('no such overload') || text.startsWith('found no matching overload')) {
    return `'no such overload': call arguments did not match a supported operator, function or macro signature for rule: ${ruleText(rule)}`;
  }
  return `${text} evaluating rule: ${ruleText(rule)}`;
}

function runRules(run: Run, v: Validator, value: unknown, old: unknown, field: string): boolean {
  const unchanged = old !== undefined && jsonEqual(value, old);
  for (const compiled of v.rules) {
    const { rule, program, transition } = compiled;
    const optional = rule.optionalOldSelf === true;
    if (transition ? old === undefined && !optional : unchanged) continue;
    if (run.budget <= 0) {
      const why = 'validation failed due to running out of cost budget, no further validation rules will be run';
      run.errors.push(errorFor(v, {} as ValidationRule, field, why));
      return false;
    }
    const fail = (detail: string): number =>
      run.errors.push(errorFor(v, rule, compiled.path === undefined ? field : `${field}${compiled.path.text}`, detail));
    try {
      const oldSelf = v.type.convert(old);
      const variables = {
        self: v.type.convert(value),
        oldSelf: optional ? (old === undefined ? Optional.none() : Optional.of(oldSelf)) : oldSelf,
      };
      const result = program.evaluate(variables, Math.min(perCallLimit, run.budget));
      run.budget -= result.cost;
      if (result.value !== true) fail(messageFor(run, compiled, variables));
    } catch (error) {
      run.errors.push(errorFor(v, {} as ValidationRule, field, evaluationError(error, rule)));
      if (error instanceof CelCostError) return false;
    }
  }
  return true;
}

/** Old items by key, for lists that are maps: only there an item has an old self. */
function oldItems(schema: Schema, old: unknown): (item: unknown) => unknown {
  const keys = schema.listMapKeys;
  if (schema.listType !== 'map' || keys === undefined || !Array.isArray(old)) return () => undefined;
  const keyOf = (item: unknown): string => JSON.stringify(keys.map((k) => (isObject(item) ? own(item, k) : undefined) ?? null));
  const byKey = new Map(old.map((item) => [keyOf(item), item] as const));
  return (item) => byKey.get(keyOf(item));
}

function validateNode(run: Run, v: Validator, value: unknown, old: unknown, field: string): boolean {
  if (value === undefined || value === null) return true;
  if (!runRules(run, v, value, old ?? undefined, field)) return false;
  if (Array.isArray(value)) {
    if (v.items === undefined) return true;
    const oldOf = oldItems(v.schema, old);
    for (const [i, item] of value.entries()) if (!validateNode(run, v.items, item, oldOf(item), `${field}[${i}]`)) return false;
    return true;
  }
  if (!isObject(value)) return true;
  const oldMember = (name: string): unknown => (isObject(old) ? own(old, name) : undefined);
  for (const [name, member] of Object.entries(value)) {
    const declared = v.properties.get(name);
    const below = declared ?? (v.schema.properties !== undefined && Object.hasOwn(v.schema.properties, name) ? undefined : v.values);
    if (below === undefined) continue;
    const path = declared === undefined ? `${field}[${name}]` : field === '' ? name : `${field}.${name}`;
    if (!validateNode(run, below, member, oldMember(name), path)) return false;
  }
  return true;
}

/**
 * x-kubernetes-validations: the CEL rules in the schema of a custom resource, compiled once for a schema and run on each create
 * and update (k8s.io/apiextensions-apiserver pkg/apiserver/schema/cel).
 */
import { Optional } from '@marcbachmann/cel-js';
import { type Cel, CelCostError, requestBudget } from './cel.ts';
import { type CompiledRule, compileRules, type Rules, ruleText } from './cel-rules.ts';
import { isObject, jsonEqual, own } from './json-value.ts';
import type { Resolve, Schema, ValidationRule } from './schema.ts';
import type { FieldError } from './status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired } from './validation/field-error.ts';

export interface CelValidator {
  readonly hasRules: boolean;
  /** Runs the rules on a structurally valid object. `old`: the object before an update. */
  readonly validate: (object: unknown, old: unknown) => FieldError[];
}

interface Run {
  readonly errors: FieldError[];
  budget: number;
}

/** Compiles the rules of a schema. That is the slow part: do it when the definition changes, not for each object. */
export function compileValidations(cel: Cel, schema: Schema, resolve: Resolve): CelValidator {
  const root = compileRules(cel, schema, resolve);
  return {
    hasRules: root !== undefined,
    validate: (object, old) => {
      const run: Run = { errors: [], budget: requestBudget };
      if (root !== undefined) validateNode(run, root, { now: object, old, unchanged: false, field: '' });
      return run.errors;
    },
  };
}

const typeNameOf = (schema: Schema): string => schema.type ?? 'object';

function errorFor(v: Rules, reason: string | undefined, field: string, detail: string): FieldError {
  const shown = field === '' ? '<nil>' : field;
  const type = typeNameOf(v.schema);
  if (reason === 'FieldValueForbidden') return fieldForbidden(shown, detail);
  if (reason === 'FieldValueRequired') return fieldRequired(shown, detail);
  if (reason === 'FieldValueDuplicate') return fieldDuplicate(shown, type);
  return fieldInvalid(shown, type, detail);
}

const budgetSpent = 'running out of cost budget, no further validation rules will be run';
const maxMessageBytes = 5 * 1024;

/** How errors call a rule: by its message, else by its text. */
const calledRule = (rule: ValidationRule): string => ((rule.message ?? '') ? (rule.message ?? '').trim() : ruleText(rule));

type Message = { readonly text: string } | { readonly fatal: string };

/** The message of a failed rule: its messageExpression where that gives a usable text, else its message, else the rule. */
function messageFor(run: Run, compiled: CompiledRule, variables: Readonly<Record<string, unknown>>): Message {
  const { rule, message } = compiled;
  const fixed = (rule.message ?? '') ? calledRule(rule) : `failed rule: ${calledRule(rule)}`;
  if (message === undefined) return { text: fixed };
  const outcome = message.run(variables);
  if (outcome.cost > run.budget) return { fatal: `messageExpression evaluation failed due to ${budgetSpent}` };
  run.budget -= outcome.cost;
  if ('error' in outcome) {
    if (!(outcome.error instanceof CelCostError)) return { text: fixed };
    const shown = JSON.stringify(rule.messageExpression);
    return { fatal: `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${shown}` };
  }
  const text = typeof outcome.value === 'string' ? outcome.value.trim() : '';
  return { text: text === '' || text.includes('\n') || Buffer.byteLength(text) > maxMessageBytes ? fixed : text };
}

function evaluationError(error: Error, rule: ValidationRule): string {
  const text = error.message;
  if (error instanceof CelCostError) {
    return `'${text}': no further validation rules will be run due to call cost exceeds limit for rule: ${calledRule(rule)}`;
  }
  if (text.startsWith('no such overload') || text.startsWith('found no matching overload')) {
    return `'no such overload': call arguments did not match a supported operator, function or macro signature for rule: ${calledRule(rule)}`;
  }
  return `${text} evaluating rule: ${calledRule(rule)}`;
}

/** A value in an object, and what it was before an update. */
interface Value {
  readonly now: unknown;
  /** Undefined where there was none, or none that is known to be the same one. */
  readonly old: unknown;
  /** It, or something around it, is as it was. */
  readonly unchanged: boolean;
  readonly field: string;
}

/** Gives false where no more rules may be run. */
function runRules(run: Run, v: Rules, { now, old, unchanged, field }: Value): boolean {
  if (v.rules.length === 0) return true;
  const wrong = (detail: string): void => void run.errors.push(errorFor(v, undefined, field, detail));
  if (run.budget <= 0) {
    wrong(`validation failed due to ${budgetSpent}`);
    return false;
  }
  // Converted once for all rules: what one has read, the next need not convert.
  let self: unknown;
  let oldSelf: unknown;
  for (const compiled of v.rules) {
    const { rule, program, transition } = compiled;
    const optional = rule.optionalOldSelf === true;
    if (transition ? old === undefined && !optional : unchanged) continue;
    self ??= v.type.convert(now);
    oldSelf ??= v.type.convert(old);
    const variables = { self, oldSelf: optional ? (old === undefined ? Optional.none() : Optional.of(oldSelf)) : oldSelf };
    const outcome = program.run(variables);
    if (outcome.cost > run.budget) {
      wrong(`validation failed due to ${budgetSpent}`);
      return false;
    }
    run.budget -= outcome.cost;
    if ('error' in outcome) {
      wrong(evaluationError(outcome.error, rule));
      if (outcome.error instanceof CelCostError) return false;
      continue;
    }
    if (outcome.value === true) continue;
    const at = compiled.path === undefined ? field : `${field}${compiled.path.text}`;
    const message = messageFor(run, compiled, variables);
    if ('text' in message) run.errors.push(errorFor(v, rule.reason, at, message.text));
    else {
      run.errors.push(errorFor(v, undefined, at, message.fatal));
      return false;
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

/** Runs the rules of a value and of what is in it. Gives false where no more rules may be run. */
function validateNode(run: Run, v: Rules, value: Value): boolean {
  const { now, field } = value;
  if (now === undefined || now === null) return true;
  const old = value.old ?? undefined;
  const unchanged = value.unchanged || (old !== undefined && jsonEqual(now, old));
  if (!runRules(run, v, { now, old, unchanged, field })) return false;
  const below = (rules: Rules, member: unknown, before: unknown, at: string): boolean =>
    validateNode(run, rules, { now: member, old: before, unchanged, field: at });
  if (Array.isArray(now)) {
    const { items } = v;
    if (items === undefined) return true;
    const oldOf = oldItems(v.schema, old);
    return now.every((item, i) => below(items, item, oldOf(item), `${field}[${i}]`));
  }
  if (!isObject(now)) return true;
  const before = isObject(old) && v.schema.mapType !== 'atomic' ? old : undefined;
  const known = v.schema.properties ?? {};
  for (const [name, member] of Object.entries(now)) {
    const declared = v.properties.get(name);
    const rules = declared ?? (Object.hasOwn(known, name) ? undefined : v.values);
    if (rules === undefined) continue;
    const at = declared === undefined ? `${field}[${name}]` : field === '' ? name : `${field}.${name}`;
    if (!below(rules, member, before === undefined ? undefined : own(before, name), at)) return false;
  }
  return true;
}

/**
 * The rules in a schema (x-kubernetes-validations), compiled (k8s.io/apiextensions-apiserver pkg/apiserver/schema/cel/compilation.go),
 * and what is wrong with them, told when a definition is written.
 */
import { type Cel, CelCompileError, type CelScope, type Program } from './cel.ts';
import { type Cardinality, type CostBook, cardinalityBelow, createCostBook, timesOf } from './cel-cost.ts';
import { type ParsedFieldPath, parseFieldPath, schemaAtPath } from './cel-field-path.ts';
import { createSizes, type Sizes } from './cel-sizes.ts';
import { type CelType, typeBuilder } from './cel-type.ts';
import { goRule } from './crd/internal.ts';
import type { Resolve, Schema, ValidationRule } from './schema.ts';
import type { FieldError } from './status-error.ts';
import { fieldInvalid } from './validation/field-error.ts';

export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
  readonly path: ParsedFieldPath | undefined;
  /** It compares with the old value, so it holds for updates only (unless optionalOldSelf). */
  readonly transition: boolean;
}

/** The rules of one schema and of what is below it; absent where there are none. */
export interface Rules {
  readonly schema: Schema;
  readonly type: CelType;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, Rules>;
  readonly items: Rules | undefined;
  readonly values: Rules | undefined;
}

/** Where in a schema rules are compiled. Schemas have many places and few rules, so a path is put together when it is needed. */
interface Place {
  readonly step: string;
  readonly schema: Schema;
  /** Undefined: the whole object of a custom resource. */
  readonly around: Place | undefined;
  readonly cardinality: Cardinality;
  /** The list or map around this value in which old values are not found again. */
  readonly uncorrelated: Place | undefined;
}

function pathTo(place: Place): string {
  const around = place.around === undefined ? '' : pathTo(place.around);
  return around === '' ? place.step : `${around}.${place.step}`;
}

/** Schemas may refer to themselves. */
function isWithin(schema: Schema, place: Place | undefined): boolean {
  for (let at = place; at !== undefined; at = at.around) if (at.schema === schema) return true;
  return false;
}

/** What rules are judged by when a definition is written. */
interface Judge {
  readonly sizes: Sizes;
  readonly costs: CostBook;
}

interface Building {
  readonly cel: Cel;
  readonly resolve: Resolve;
  readonly errors: FieldError[];
  readonly judge: Judge | undefined;
}

/** Compiles the rules of a schema, leaving out those that do not compile. `root`: the whole object of a custom resource. */
export function compileRules(cel: Cel, schema: Schema, resolve: Resolve): Rules | undefined {
  return build({ cel, resolve, errors: [], judge: undefined }, top(schema, ''));
}

/** What is wrong with the rules of a schema that stands at a path: that they do not compile, or may cost too much. */
export function ruleErrors(cel: Cel, schema: Schema, resolve: Resolve, path: string): FieldError[] {
  const judge: Judge = { sizes: createSizes(), costs: createCostBook() };
  const b: Building = { cel, resolve, errors: [], judge };
  build(b, top(schema, path));
  return [...b.errors, ...judge.costs.total(path)];
}

const top = (schema: Schema, step: string): Place => ({ step, schema, around: undefined, cardinality: 1, uncorrelated: undefined });

interface Scoped {
  readonly scope: CelScope;
  readonly type: CelType;
}

/** The names in the expressions of rules. */
const wordsOf = (rules: readonly ValidationRule[]): ReadonlySet<string> =>
  new Set(rules.flatMap((r) => `${r.rule} ${r.messageExpression ?? ''}`.match(/[A-Za-z_]\w*/g) ?? []));

function scopeFor({ cel, resolve }: Building, schema: Schema, root: boolean, optionalOldSelf: boolean): Scoped {
  const scope = cel.scope();
  const words = wordsOf(schema.validations?.rules ?? []);
  const sizes = createSizes();
  const isKnown = (inner: Schema): boolean => inner.ref !== undefined || sizes.of(inner) !== undefined;
  const type = typeBuilder(scope, resolve, { words, isKnown }).typeOf(schema, root);
  scope.declareVariable('self', type.name);
  scope.declareVariable('oldSelf', optionalOldSelf ? `optional<${type.name}>` : type.name);
  return { scope, type };
}

/** The text of a rule as it is compiled and shown. */
export const ruleText = (rule: ValidationRule): string => rule.rule.trim();

const isOptional = (rule: ValidationRule): boolean => rule.optionalOldSelf === true;

function compileExpression(scope: CelScope, text: string, result: string, otherwise: string): Program {
  const program = scope.compile(text);
  if (program.type !== 'dyn' && program.type !== result) throw new CelCompileError(otherwise);
  return program;
}

/** Gives what `compile` gives, or notes what is wrong with it. */
function attempt<T>(b: Building, field: string, rule: ValidationRule, compile: () => T): T | undefined {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    b.errors.push(fieldInvalid(field, goRule(rule), error.message));
    return undefined;
  }
}

function messageOf({ scope }: Scoped, { messageExpression = '' }: ValidationRule): Program {
  try {
    return compileExpression(scope, messageExpression, 'string', 'messageExpression must evaluate to a string');
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    throw new CelCompileError(error.message.replace(/^compilation failed/, 'messageExpression compilation failed'));
  }
}

/** Where a rule's error is to stand; a path that leads nowhere is told with the texts of rules, and not heeded. */
function pathOf(b: Building, schema: Schema, { fieldPath = '' }: ValidationRule): ParsedFieldPath | undefined {
  const path = fieldPath === '' ? undefined : parseFieldPath(fieldPath);
  return path !== undefined && schemaAtPath(schema, path, b.resolve) !== undefined ? path : undefined;
}

/** What is wrong with how a rule uses the old value. */
function oldSelfErrors(rule: ValidationRule, transition: boolean, field: string, { uncorrelated }: Place): FieldError[] {
  if (transition) {
    if (uncorrelated === undefined) return [];
    const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${pathTo(uncorrelated)}`;
    return [fieldInvalid(`${field}.rule`, rule.rule, why)];
  }
  if (rule.optionalOldSelf === undefined) return [];
  return [fieldInvalid(`${field}.optionalOldSelf`, rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule')];
}

/** What the expressions of a rule may cost too much. */
function costErrors(b: Building, schema: Schema, { program, message }: CompiledRule, field: string, at: Place): FieldError[] {
  const self = b.judge?.sizes.of(schema, at.around === undefined || schema.embeddedResource === true);
  if (b.judge === undefined || self === undefined) return [];
  const { costs } = b.judge;
  return [
    ...costs.judge('rule', `${field}.rule`, program.root, self, timesOf(self, at.cardinality)),
    ...(message === undefined ? [] : costs.judge('messageExpression', `${field}.messageExpression`, message.root, self)),
  ];
}

function compileOwn(b: Building, schema: Schema, at: Place): { readonly rules: CompiledRule[]; readonly type: CelType | undefined } {
  const rules: CompiledRule[] = [];
  let type: CelType | undefined;
  const given = schema.validations?.rules;
  if (given === undefined) return { rules, type };
  const scopes = new Map<boolean, Scoped>();
  const path = pathTo(at);
  for (const [i, rule] of given.entries()) {
    const field = `${path === '' ? '' : `${path}.`}x-kubernetes-validations[${i}]`;
    const optional = isOptional(rule);
    const scoped = scopes.get(optional) ?? scopeFor(b, schema, at.around === undefined, optional);
    scopes.set(optional, scoped);
    // Values are made by the type of the first scope: typed objects belong to the scope that made them.
    type ??= scoped.type;
    // What is empty is told with the texts of rules.
    if (ruleText(rule) === '') continue;
    const fieldPath = pathOf(b, schema, rule);
    const compile = (): Program => compileExpression(scoped.scope, ruleText(rule), 'bool', 'cel expression must evaluate to a bool');
    const program = attempt(b, `${field}.rule`, rule, compile);
    if (program === undefined) continue;
    const hasMessage = (rule.messageExpression ?? '').trim() !== '';
    const message = hasMessage ? attempt(b, `${field}.messageExpression`, rule, () => messageOf(scoped, rule)) : undefined;
    const compiled: CompiledRule = { rule, program, message, path: fieldPath, transition: program.mentions('oldSelf') };
    b.errors.push(...costErrors(b, schema, compiled, field, at), ...oldSelfErrors(rule, compiled.transition, field, at));
    rules.push(compiled);
  }
  return { rules, type };
}

/** Values without a schema that says how to make them known to expressions. */
const untyped: CelType = { name: 'dyn', convert: (v) => v };

function build(b: Building, at: Place): Rules | undefined {
  if (isWithin(at.schema, at.around)) return undefined;
  const schema = at.schema.ref === undefined ? at.schema : b.resolve(at.schema.ref);
  const cardinality = cardinalityBelow(schema, at.cardinality);
  const below = (inner: Schema, step: string, correlated = true): Rules | undefined => {
    const uncorrelated = at.uncorrelated ?? (correlated ? undefined : at);
    return build(b, { step, schema: inner, around: at, cardinality, uncorrelated });
  };
  const values = typeof schema.additionalProperties === 'object' ? below(schema.additionalProperties, 'additionalProperties') : undefined;
  const properties = new Map<string, Rules>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const v = below(property, `properties[${name}]`, schema.mapType !== 'atomic');
    if (v !== undefined) properties.set(name, v);
  }
  const items = schema.items === undefined ? undefined : below(schema.items, 'items', schema.listType === 'map');
  const { rules, type } = compileOwn(b, schema, at);
  if (rules.length === 0 && properties.size === 0 && items === undefined && values === undefined) return undefined;
  return { schema, type: type ?? untyped, rules, properties, items, values };
}

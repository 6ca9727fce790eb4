/**
 * CEL as Kubernetes speaks it: the language with its extensions, compiled once and evaluated under a budget. The choice of the
 * library and its limits are in docs/adr/cel.md.
 */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { adapt, type CelNode, callOf, mentions, operatorPosition, selects } from './cel-ast.ts';
import { constantError } from './cel-constants.ts';
import { registerCore } from './cel-core.ts';
import { CelCostError, CelValueError, createMeter, type Define, defineNamespace, type Meter } from './cel-library.ts';
import { registerMacros } from './cel-macros.ts';
import { meterNodes } from './cel-metering.ts';
import { mayHoldNames, plainNames } from './cel-names.ts';
import { registerNetwork } from './cel-network.ts';
import { registerNumbers } from './cel-numbers.ts';
import { registerStrings } from './cel-strings.ts';
import { registerText } from './cel-text.ts';

export { CelCostError } from './cel-library.ts';

/** Cost units of one expression (apiserver/pkg/cel PerCallLimit). */
export const perCallLimit = 1_000_000;
/** Cost units of all expressions of one object or one request (RuntimeCELCostBudget). */
export const requestBudget = 10_000_000;

/** Declares what expressions may name: variables and the types of their fields. */
export interface CelScope {
  readonly declareType: (name: string, fields: Readonly<Record<string, string>>, ctor: new (...args: never[]) => object) => void;
  readonly declareVariable: (name: string, type: string) => void;
  /** Functions beyond Kubernetes' own: `receiver.name(types): result`. */
  readonly define: Define;
  readonly declareConstant: (name: string, type: string, value: unknown) => void;
  readonly compile: (expression: string, options?: CompileOptions) => Program;
  /** A scope that knows what this one knows; what is declared in one from then on is not in the other. */
  readonly clone: () => CelScope;
}

export interface CompileOptions {
  /** The types that the result may have. Absent: any. */
  readonly result?: readonly string[];
  /** True: a result whose type is known at run time only is refused too. */
  readonly exact?: boolean;
}

/** What is wrong with an expression, as upstream tells it. */
export class CelCompileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CelCompileError';
  }
}

/** What came of an evaluation, and what it cost in units of cel-go. `error`: CelCostError, or Error with CEL's text. */
export type Outcome = { readonly cost: number } & ({ readonly value: unknown } | { readonly error: Error });

export interface Program {
  readonly expression: string;
  /** The type that the checker found. */
  readonly type: string;
  readonly mentions: (variable: string) => boolean;
  /** Whether it reads a field of a variable. */
  readonly selects: (variable: string, field: string) => boolean;
  /** The checked syntax tree. */
  readonly root: CelNode;
  /** Evaluates it within the cost that one call may have. */
  readonly run: (variables: Readonly<Record<string, unknown>>) => Outcome;
  /** The value. Throws CelCostError when it costs too much, Error with CEL's text when it cannot be evaluated. */
  readonly evaluate: (variables: Readonly<Record<string, unknown>>) => unknown;
}

/** Kubernetes' CEL. One is enough for a process: scopes made from it share its tables. */
export interface Cel {
  readonly scope: () => CelScope;
}

const maxExpressionLength = 100_000;

/** Told how long expressions take, in seconds. */
export interface CelTimes {
  readonly compiled: (seconds: number) => void;
  readonly evaluated: (seconds: number) => void;
}

const untimed: CelTimes = { compiled: () => undefined, evaluated: () => undefined };

export function createCel(times: CelTimes = untimed): Cel {
  const meter = createMeter();
  const base = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  const library = { environment: base, meter, define: definer(base) };
  registerCore(library);
  registerMacros(library);
  registerStrings(library);
  registerText(library);
  registerNumbers(library);
  registerNetwork(library);
  defineNamespace(base, 'jsonpatch');
  library.define('jsonpatchNamespace.escapeKey(string): string', (_: object, key: string) =>
    key.replaceAll('~', '~0').replaceAll('/', '~1'),
  );
  return { scope: () => createScope(base.clone(), { meter, times }) };
}

const definer =
  (environment: Environment): Define =>
  (signature, handler) => {
    environment.registerFunction(signature, handler as never);
  };

/** What expressions are run with. */
interface Running {
  readonly meter: Meter;
  readonly times: CelTimes;
}

function createScope(environment: Environment, running: Running): CelScope {
  return {
    declareType: (name, fields, ctor) => {
      environment.registerType(name, { ctor, fields } as never);
      environment.registerOperator(`${name} == ${name}`, (a: { readonly equals?: (b: unknown) => boolean }, b: unknown) => {
        if (a.equals === undefined) throw new CelValueError('no such overload');
        return a.equals(b);
      });
    },
    declareVariable: (name, type) => {
      environment.registerVariable(name, type);
    },
    declareConstant: (name, type, value) => {
      environment.registerConstant(name, type, value);
    },
    define: definer(environment),
    compile: (expression, options = {}) => {
      const start = performance.now();
      try {
        return compile(environment, running, expression, options);
      } finally {
        running.times.compiled((performance.now() - start) / 1000);
      }
    },
    clone: () => createScope(environment.clone(), running),
  };
}

interface LibraryError {
  readonly code?: string;
  readonly node?: CelNode;
  readonly summary?: string;
  readonly message: string;
  readonly range?: { readonly start: number };
}

const summaryOf = (error: unknown): string => {
  const e = error as LibraryError;
  return e.summary ?? e.message;
};

/** The library's words for what every user of Kubernetes knows under cel-go's. */
const translations: readonly (readonly [RegExp, string])[] = [
  [/^No such key: (.*)$/s, "undefined field '$1'"],
  [/^Unknown variable: (.*)$/s, "undeclared reference to '$1' (in container '')"],
  [/^no such overload: (\S+) ([!=<>+\-*/%]+|in) (\S+)$/s, "found no matching overload for '_$2_' applied to '($1, $3)'"],
];

/** What is wrong with a call: no function has its name, or none of that name takes its arguments. */
function callMessage(node: CelNode | undefined): string | undefined {
  const call = node === undefined ? undefined : callOf(node);
  if (node === undefined || call === undefined) return undefined;
  if (node.candidates?.declarations.length === 0) return `undeclared reference to '${call.name}' (in container '')`;
  const [first = '', ...others] = call.args.map((arg) => celTypeText(arg.checkedType?.name ?? 'dyn'));
  const method = node.op === 'rcall' && call.args.length > (node.args as [string, CelNode, CelNode[]])[2].length;
  const applied = method ? `${first}.(${others.join(', ')})` : `(${[first, ...others].join(', ')})`;
  return `found no matching overload for '${call.name}' applied to '${applied}'`;
}

function compileMessage(error: unknown, expression: string): string {
  const e = error as LibraryError;
  let text = (e.code === 'no_matching_overload' ? callMessage(e.node) : undefined) ?? summaryOf(error);
  for (const [pattern, replacement] of translations) {
    if (pattern.test(text)) {
      text = text.replace(pattern, replacement);
      break;
    }
  }
  const start = e.node === undefined ? e.range?.start : operatorPosition(e.node, expression);
  const offset = Math.max(0, Math.min(start ?? 0, expression.length));
  const before = expression.slice(0, offset).split('\n');
  const column = before.at(-1)?.length ?? 0;
  const line = expression.split('\n')[before.length - 1] ?? '';
  const syntax = (error as Error).name === 'ParseError' ? 'Syntax error: ' : '';
  return `compilation failed: ERROR: <input>:${before.length}:${column + 1}: ${syntax}${text}\n | ${line}\n | ${'.'.repeat(column)}^`;
}

/** A type as cel-go writes it. */
export const celTypeText = (type: string): string =>
  type
    .replaceAll('<', '(')
    .replaceAll('>', ')')
    .replaceAll(/\bnull\b/g, 'null_type');

function compile(environment: Environment, running: Running, expression: string, options: CompileOptions): Program {
  if (expression.length > maxExpressionLength) throw new CelCompileError('compilation failed: expression is too long');
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = environment.parse(expression);
  } catch (error) {
    throw new CelCompileError(compileMessage(error, expression));
  }
  const root = parsed.ast as ASTNode as unknown as CelNode;
  const unknown = mayHoldNames(expression) ? adapt(root) : undefined;
  if (unknown !== undefined) throw new CelCompileError(compileMessage(unknown, expression));
  const checked = parsed.check();
  const wrong = checked.valid ? constantError(root, expression) : checked.error;
  if (wrong !== undefined) throw new CelCompileError(compileMessage(wrong, expression));
  const type = checked.type ?? 'dyn';
  const { result, exact = false } = options;
  if (result !== undefined && (exact || type !== 'dyn') && !result.includes(type)) {
    const wanted = result.map(celTypeText);
    const one = wanted.length === 1 ? wanted.join('') : `one of [${wanted.join(' ')}]`;
    throw new CelCompileError(`must evaluate to ${one} but got ${celTypeText(type)}`);
  }
  meterNodes(root, running.meter);
  const run = (variables: Readonly<Record<string, unknown>>): Outcome => evaluate(parsed, running, variables);
  return {
    expression,
    type,
    root,
    mentions: (variable) => expression.includes(variable) && mentions(root, variable),
    selects: (variable, field) => selects(root, variable, field),
    run,
    evaluate: (variables) => {
      const outcome = run(variables);
      if ('error' in outcome) throw outcome.error;
      return outcome.value;
    },
  };
}

type Variables = Readonly<Record<string, unknown>>;

function evaluate(parsed: ReturnType<Environment['parse']>, { meter, times }: Running, variables: Variables): Outcome {
  const start = performance.now();
  const end = meter.start(perCallLimit);
  const tooDear = (): Outcome => ({ error: new CelCostError(), cost: meter.spent() });
  try {
    const value: unknown = parsed(variables);
    // An expression may have stepped over the error with || or &&.
    return meter.exceeded() ? tooDear() : { value, cost: meter.spent() };
  } catch (error) {
    return meter.exceeded() ? tooDear() : { error: new Error(runtimeMessage(error), { cause: error }), cost: meter.spent() };
  } finally {
    end();
    times.evaluated((performance.now() - start) / 1000);
  }
}

/** The library's words for what cel-go says of values. */
const runtimeWords: readonly (readonly [RegExp, string])[] = [
  [/^No such key: index out of bounds, index (-?\d+) .*$/s, 'index out of bounds: $1'],
  [/^No such key: /, 'no such key: '],
  [/^modulo by zero/, 'modulus by zero'],
  [/^(integer overflow): .*$/s, '$1'],
  [/^Optional value is not present$/, 'optional.none() dereference'],
  [/^(bool|double)\(\) .*$/s, "type conversion error from 'string' to '$1'"],
  [/^timestamp\(\) requires a string .*$/s, "type conversion error from 'string' to 'google.protobuf.Timestamp'"],
  [/^Invalid duration string: .*$/s, "type conversion error from 'string' to 'google.protobuf.Duration'"],
];

function runtimeMessage(error: unknown): string {
  const text = plainNames(summaryOf(error));
  for (const [pattern, words] of runtimeWords) if (pattern.test(text)) return text.replace(pattern, words);
  return text;
}

/**
 * Macros that Kubernetes has and the CEL library does not: comprehensions over index and value, or key and value
 * (cel-go ext.TwoVarComprehensions), and optMap and optFlatMap of optional values. Loops of both kinds are metered.
 */
import { Optional } from '@marcbachmann/cel-js';
import { CelValueError, celMap, entriesOf, type Library, type Meter } from './cel-library.ts';

/** The parts of the library's syntax tree, checker and evaluator that macros touch. */
export interface CelNode {
  readonly op: string;
  args: unknown;
  readonly meta: { readonly alternate?: CelNode; readonly macro?: object };
  checkedType?: CelType;
  evaluate: (evaluator: Evaluator, node: CelNode, context: Context) => unknown;
}
interface CelType {
  readonly name: string;
  readonly kind: string;
  readonly keyType?: CelType;
  readonly valueType?: CelType;
}
interface Context {
  readonly forkWithVariable: (name: string, type: CelType) => Overlay;
}
interface Overlay extends Context {
  readonly reuse: (parent: Context) => Overlay;
  readonly setIterValue: (value: unknown, evaluator: Evaluator) => Overlay;
}
interface Checker {
  readonly check: (node: CelNode, context: Context) => CelType;
  readonly getType: (name: string) => CelType;
  readonly createError: (code: string, message: string, node: CelNode) => Error;
}
interface Evaluator {
  readonly run: (node: CelNode, context: Context) => unknown;
}
interface MacroCall {
  readonly args: readonly CelNode[];
  readonly receiver: CelNode;
  readonly ast: CelNode;
}

const nodeName = (node: CelNode | undefined, what: string): string => {
  if (node?.op !== 'id' || typeof node.args !== 'string') throw new CelValueError(`${what}: argument must be a simple name`);
  return node.args;
};

type Entry = readonly [unknown, unknown];

function entries(range: unknown): Entry[] {
  if (Array.isArray(range)) return range.map((v, i) => [BigInt(i), v] as const);
  if (typeof range === 'object' && range !== null) return entriesOf(range) as Entry[];
  throw new CelValueError('expression cannot be range of a comprehension');
}

interface Loop {
  readonly result: (checker: Checker, body: CelType) => CelType;
  /** Runs over the entries; `body` evaluates the last argument, `filter` the one before it where it is given. */
  readonly run: (items: readonly Entry[], body: (e: Entry) => unknown, filter: ((e: Entry) => unknown) | undefined) => unknown;
}

function firstDecisive(items: readonly Entry[], body: (e: Entry) => unknown, decisive: boolean): boolean {
  let failure: { readonly error: unknown } | undefined;
  for (const item of items) {
    try {
      if (body(item) === decisive) return decisive;
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return !decisive;
}

const bool = (checker: Checker): CelType => checker.getType('bool');
const dynMap = (checker: Checker): CelType => checker.getType('map');

const loops: Readonly<Record<string, Loop>> = {
  all: { result: bool, run: (items, body) => firstDecisive(items, body, false) },
  exists: { result: bool, run: (items, body) => firstDecisive(items, body, true) },
  existsOne: { result: bool, run: (items, body) => items.filter((e) => body(e) === true).length === 1 },
  transformList: {
    result: (checker, body) => checker.getType(`list<${body.name}>`),
    run: (items, body, filter) => items.filter((e) => filter === undefined || filter(e) === true).map(body),
  },
  transformMap: {
    result: dynMap,
    run: (items, body, filter) =>
      celMap(items.filter((e) => filter === undefined || filter(e) === true).map((e) => [String(e[0]), body(e)] as const)),
  },
  transformMapEntry: {
    result: dynMap,
    run: (items, body, filter) => {
      const out = new Map<string, unknown>();
      for (const e of items.filter((i) => filter === undefined || filter(i) === true)) {
        for (const [key, value] of entriesOf(body(e) as object)) {
          if (out.has(String(key))) throw new CelValueError(`insert failed: key '${String(key)}' already exists`);
          out.set(String(key), value);
        }
      }
      return celMap(out);
    },
  },
};

function keyAndValue(checker: Checker, range: CelType): readonly [CelType, CelType] {
  const dyn = checker.getType('dyn');
  if (range.kind === 'list') return [checker.getType('int'), range.valueType ?? dyn];
  if (range.kind === 'map') return [range.keyType ?? dyn, range.valueType ?? dyn];
  return [dyn, dyn];
}

function twoVariableMacro(name: string, loop: Loop, meter: Meter): (call: MacroCall) => object {
  return ({ args, receiver }) => {
    const key = nodeName(args[0], name);
    const value = nodeName(args[1], name);
    const body = args.at(-1) ?? receiver;
    const filter = args.length === 4 ? args[2] : undefined;
    let outer: Overlay | undefined;
    let inner: Overlay | undefined;
    return {
      // The fields by which the meter finds what is below a macro.
      children: [receiver, body, ...(filter === undefined ? [] : [filter])],
      typeCheck: (checker: Checker, _macro: object, context: Context): CelType => {
        const [keyType, valueType] = keyAndValue(checker, checker.check(receiver, context));
        outer = context.forkWithVariable(key, keyType);
        inner = outer.forkWithVariable(value, valueType);
        if (filter !== undefined) checker.check(filter, inner);
        return loop.result(checker, checker.check(body, inner));
      },
      evaluate: (evaluator: Evaluator, _macro: object, context: Context): unknown => {
        const items = entries(evaluator.run(receiver, context));
        const at = (node: CelNode) => (entry: Entry) => {
          meter.spend(1);
          if (outer === undefined || inner === undefined) throw new CelValueError(`${name}: not checked`);
          const o = outer.reuse(context).setIterValue(entry[0], evaluator);
          return evaluator.run(node, inner.reuse(o).setIterValue(entry[1], evaluator));
        };
        return loop.run(items, at(body), filter === undefined ? undefined : at(filter));
      },
    };
  };
}

function optionalMacro(name: string, flat: boolean): (call: MacroCall) => object {
  return ({ args, receiver }) => {
    const variable = nodeName(args[0], name);
    const body = args[1] ?? receiver;
    let inner: Overlay | undefined;
    return {
      children: [receiver, body],
      typeCheck: (checker: Checker, _macro: object, context: Context): CelType => {
        const type = checker.check(receiver, context);
        if (type.kind !== 'optional' && type.kind !== 'dyn') {
          throw checker.createError('optional_expected', `no such overload: ${type.name}.${name}`, receiver);
        }
        inner = context.forkWithVariable(variable, type.valueType ?? checker.getType('dyn'));
        const result = checker.check(body, inner);
        return flat ? result : checker.getType(`optional<${result.name}>`);
      },
      evaluate: (evaluator: Evaluator, _macro: object, context: Context): unknown => {
        const value = evaluator.run(receiver, context);
        if (!(value instanceof Optional)) throw new CelValueError('no such overload');
        if (!value.hasValue() || inner === undefined) return Optional.none();
        const result = evaluator.run(body, inner.reuse(context).setIterValue(value.value(), evaluator));
        return flat ? result : Optional.of(result);
      },
    };
  };
}

export function registerMacros({ define, meter }: Library): void {
  for (const [name, loop] of Object.entries(loops)) {
    define(`dyn.${name}(ast, ast, ast): dyn`, twoVariableMacro(name, loop, meter));
    if (name.startsWith('transform')) define(`dyn.${name}(ast, ast, ast, ast): dyn`, twoVariableMacro(name, loop, meter));
  }
  define('optional.optMap(ast, ast): dyn', optionalMacro('optMap', false));
  define('optional.optFlatMap(ast, ast): dyn', optionalMacro('optFlatMap', true));
}

interface Comprehension {
  iterable: CelNode;
  init: CelNode;
  step: CelNode;
}

const isNode = (value: unknown): value is CelNode => typeof value === 'object' && value !== null && 'op' in value && 'meta' in value;

/** The nodes directly below one, as they are evaluated: macros that expand stand for what they expand to. */
function childrenOf(node: CelNode): CelNode[] {
  const found: CelNode[] = [];
  const collect = (value: unknown): void => {
    if (isNode(value)) found.push(value);
    else if (Array.isArray(value)) value.forEach(collect);
  };
  const { macro } = node.meta;
  if (macro !== undefined) Object.values(macro).forEach(collect);
  collect(node.args);
  if (node.op === 'comprehension') Object.values(node.args as object).forEach(collect);
  return found;
}

/**
 * Makes every loop of a checked expression spend as it goes round: as many units as its body has nodes. Gives the number of nodes.
 */
export function meterLoops(root: CelNode, meter: Meter): number {
  const seen = new Set<CelNode>();
  const walk = (given: CelNode): number => {
    const node = given.meta.alternate ?? given;
    if (seen.has(node)) return 0;
    seen.add(node);
    let size = 1;
    for (const child of childrenOf(node)) size += walk(child);
    if (node.op === 'comprehension') {
      const comprehension = node.args as Comprehension;
      const { step } = comprehension;
      const cost = Math.max(1, Math.min(size, 1000));
      // The evaluator asks nothing but `evaluate` of a step; the rest is for those who walk the tree.
      comprehension.step = {
        op: 'metered',
        args: step,
        meta: {},
        evaluate: (evaluator: Evaluator, _node: CelNode, context: Context) => {
          meter.spend(cost);
          return step.evaluate(evaluator, step, context);
        },
      } as unknown as CelNode;
    }
    return size;
  };
  return walk(root);
}

/** Whether an expression names a variable. */
export function mentions(root: CelNode, variable: string): boolean {
  const seen = new Set<CelNode>();
  const walk = (node: CelNode): boolean => {
    if (seen.has(node)) return false;
    seen.add(node);
    if (node.op === 'id' && node.args === variable) return true;
    return childrenOf(node).some(walk) || (node.meta.alternate !== undefined && walk(node.meta.alternate));
  };
  return walk(root);
}

/** Whether an expression reads a field of a variable: `variable.field` or `variable.?field`. */
export function selects(root: CelNode, variable: string, field: string): boolean {
  const seen = new Set<CelNode>();
  const walk = (node: CelNode): boolean => {
    if (seen.has(node)) return false;
    seen.add(node);
    if (node.op === '.' || node.op === '.?') {
      const [operand, name] = node.args as [CelNode, unknown];
      if (operand.op === 'id' && operand.args === variable && name === field) return true;
    }
    return childrenOf(node).some(walk) || (node.meta.alternate !== undefined && walk(node.meta.alternate));
  };
  return walk(root);
}

/**
 * Changes a parsed expression before it is checked: calls of some methods go under another name (where the library's own form is not
 * good enough), and has() takes any selection, as in cel-go, not only chains of names.
 */
export function adapt(root: CelNode, methods: Readonly<Record<string, string>>): void {
  const seen = new Set<CelNode>();
  const walk = (node: CelNode): void => {
    if (seen.has(node)) return;
    seen.add(node);
    const call = node.args as unknown[];
    if (node.op === 'rcall' && typeof call[0] === 'string' && Object.hasOwn(methods, call[0])) call[0] = methods[call[0]];
    if (node.op === 'call' && call[0] === 'has') (node.meta as { macro: object }).macro = hasMacro((call[1] as CelNode[])[0] ?? node);
    for (const child of childrenOf(node)) walk(child);
    if (node.meta.alternate !== undefined) walk(node.meta.alternate);
  };
  walk(root);
}

interface FieldReader {
  readonly debugType: (value: unknown) => {
    readonly fieldLazy: (value: unknown, field: unknown, node: CelNode, evaluator: Evaluator) => unknown;
  };
}

function hasMacro(selection: CelNode): object {
  const operands = selection.args as [CelNode, string];
  return {
    children: [selection],
    typeCheck: (checker: Checker, _macro: object, context: Context): CelType => {
      if (selection.op !== '.' && selection.op !== '.?') {
        throw checker.createError('invalid_macro_argument', 'invalid argument to has() macro', selection);
      }
      checker.check(selection, context);
      return checker.getType('bool');
    },
    evaluate: (evaluator: Evaluator & FieldReader, _macro: object, context: Context): unknown => {
      let value = evaluator.run(operands[0], context);
      if (value instanceof Optional) {
        if (!value.hasValue()) return false;
        value = value.value();
      }
      return evaluator.debugType(value).fieldLazy(value, operands[1], selection, evaluator) !== undefined;
    },
  };
}

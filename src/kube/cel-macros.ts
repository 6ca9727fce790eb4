/**
 * Macros that Kubernetes has and the CEL library does not: comprehensions over index and value, or key and value
 * (cel-go ext.TwoVarComprehensions), and optMap and optFlatMap of optional values. What they cost is spent where loops are
 * metered (cel-metering.ts).
 */
import { Optional } from '@marcbachmann/cel-js';
import type { CelNode, CelNodeType, Checker, Context, Evaluator, MacroForm, Overlay, TwoVariableForm, TwoVariableLoop } from './cel-ast.ts';
import { type LoopCost, loopCosts } from './cel-figures.ts';
import { CelValueError, celMap, entriesOf, type Library, type Meter } from './cel-library.ts';

interface MacroCall {
  readonly args: readonly CelNode[];
  readonly receiver: CelNode;
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

/** One run of a loop: `body` evaluates the last argument, `filter` the one before it where it is given. */
interface Run {
  readonly items: readonly Entry[];
  readonly body: (e: Entry) => unknown;
  readonly filter: ((e: Entry) => unknown) | undefined;
  readonly cost: LoopCost;
  readonly spend: Meter['spend'];
}
interface Loop {
  readonly result: (checker: Checker, body: CelNodeType) => CelNodeType;
  readonly run: (run: Run) => unknown;
}

function firstDecisive({ items, body, cost, spend }: Run, decisive: boolean): boolean {
  let failure: { readonly error: unknown } | undefined;
  for (const [i, item] of items.entries()) {
    spend(cost.condition + cost.step);
    try {
      if (body(item) !== decisive) continue;
    } catch (error) {
      failure ??= { error };
      continue;
    }
    if (i < items.length - 1) spend(cost.condition);
    return decisive;
  }
  if (failure !== undefined) throw failure.error;
  return !decisive;
}

/** What a loop gathers, of the items that pass its filter. */
function gathered<T>({ items, body, filter, cost, spend }: Run, add: (e: Entry, value: unknown) => T): T[] {
  return items
    .filter((e) => filter === undefined || filter(e) === true)
    .map((e) => {
      const value = body(e);
      spend(cost.hit);
      return add(e, value);
    });
}

const bool = (checker: Checker): CelNodeType => checker.getType('bool');
const dynMap = (checker: Checker): CelNodeType => checker.getType('map');

const loops: Readonly<Record<TwoVariableLoop, Loop>> = {
  all: { result: bool, run: (run) => firstDecisive(run, false) },
  exists: { result: bool, run: (run) => firstDecisive(run, true) },
  existsOne: {
    result: bool,
    run: ({ items, body, cost, spend }) => {
      const { length } = items.filter((e) => body(e) === true);
      spend(length * cost.hit);
      return length === 1;
    },
  },
  transformList: {
    result: (checker, body) => checker.getType(`list<${body.name}>`),
    run: (run) => gathered(run, (_e, value) => value),
  },
  transformMap: { result: dynMap, run: (run) => celMap(gathered(run, (e, value) => [String(e[0]), value] as const)) },
  transformMapEntry: {
    result: dynMap,
    run: (run) => {
      const out = new Map<string, unknown>();
      gathered(run, (_e, value) => {
        for (const [key, member] of entriesOf(value as object)) {
          if (out.has(String(key))) throw new CelValueError(`insert failed: key '${String(key)}' already exists`);
          out.set(String(key), member);
        }
      });
      return celMap(out);
    },
  },
};

function keyAndValue(checker: Checker, range: CelNodeType): readonly [CelNodeType, CelNodeType] {
  const dyn = checker.getType('dyn');
  if (range.kind === 'list') return [checker.getType('int'), range.valueType ?? dyn];
  if (range.kind === 'map') return [range.keyType ?? dyn, range.valueType ?? dyn];
  return [dyn, dyn];
}

function twoVariableMacro(name: TwoVariableLoop, meter: Meter): (call: MacroCall) => object {
  const loop = loops[name];
  return ({ args, receiver }) => {
    const key = nodeName(args[0], name);
    const value = nodeName(args[1], name);
    const body = args.at(-1) ?? receiver;
    const filter = args.length === 4 ? args[2] : undefined;
    const form: TwoVariableForm = { name, range: receiver, key, value, filter, body };
    let outer: Overlay | undefined;
    let inner: Overlay | undefined;
    return {
      form,
      typeCheck: (checker: Checker, _macro: object, context: Context): CelNodeType => {
        const [keyType, valueType] = keyAndValue(checker, checker.check(receiver, context));
        outer = context.forkWithVariable(key, keyType);
        inner = outer.forkWithVariable(value, valueType);
        if (filter !== undefined) checker.check(filter, inner);
        return loop.result(checker, checker.check(body, inner));
      },
      evaluate: (evaluator: Evaluator, _macro: object, context: Context): unknown => {
        const items = entries(evaluator.run(receiver, context));
        const at = (node: CelNode) => (entry: Entry) => {
          if (outer === undefined || inner === undefined) throw new CelValueError(`${name}: not checked`);
          const o = outer.reuse(context).setIterValue(entry[0], evaluator);
          return evaluator.run(node, inner.reuse(o).setIterValue(entry[1], evaluator));
        };
        const cost = loopCosts[name];
        const out = loop.run({ items, body: at(body), filter: filter === undefined ? undefined : at(filter), cost, spend: meter.spend });
        meter.spend(cost.result);
        return out;
      },
    };
  };
}

function optionalMacro(name: 'optMap' | 'optFlatMap', meter: Meter): (call: MacroCall) => object {
  const flat = name === 'optFlatMap';
  return ({ args, receiver }) => {
    const variable = nodeName(args[0], name);
    const body = args[1] ?? receiver;
    const form: MacroForm = { name, target: receiver, variable, body };
    let inner: Overlay | undefined;
    return {
      form,
      typeCheck: (checker: Checker, _macro: object, context: Context): CelNodeType => {
        const type = checker.check(receiver, context);
        if (type.kind !== 'optional' && type.kind !== 'dyn') {
          throw checker.createError('optional_expected', `no such overload: ${type.name}.${name}`, receiver);
        }
        inner = context.forkWithVariable(variable, type.valueType ?? checker.getType('dyn'));
        const result = checker.check(body, inner);
        return flat ? result : checker.getType(`optional<${result.name}>`);
      },
      evaluate: (evaluator: Evaluator, _macro: object, context: Context): unknown => {
        const before = meter.spent();
        const value = evaluator.run(receiver, context);
        const receiverCost = meter.spent() - before;
        if (!(value instanceof Optional)) throw new CelValueError('no such overload');
        // In both cases it has been asked for its value, and something optional is made unless the body does that.
        meter.spend(flat && value.hasValue() ? 1 : 2);
        if (!value.hasValue() || inner === undefined) return Optional.none();
        // cel-go evaluates the receiver anew for its value.
        meter.spend(receiverCost + 1);
        const result = evaluator.run(body, inner.reuse(context).setIterValue(value.value(), evaluator));
        return flat ? result : Optional.of(result);
      },
    };
  };
}

export function registerMacros({ define, meter }: Library): void {
  define('dyn.exists_one(ast, ast, ast): dyn', twoVariableMacro('existsOne', meter));
  for (const name of Object.keys(loops) as TwoVariableLoop[]) {
    define(`dyn.${name}(ast, ast, ast): dyn`, twoVariableMacro(name, meter));
    if (name.startsWith('transform')) define(`dyn.${name}(ast, ast, ast, ast): dyn`, twoVariableMacro(name, meter));
  }
  define('optional.optMap(ast, ast): dyn', optionalMacro('optMap', meter));
  define('optional.optFlatMap(ast, ast): dyn', optionalMacro('optFlatMap', meter));
}

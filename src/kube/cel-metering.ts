/**
 * Makes a checked expression count what it costs while it runs, as cel-go does (interpreter/runtimecost.go), and stop where that is too
 * much. Nodes get an `evaluate` of their own, which the library's evaluator calls instead of theirs.
 */
import {
  actual,
  type CelNode,
  type Comprehension,
  type Context,
  callOf,
  type Evaluate,
  type Evaluator,
  isConstant,
  isTypeName,
  loopName,
} from './cel-ast.ts';
import { type CallCost, callCost } from './cel-call-costs.ts';
import { type LoopCost, listCost, loopCosts, mapCost } from './cel-figures.ts';
import { CelValueError, celEqual, type Meter } from './cel-library.ts';
import { associativeEqual, associativeSum, isAssociative } from './cel-lists.ts';

/** Names and what is selected from them: cel-go resolves a chain of these in one step. */
const attributes = new Set(['id', '.', '.?', '[]', '[?]', '?:']);
const isAttribute = (node: CelNode): boolean => attributes.has(node.op) && node.meta.alternate === undefined;

const isKeyed = (value: object): boolean => {
  const proto: unknown = Object.getPrototypeOf(value);
  return value instanceof Map || proto === null || proto === Object.prototype;
};

/** What a loop goes over: a list's items, a map's keys. */
function itemsOf(range: unknown): readonly unknown[] {
  if (Array.isArray(range)) return range;
  if (typeof range === 'object' && range !== null && isKeyed(range)) return range instanceof Map ? [...range.keys()] : Object.keys(range);
  throw new CelValueError('expression cannot be range of a comprehension');
}

interface Failure {
  readonly error: unknown;
}

/** all() and exists(): items whose predicate fails do not matter where another one decides. */
function quantify(
  loop: Comprehension,
  items: readonly unknown[],
  context: Context,
  evaluator: Evaluator,
  spend: (units: number) => void,
): unknown {
  const inner = loop.iterCtx.reuse(context);
  const cost: LoopCost = loopCosts[loopName(loop)];
  const goesOn = loop.condition ?? (() => true);
  let accumulated = evaluator.run(loop.init, inner);
  let failure: Failure | undefined;
  for (const item of items) {
    spend(cost.condition);
    if (!goesOn(accumulated)) break;
    spend(cost.step);
    const at = inner.setIterValue(item, evaluator);
    try {
      accumulated = evaluator.run(loop.step, at);
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== undefined && goesOn(accumulated)) throw failure.error;
  return accumulated;
}

function gather(loop: Comprehension, items: readonly unknown[], context: Context, evaluator: Evaluator): unknown {
  const inner = loop.iterCtx.reuse(context);
  let accumulated = evaluator.run(loop.init, inner);
  inner.accuValue = accumulated;
  for (const item of items) accumulated = evaluator.run(loop.step, inner.setIterValue(item, evaluator));
  return accumulated;
}

/** Adds what its nodes cost to a checked expression. */
export function meterNodes(root: CelNode, { spend }: Meter): void {
  const seen = new Set<CelNode>();

  /** Spends for a node once what is below it has been evaluated, also where that fails. */
  const afterwards = (node: CelNode, units: number): void => {
    const { evaluate } = node.meta;
    node.evaluate = (evaluator, self, context) => {
      const value = evaluate(evaluator, self, context);
      spend(units);
      return value;
    };
  };

  const costOf = (cost: CallCost, args: readonly unknown[]): number => (cost.byResult === true ? 0 : cost.measure(args, undefined));

  /** Evaluates the arguments of a call in order. A call whose arguments fail still costs. */
  function argumentsOf(nodes: readonly CelNode[], evaluator: Evaluator, context: Context): unknown[] {
    try {
      return nodes.map((n) => evaluator.run(n, context));
    } catch (error) {
      spend(1);
      throw error;
    }
  }

  /** How the library's node applies itself to the values of its arguments. */
  function application(node: CelNode): (values: readonly unknown[], evaluator: Evaluator) => unknown {
    const handle = node.handle as (...args: unknown[]) => unknown;
    // Numbers are found whatever their types.
    if (node.op === 'in')
      return ([value, range], evaluator) =>
        Array.isArray(range) ? range.some((item) => celEqual(item, value)) : handle(value, range, node, evaluator);
    // So are lists that are sets or maps, in whatever order, and they grow in their own way.
    const equal = node.op === '==' || node.op === '!=';
    if (equal || node.op === '+')
      return ([a, b], evaluator) => {
        if (!isAssociative(a)) return handle(a, b, node, evaluator);
        return equal ? associativeEqual(a, b) === (node.op === '==') : associativeSum(a, b);
      };
    if (node.op === 'call') return (values, evaluator) => handle(values, node, evaluator);
    if (node.op === 'rcall') return (values, evaluator) => handle(values, evaluator, node);
    return (values, evaluator) => handle(...values, node, evaluator);
  }

  function meterCall(node: CelNode, name: string, args: readonly CelNode[]): void {
    for (const arg of args) walk(arg);
    const [, range] = args;
    if (name === '-_' && isConstant(node)) return;
    // A test against a list of constants is a look into a table.
    const cost = name === 'in' && range !== undefined && isConstant(range) && actual(range).op === 'list' ? undefined : callCost(name);
    const apply = application(node);
    const receiver = node.op === 'rcall' ? (node.args as [string, CelNode])[1] : undefined;
    const inNamespace = receiver !== undefined && !args.includes(receiver) ? receiver : undefined;
    const metered: Evaluate = (evaluator, _node, context) => {
      const values = argumentsOf(args, evaluator, context);
      if (cost !== undefined) spend(costOf(cost, values));
      const result = apply(inNamespace === undefined ? values : [evaluator.run(inNamespace, context), ...values], evaluator);
      if (cost?.byResult === true) spend(cost.measure(values, result));
      return result;
    };
    node.evaluate = metered;
  }

  /** `free`: as the branch of a condition or an index, the name that a chain begins with costs nothing. */
  function meterSelection(node: CelNode, free: boolean): void {
    if (isTypeName(node)) return;
    const [target, position] = node.args as [CelNode, CelNode | string];
    walk(target, free);
    if (typeof position !== 'string') walk(position, true);
    const units = isAttribute(target) ? 1 : 2;
    const { evaluate } = node.meta;
    // What is not there has been looked for.
    node.evaluate = (evaluator, self, context) => {
      spend(units);
      return evaluate(evaluator, self, context);
    };
  }

  function meterLoop(node: CelNode): void {
    const loop = node.args as Comprehension;
    walk(loop.iterable);
    walk(loop.step);
    const { result } = loopCosts[loopName(loop)];
    node.evaluate = (evaluator, _node, context) => {
      const items = itemsOf(evaluator.run(loop.iterable, context));
      const out = loop.errorsAreFatal ? gather(loop, items, context, evaluator) : quantify(loop, items, context, evaluator, spend);
      spend(result);
      return loop.result(out);
    };
  }

  function meterMacro(node: CelNode): void {
    const { macro } = node.meta;
    const { form, receiver, arg } = macro ?? {};
    for (const part of [receiver, arg]) if (part !== undefined) walk(part);
    if (form === undefined) return;
    if (form.name === 'has') walk((form.selection.args as [CelNode])[0]);
    else if ('target' in form) {
      walk(form.target);
      walk(form.body);
    } else for (const part of [form.range, form.filter, form.body]) if (part !== undefined) walk(part);
  }

  function walk(given: CelNode, free = false): void {
    if (seen.has(given)) return;
    seen.add(given);
    const node = actual(given);
    if (node.meta.macro !== undefined) {
      meterMacro(node);
      return;
    }
    switch (node.op) {
      case 'value':
      case 'accuValue':
        return;
      case 'id':
        if (!free) afterwards(node, 1);
        return;
      case '.':
      case '.?':
      case '[]':
      case '[?]':
        meterSelection(node, free);
        return;
      case '?:': {
        const [condition, yes, no] = node.args as [CelNode, CelNode, CelNode];
        walk(condition);
        walk(yes, true);
        walk(no, true);
        return;
      }
      case '&&':
      case '||':
        for (const side of node.args as CelNode[]) walk(side);
        return;
      case 'list':
        if (isConstant(node)) return;
        for (const item of node.args as CelNode[]) walk(item);
        afterwards(node, listCost);
        return;
      case 'map':
        if (isConstant(node)) return;
        for (const [key, value] of node.args as [CelNode, CelNode][]) {
          walk(key);
          walk(value);
        }
        afterwards(node, mapCost);
        return;
      case 'comprehension':
        meterLoop(node);
        return;
      case 'accuPush': {
        const item = node.args as CelNode;
        walk(item);
        // A list of a constant is made beforehand.
        afterwards(node, isConstant(item) ? loopCosts.list.hit - listCost : loopCosts.list.hit);
        return;
      }
      case 'accuInc':
        afterwards(node, loopCosts.existsOne.hit);
        return;
    }
    if (isConstant(node)) return;
    const call = callOf(node);
    if (call !== undefined) meterCall(node, call.name, call.args);
  }

  walk(root);
}

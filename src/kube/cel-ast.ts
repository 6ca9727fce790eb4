/**
 * The parts of the CEL library's syntax tree, checker and evaluator that our macros, the estimate and the metering of costs touch, and
 * questions about a tree. Their shape is the library's: its version is pinned, and cel.test.ts fails when they change.
 */
import { Optional } from '@marcbachmann/cel-js';
import { plainName, rename } from './cel-names.ts';

export interface CelNode {
  readonly op: string;
  args: unknown;
  readonly meta: NodeMeta;
  /** Where it stands in the expression. */
  readonly pos?: number;
  readonly start?: number;
  readonly end?: number;
  checkedType?: CelNodeType;
  evaluate: Evaluate;
  /** Of operators and calls: what there is under their name. */
  readonly candidates?: { readonly declarations: readonly unknown[] };
  /** Of operators and calls: applies the overload to values. */
  readonly handle?: (...args: never[]) => unknown;
}
export type Evaluate = (evaluator: Evaluator, node: CelNode, context: Context) => unknown;
export interface NodeMeta {
  /** What stands in the place of this node: the expansion of a macro, the value of a constant. */
  readonly alternate?: CelNode;
  readonly macro?: Macro;
  readonly evaluate: Evaluate;
}
/** A macro that is not expanded. Ours say what they are made of in `form`. */
export interface Macro {
  evaluate: (evaluator: Evaluator, macro: never, context: Context) => unknown;
  readonly form?: MacroForm;
  readonly receiver?: CelNode;
  readonly arg?: CelNode;
}
export type MacroForm =
  | { readonly name: 'has'; readonly selection: CelNode }
  | { readonly name: 'optMap' | 'optFlatMap'; readonly target: CelNode; readonly variable: string; readonly body: CelNode }
  | TwoVariableForm;
export interface TwoVariableForm {
  readonly name: TwoVariableLoop;
  readonly range: CelNode;
  readonly key: string;
  readonly value: string;
  readonly filter: CelNode | undefined;
  readonly body: CelNode;
}
export type TwoVariableLoop = 'all' | 'exists' | 'existsOne' | 'transformList' | 'transformMap' | 'transformMapEntry';

export interface CelNodeType {
  readonly name: string;
  readonly kind: string;
  readonly keyType?: CelNodeType;
  readonly valueType?: CelNodeType;
}
export interface Context {
  accuValue?: unknown;
  readonly forkWithVariable: (name: string, type: CelNodeType) => Overlay;
}
export interface Overlay extends Context {
  readonly reuse: (parent: Context) => Overlay;
  readonly setIterValue: (value: unknown, evaluator: Evaluator) => Overlay;
}
export interface Checker {
  readonly check: (node: CelNode, context: Context) => CelNodeType;
  readonly getType: (name: string) => CelNodeType;
  readonly createError: (code: string, message: string, node: CelNode) => Error;
}
export interface Evaluator {
  readonly run: (node: CelNode, context: Context) => unknown;
}

/** A loop of one variable: all, exists, exists_one, filter and map expand to one. */
export interface Comprehension {
  readonly kind?: 'quantifier';
  readonly errorsAreFatal: boolean;
  readonly iterable: CelNode;
  readonly iterVarName: string;
  readonly iterCtx: Overlay;
  readonly init: CelNode;
  readonly condition?: (accumulated: unknown) => boolean;
  readonly step: CelNode;
  readonly result: (accumulated: unknown) => unknown;
}

/** What a loop of one variable does, as the costs of loops are called. */
export function loopName({ init, step }: Comprehension): 'all' | 'exists' | 'existsOne' | 'list' {
  if (init.op === 'list') return 'list';
  if (typeof init.args !== 'boolean') return 'existsOne';
  return init.args && step.op === '?:' ? 'all' : 'exists';
}

const isNode = (value: unknown): value is CelNode => typeof value === 'object' && value !== null && 'op' in value && 'meta' in value;

/** The nodes directly below one, as they are evaluated: macros that expand stand for what they expand to. */
export function childrenOf(node: CelNode): CelNode[] {
  const found: CelNode[] = [];
  const collect = (value: unknown): void => {
    if (isNode(value)) found.push(value);
    else if (Array.isArray(value)) value.forEach(collect);
  };
  const { macro } = node.meta;
  if (macro !== undefined) {
    Object.values(macro).forEach(collect);
    if (macro.form !== undefined) Object.values(macro.form).forEach(collect);
  }
  collect(node.args);
  if (node.op === 'comprehension') Object.values(node.args as object).forEach(collect);
  return found;
}

/** The first node of a tree for which something holds. */
export function findNode(root: CelNode, test: (node: CelNode) => boolean): CelNode | undefined {
  const seen = new Set<CelNode>();
  const walk = (node: CelNode): CelNode | undefined => {
    if (seen.has(node)) return undefined;
    seen.add(node);
    if (test(node)) return node;
    for (const child of childrenOf(node)) {
      const found = walk(child);
      if (found !== undefined) return found;
    }
    return node.meta.alternate === undefined ? undefined : walk(node.meta.alternate);
  };
  return walk(root);
}

/** Whether an expression names a variable. */
export const mentions = (root: CelNode, variable: string): boolean =>
  findNode(root, (node) => node.op === 'id' && node.args === variable) !== undefined;

/** Whether an expression reads a field of a variable: `variable.field` or `variable.?field`. */
export const selects = (root: CelNode, variable: string, field: string): boolean =>
  findNode(root, (node) => {
    if (node.op !== '.' && node.op !== '.?') return false;
    const [operand, name] = node.args as [CelNode, unknown];
    return operand.op === 'id' && operand.args === variable && name === field;
  }) !== undefined;

/** What is wrong with an expression, and where. */
export interface ExpressionError {
  readonly message: string;
  readonly range: { readonly start: number };
}

/**
 * Changes a parsed expression before it is checked: functions go under the names that ours have, and has() takes any selection, as in
 * cel-go, not only chains of names. Gives what Kubernetes does not know, where there is such.
 */
export function adapt(root: CelNode): ExpressionError | undefined {
  let unknown: string | undefined;
  const node = findNode(root, (n) => {
    unknown = rename(n);
    const call = n.args as unknown[];
    if (n.op === 'call' && call[0] === 'has') (n.meta as { macro: object }).macro = hasMacro((call[1] as CelNode[])[0] ?? n);
    return unknown !== undefined;
  });
  if (node === undefined) return undefined;
  return { message: `undeclared reference to '${unknown ?? ''}' (in container '')`, range: { start: node.pos ?? 0 } };
}

interface FieldReader {
  readonly debugType: (value: unknown) => {
    readonly fieldLazy: (value: unknown, field: unknown, node: CelNode, evaluator: Evaluator) => unknown;
  };
}

function hasMacro(selection: CelNode): object {
  const operands = selection.args as [CelNode, string];
  return {
    form: { name: 'has', selection },
    typeCheck: (checker: Checker, _macro: object, context: Context): CelNodeType => {
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

/** Where an error in a node is shown: as in cel-go, at its operator, at a call's bracket, at the dot before a field. */
export function operatorPosition(node: CelNode, expression: string): number {
  const { pos = 0, start = pos } = node;
  const after = (operand: unknown, text: string): number => {
    const found = expression.indexOf(text, isNode(operand) ? (operand.end ?? pos) : pos);
    return found < 0 ? pos : found;
  };
  const [first, second] = Array.isArray(node.args) ? (node.args as unknown[]) : [];
  if (node.op === '.' || node.op === '.?') return Math.max(0, expression.lastIndexOf('.', pos));
  if (node.op === 'call') return Math.max(start, expression.indexOf('(', start));
  if (node.op === 'rcall') return after(second, '(');
  if (node.op === '[]' || node.op === '[?]') return after(first, '[');
  if (node.op === '?:') return after(first, '?');
  return operators.has(node.op) || node.op === '&&' || node.op === '||' ? after(first, node.op) : pos;
}

/** A call as cel-go names it, with what its cost depends on. Functions of a namespace are named after both: `sets.contains`. */
export interface Call {
  readonly name: string;
  /** The receiver first, where there is one. */
  readonly args: readonly CelNode[];
}

/** The node that is evaluated in the place of one. */
export const actual = (node: CelNode): CelNode => node.meta.alternate ?? node;

/** The name of a constant that functions are called on: `sets` in `sets.contains(a, b)`. */
const isNamespace = (node: CelNode): boolean => node.op === 'id' && node.meta.alternate !== undefined;

/** Whether a node is the name of a type in a package, such as google.protobuf.Timestamp: to cel-go that is one name. */
export function isTypeName(node: CelNode): boolean {
  let at = node;
  while (at.op === '.') at = (at.args as [CelNode])[0];
  return at !== node && isNamespace(at) && at.args === 'google';
}

/** What a node calls; undefined where it is no call. */
export function callOf(node: CelNode): Call | undefined {
  if (node.op === 'call') {
    const [name, args] = node.args as [string, CelNode[]];
    return { name: plainName(name), args };
  }
  if (node.op === 'rcall') {
    const [name, receiver, args] = node.args as [string, CelNode, CelNode[]];
    return isNamespace(receiver)
      ? { name: `${receiver.args as string}.${name}`, args }
      : { name: plainName(name), args: [receiver, ...args] };
  }
  if (node.op === '!_' || node.op === '-_') return { name: node.op, args: [node.args as CelNode] };
  return operators.has(node.op) ? { name: node.op, args: node.args as CelNode[] } : undefined;
}
const operators = new Set(['==', '!=', '<', '<=', '>', '>=', '+', '-', '*', '/', '%', 'in']);

/** Functions that cel-go evaluates beforehand where their argument is a constant. */
const conversions = new Set(['bool', 'bytes', 'double', 'duration', 'dyn', 'int', 'string', 'timestamp', 'type', 'uint']);

/** Whether a node's value does not depend on variables, as far as cel-go's optimizer sees that. */
export function isConstant(given: CelNode): boolean {
  const node = actual(given);
  if (node.op === 'value') return true;
  if (node.op === '-_') return (node.args as CelNode).op === 'value';
  if (node.op === 'list') return (node.args as CelNode[]).every(isConstant);
  if (node.op === 'map') return (node.args as [CelNode, CelNode][]).every(([key, value]) => isConstant(key) && isConstant(value));
  if (node.op !== 'call') return false;
  const [name, args] = node.args as [string, CelNode[]];
  const [arg] = args;
  return conversions.has(plainName(name)) && args.length === 1 && arg !== undefined && isConstant(arg);
}

/** What a checked expression may cost, judged before it ever runs (cel-go checker/cost.go): once over the tree, so linear in its size. */
import {
  actual,
  type Call,
  type CelNode,
  type CelNodeType,
  type Comprehension,
  callOf,
  isTypeName,
  loopName,
  type TwoVariableForm,
} from './cel-ast.ts';
import { callCost, type JudgedArg } from './cel-call-costs.ts';
import { exactly, type LoopCost, listCost, loopCosts, mapCost, plus, type Range, times, union, unknownSize } from './cel-figures.ts';
import { mapKeys, type Sized } from './cel-sizes.ts';

/** The sizes of what is in a list or map. */
interface Entries {
  readonly of: 'list' | 'map';
  readonly key: Range;
  readonly value: Range;
}

/** What is known of a value. */
interface Known {
  readonly kind: string;
  readonly size?: Range | undefined;
  readonly entries?: Entries | undefined;
  /** What it is in the schema; 'unknown' below what the schema does not describe; absent where it does not come from there. */
  readonly from?: Sized | 'unknown' | undefined;
}
interface Judged extends Known {
  readonly cost: Range;
}

interface Scope {
  readonly name: string;
  readonly known: Known;
  readonly around: Scope | undefined;
}

const nothing = exactly(0);
const one = exactly(1);
const scalars = new Set(['bool', 'double', 'int', 'uint', 'duration', 'timestamp']);

const kinds: Readonly<Record<string, string>> = {
  'google.protobuf.Timestamp': 'timestamp',
  'google.protobuf.Duration': 'duration',
};

/** The kind of a type; of a type of an object its name. */
function kindOf(type: CelNodeType | undefined): string {
  if (type === undefined) return 'dyn';
  if (type.kind === 'list' || type.kind === 'map' || type.kind === 'optional' || type.kind === 'dyn') return type.kind;
  return Object.hasOwn(kinds, type.name) ? (kinds[type.name] ?? type.name) : type.name;
}

function isScalar(type: CelNodeType | undefined): boolean {
  if (type?.kind === 'optional') return isScalar(type.valueType);
  return scalars.has(kindOf(type));
}

/** The longest that an expression may take where `self` and `oldSelf` are of a size. */
export function estimateCost(root: CelNode, self: Sized): Range {
  const sizeFrom = (from: Known['from']): Range | undefined =>
    from === undefined || from === 'unknown' ? undefined : { min: 0, max: from.max };
  const knownSize = (node: CelNode, size: Range | undefined, from: Known['from']): Range | undefined =>
    size ?? sizeFrom(from) ?? (isScalar(node.checkedType) ? one : undefined);
  const kindFrom = (from: Known['from'], type: CelNodeType | undefined): string =>
    from === undefined || from === 'unknown' ? kindOf(type) : from.kind;

  /** cel-go drops the first step of a path, be that a variable or not: what is in an unknown value has the sizes of the root. */
  const inside = (from: Known['from'], step: (sized: Sized) => Sized | undefined): Known['from'] => {
    if (from === undefined) return self;
    return from === 'unknown' ? from : (step(from) ?? 'unknown');
  };
  const element = (sized: Sized): Sized | undefined => sized.element;
  const key = (sized: Sized): Sized | undefined => (sized.kind === 'map' ? mapKeys : undefined);

  function literal(node: CelNode): Judged {
    const { args: value } = node;
    const kind = kindOf(node.checkedType);
    if (typeof value === 'string') return { cost: nothing, kind, size: exactly(Array.from(value).length) };
    if (value instanceof Uint8Array) return { cost: nothing, kind, size: exactly(value.length) };
    return { cost: nothing, kind, size: one };
  }

  function find(name: string, scope: Scope | undefined): Known | undefined {
    for (let s = scope; s !== undefined; s = s.around) if (s.name === name) return s.known;
    return undefined;
  }

  function identifier(node: CelNode, scope: Scope | undefined): Judged {
    const local = find(node.args as string, scope);
    const from = local === undefined ? self : local.from;
    const size = sizeFrom(from) ?? (isScalar(node.checkedType) ? one : local?.size);
    const named = local === undefined && node.meta.alternate !== undefined;
    return {
      cost: one,
      kind: named || local === undefined ? kindOf(node.checkedType) : kindFrom(from, node.checkedType),
      size,
      entries: local?.entries,
      from,
    };
  }

  function selection(node: CelNode, scope: Scope | undefined): Judged {
    if (isTypeName(node)) return { cost: one, kind: 'type', from: self, size: sizeFrom(self) };
    const [target, name] = node.args as [CelNode, string];
    const operand = judge(target, scope);
    const from = inside(operand.from, (sized) => sized.field?.(name));
    const open = operand.kind === 'dyn' || operand.kind === 'list';
    return {
      cost: open ? operand.cost : plus(operand.cost, one),
      kind: kindFrom(from, node.checkedType),
      size: knownSize(node, undefined, from),
      from,
    };
  }

  function index(node: CelNode, scope: Scope | undefined): Judged {
    const [target, position] = node.args as [CelNode, CelNode];
    const operand = judge(target, scope);
    const from = inside(operand.from, element);
    return {
      cost: plus(plus(operand.cost, judge(position, scope).cost), one),
      kind: kindFrom(from, node.checkedType),
      size: knownSize(node, operand.entries?.value, from),
      from,
    };
  }

  const optionalSelection = (node: CelNode, scope: Scope | undefined): Judged => {
    const [target, position] = node.args as [CelNode, CelNode | string];
    const at = typeof position === 'string' ? nothing : judge(position, scope).cost;
    return { cost: plus(plus(judge(target, scope).cost, at), one), kind: 'optional', size: knownSize(node, undefined, undefined) };
  };

  function argument(node: CelNode, judged: Judged): JudgedArg {
    const type = node.checkedType;
    const listed = judged.kind === 'list' || judged.kind === 'map';
    const from = judged.from === undefined ? undefined : inside(judged.from, element);
    const items = listed ? { kind: kindFrom(from, type?.valueType), size: sizeFrom(from) } : undefined;
    const value = actual(node);
    return {
      kind: judged.kind,
      size: judged.size,
      items,
      literal: value.op === 'value' && typeof value.args === 'bigint' ? value.args : undefined,
    };
  }

  const minus = (node: CelNode): boolean => node.op === '-_' && (node.args as CelNode).op === 'value';

  function called(node: CelNode, { name, args }: Call, scope: Scope | undefined): Judged {
    if (minus(node)) return { cost: nothing, kind: kindOf(node.checkedType), size: one };
    const judged = args.map((arg) => judge(arg, scope));
    const total = judged.reduce((sum, arg) => plus(sum, arg.cost), nothing);
    const [first, second] = judged;
    if (name === 'dyn' && first !== undefined) return { ...first, cost: plus(total, one), kind: 'dyn', from: undefined };
    const { cost, size } = callCost(name).judge(args.map((arg, i) => argument(arg, judged[i] as Judged)));
    return {
      cost: plus(total, cost),
      kind: kindOf(node.checkedType),
      size: knownSize(node, size, undefined),
      entries: name === '+' ? unite(first?.entries, second?.entries) : undefined,
    };
  }

  const unite = (a: Entries | undefined, b: Entries | undefined): Entries | undefined =>
    a === undefined || b === undefined ? undefined : { of: a.of, key: union(a.key, b.key), value: union(a.value, b.value) };
  const unionOf = (sizes: readonly (Range | undefined)[]): Range =>
    sizes.length === 0 ? nothing : sizes.map((s) => s ?? unknownSize).reduce(union);

  function listed(node: CelNode, scope: Scope | undefined): Judged {
    const items = (node.args as CelNode[]).map((item) => judge(item, scope));
    return {
      cost: items.reduce((sum, item) => plus(sum, item.cost), exactly(listCost)),
      kind: 'list',
      size: exactly(items.length),
      entries: { of: 'list', key: one, value: unionOf(items.map((item) => item.size)) },
    };
  }

  function mapped(node: CelNode, scope: Scope | undefined): Judged {
    const members = (node.args as [CelNode, CelNode][]).map(([k, v]) => [judge(k, scope), judge(v, scope)] as const);
    return {
      cost: members.reduce((sum, [k, v]) => plus(sum, plus(k.cost, v.cost)), exactly(mapCost)),
      kind: 'map',
      size: exactly(members.length),
      entries: { of: 'map', key: unionOf(members.map(([k]) => k.size)), value: unionOf(members.map(([, v]) => v.size)) },
    };
  }

  function conditional(node: CelNode, scope: Scope | undefined): Judged {
    const [condition, yes, no] = (node.args as [CelNode, CelNode, CelNode]).map((arg) => judge(arg, scope)) as [Judged, Judged, Judged];
    return {
      cost: plus(condition.cost, union(yes.cost, no.cost)),
      kind: kindOf(node.checkedType),
      size: union(yes.size ?? unknownSize, no.size ?? unknownSize),
      entries: unite(yes.entries, no.entries),
    };
  }

  /** The second may not be needed. */
  const logical = (a: Range, b: Range): Range => ({ min: a.min, max: plus(a, b).max });

  const locals = {
    key: (range: Judged): Known => ({
      kind: isList(range) ? 'int' : 'string',
      size: range.entries?.key,
      from: isList(range) ? (range.from === undefined ? self : 'unknown') : inside(range.from, key),
    }),
    value: (range: Judged): Known => {
      const from = inside(range.from, element);
      return { kind: kindFrom(from, undefined), size: range.entries?.value, from };
    },
  };
  const isList = (range: Judged): boolean => (range.entries?.of ?? range.kind) === 'list';
  const bind = (scope: Scope | undefined, name: string, known: Known): Scope => ({ name, known, around: scope });

  interface Loop {
    readonly range: Judged;
    readonly costs: LoopCost;
    /** What is evaluated for each item, and what may be. */
    readonly always: Range;
    readonly sometimes?: Range;
    /** Of what the loop gathers; absent: it ends with one value. */
    readonly gathers?: { readonly kind: 'list' | 'map'; readonly value: Range | undefined };
  }
  function looped({ range, costs, always, sometimes, gathers }: Loop): Judged {
    const count = range.size ?? unknownSize;
    const step = sometimes === undefined ? always : plus(always, union(sometimes, one));
    const each = plus(step, exactly(costs.condition));
    const cost = plus(plus(range.cost, exactly(costs.init + costs.result)), times(count, each));
    if (gathers === undefined) return { cost, kind: 'bool', size: one };
    // Each item is added to a list that began empty.
    const entries: Entries | undefined =
      gathers.kind === 'list' ? { of: 'list', key: one, value: union(nothing, gathers.value ?? unknownSize) } : undefined;
    return { cost, kind: gathers.kind, size: count, entries };
  }

  function comprehension(node: CelNode, scope: Scope | undefined): Judged {
    const loop = node.args as Comprehension;
    const range = judge(loop.iterable, scope);
    const inner = bind(scope, loop.iterVarName, isList(range) ? locals.value(range) : locals.key(range));
    const branches = loop.step.op === '?:' ? (loop.step.args as [CelNode, CelNode, CelNode]) : undefined;
    const predicate = branches === undefined ? nothing : judge(branches[0], inner).cost;
    const push = branches === undefined ? loop.step : branches[1];
    const costs = loopCosts[loopName(loop)];
    if (push.op === 'value') return looped({ range, costs, always: logical(exactly(costs.step), predicate) });
    if (push.op === 'accuInc') return looped({ range, costs, always: predicate, sometimes: exactly(costs.hit) });
    const item = judge(push.args as CelNode, inner);
    const gathers = { kind: 'list', value: item.size } as const;
    const hit = plus(item.cost, exactly(costs.hit));
    return looped({ range, costs, gathers, ...(branches === undefined ? { always: hit } : { always: predicate, sometimes: hit }) });
  }

  function twoVariables(form: TwoVariableForm, scope: Scope | undefined): Judged {
    const range = judge(form.range, scope);
    const inner = bind(bind(scope, form.key, locals.key(range)), form.value, locals.value(range));
    const body = judge(form.body, inner);
    const costs: LoopCost = loopCosts[form.name];
    if (form.name === 'all' || form.name === 'exists') return looped({ range, costs, always: logical(exactly(costs.step), body.cost) });
    if (form.name === 'existsOne') return looped({ range, costs, always: body.cost, sometimes: exactly(costs.hit) });
    const gathers = { kind: form.name === 'transformList' ? 'list' : 'map', value: body.size } as const;
    const hit = plus(body.cost, exactly(costs.hit));
    if (form.filter === undefined) return looped({ range, costs, gathers, always: hit });
    return looped({ range, costs, gathers, always: judge(form.filter, inner).cost, sometimes: hit });
  }

  function macro(node: CelNode, scope: Scope | undefined): Judged {
    const { form, receiver, arg } = node.meta.macro ?? {};
    const kind = kindOf(node.checkedType);
    const size = isScalar(node.checkedType) ? one : undefined;
    if (form === undefined) {
      const parts = [receiver, arg].map((n) => (n === undefined ? nothing : judge(n, scope).cost));
      return { cost: parts.reduce(plus, one), kind, size };
    }
    if (form.name === 'has') {
      const [operand] = form.selection.args as [CelNode];
      return { cost: judge(operand, scope).cost, kind, size: one };
    }
    if (!('target' in form)) return twoVariables(form, scope);
    const target = judge(form.target, scope);
    const body = judge(form.body, bind(scope, form.variable, { kind: 'dyn' }));
    // It asks whether there is a value, and binds that to the variable by a loop over nothing.
    const bound = plus(plus(target.cost, body.cost), exactly(listCost + 1));
    const present = form.name === 'optMap' ? plus(bound, one) : bound;
    return { cost: plus(plus(target.cost, one), union(present, one)), kind, size };
  }

  function judge(given: CelNode, scope: Scope | undefined): Judged {
    if (given.op === 'id') return identifier(given, scope);
    const node = actual(given);
    if (node.meta.macro !== undefined) return macro(node, scope);
    switch (node.op) {
      case 'value':
        return literal(node);
      case '.':
        return selection(node, scope);
      case '[]':
        return index(node, scope);
      case '.?':
      case '[?]':
        return optionalSelection(node, scope);
      case 'list':
        return listed(node, scope);
      case 'map':
        return mapped(node, scope);
      case '?:':
        return conditional(node, scope);
      case 'comprehension':
        return comprehension(node, scope);
      case '&&':
      case '||': {
        const [a, b] = node.args as [CelNode, CelNode];
        return { cost: logical(judge(a, scope).cost, judge(b, scope).cost), kind: 'bool', size: one };
      }
    }
    const call = callOf(node);
    return call === undefined ? { cost: one, kind: kindOf(node.checkedType) } : called(node, call, scope);
  }

  return judge(root, undefined).cost;
}

/**
 * What calls cost: once as a range, judged by the sizes of what they are given before any value is known, and once for the values
 * themselves. The figures are those of cel-go (checker/cost.go, interpreter/runtimecost.go, ext/sets.go) and of Kubernetes' functions
 * (k8s.io/apiserver pkg/cel/library/cost.go). The two differ here and there, as they do upstream.
 */
import { Optional } from '@marcbachmann/cel-js';
import {
  endless,
  exactly,
  perCharacter,
  perPatternCharacter,
  plus,
  type Range,
  scaled,
  scaledRange,
  times,
  union,
  unknownSize,
} from './cel-figures.ts';

/** An argument whose value is not known yet; the receiver is the first one. */
export interface JudgedArg {
  /** The kind of its type: 'string', 'list', 'dyn', …, or the name of a type without a size. */
  readonly kind: string;
  readonly size: Range | undefined;
  /** Of lists: the kind and size of items. */
  readonly items: { readonly kind: string; readonly size: Range | undefined } | undefined;
  /** The value where it is written out as a number. */
  readonly literal: bigint | undefined;
}

export interface JudgedCall {
  readonly cost: Range;
  /** The size of the result where the call says more of it than its type does. */
  readonly size?: Range;
}

export interface CallCost {
  readonly judge: (args: readonly JudgedArg[]) => JudgedCall;
  readonly measure: (args: readonly unknown[], result: unknown) => number;
  /** `measure` looks at the result, so it can be asked only after the call. */
  readonly byResult?: true;
}

/** Values that tell their own size: addresses. */
export interface SizedValue {
  readonly celSize: () => number;
}
/** A named format tells how long its regular expression is. */
export interface PatternedValue {
  readonly patternLength: number;
}

const isSizedValue = (value: object): value is SizedValue => 'celSize' in value;

/** Unicode characters of a text. */
function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) count--;
  }
  return count;
}

/** The size of a value; 1 for what has none. */
export function sizeOfValue(value: unknown): number {
  if (typeof value === 'string') return characters(value);
  if (typeof value !== 'object' || value === null) return 1;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length;
  if (value instanceof Optional) return value.hasValue() ? sizeOfValue(value.value()) : 1;
  if (isSizedValue(value)) return value.celSize();
  if (value instanceof Map) return value.size;
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === null || proto === Object.prototype ? Object.keys(value).length : 1;
}

/** What it costs to go over all that a value is made of. */
function traversal(value: unknown): number {
  if (typeof value === 'string') return Math.floor(Buffer.byteLength(value) * perCharacter);
  if (value instanceof Uint8Array) return Math.floor(value.length * perCharacter);
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + traversal(item), 0);
  if (typeof value !== 'object' || value === null) return 1;
  const proto: unknown = Object.getPrototypeOf(value);
  const plain = proto === null || proto === Object.prototype;
  if (!plain && !(value instanceof Map)) return 1;
  const entries: Iterable<readonly [unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  let sum = 0;
  for (const [key, member] of entries) sum += traversal(key) + traversal(member);
  return sum;
}

const sizeOf = (arg: JudgedArg | undefined): Range => arg?.size ?? unknownSize;
const one = exactly(1);
const flatCall: JudgedCall = { cost: one };

const flat = (units: number): CallCost => ({ judge: () => ({ cost: exactly(units) }), measure: () => units });

/** Goes over its first argument; the result is as large where that is said. */
const walk = (factor: number, resultIsAsLarge = false): CallCost => ({
  judge: ([text]) => ({ cost: scaledRange(sizeOf(text), factor), ...(resultIsAsLarge ? { size: sizeOf(text) } : {}) }),
  measure: ([text]) => scaled(sizeOfValue(text), factor),
});

/** A text is searched by a regular expression. One is added, so that a dear expression is dear on an empty text too. */
const patternCost = (text: number, pattern: number): number =>
  Math.min(endless, scaled(text + 1, perCharacter) * scaled(pattern, perPatternCharacter));

const search = (findsTexts: boolean): CallCost => ({
  judge: ([text, pattern]) => {
    const [t, p] = [sizeOf(text), sizeOf(pattern)];
    const cost = { min: patternCost(t.min, p.min), max: patternCost(t.max, p.max) };
    return findsTexts ? { cost, size: { min: 0, max: t.max } } : { cost };
  },
  measure: ([text, pattern]) => patternCost(sizeOfValue(text), sizeOfValue(pattern)),
});

/** Goes over a list, or over a text for what both have. */
const scan: CallCost = {
  judge: ([target]) => {
    if (target?.items === undefined) return { cost: scaledRange(sizeOf(target), perCharacter) };
    const { kind, size } = target.items;
    const long = kind === 'string' || kind === 'bytes';
    return { cost: times(sizeOf(target), long ? plus(one, scaledRange(size ?? unknownSize, perCharacter)) : one) };
  },
  measure: ([target]) => traversal(target),
};

const sets = (factor: number): CallCost => ({
  judge: ([a, b]) => ({ cost: plus(scaledRange(times(sizeOf(a), sizeOf(b)), factor), one) }),
  measure: ([a, b]) => 1 + sizeOfValue(a) * sizeOfValue(b) * factor,
});

/** A selector is a list of requirements, each of a structure and a list; the shortest has two characters. */
const selectorUnits = (size: number): number => 10 + scaled(size, perCharacter) + scaled(scaled(size, 0.5), 50);
const selector: CallCost = {
  judge: ([, text]) => {
    const { min, max } = sizeOf(text);
    return { cost: { min: selectorUnits(min), max: selectorUnits(max) } };
  },
  measure: ([, text]) => selectorUnits(sizeOfValue(text)),
};

/** Strings compare up to the end of the shorter. */
const compareAll = (a: Range, b: Range): Range => {
  const shorter = Math.min(a.max, b.max);
  return scaledRange({ min: shorter > 0 ? 1 : 0, max: shorter }, perCharacter);
};
const measureComparison = ([a, b]: readonly unknown[]): number => scaled(Math.min(sizeOfValue(a), sizeOfValue(b)), perCharacter);

/** Types whose values are equal at a glance. */
const glanced = new Set(['net.IP', 'net.CIDR', 'kubernetes.Quantity', 'kubernetes.Semver']);
const authorizerTypes = 'kubernetes.authorization.';

const equality: CallCost = {
  judge: ([a, b]) => {
    const kind = a?.kind ?? '';
    if (kind === b?.kind) {
      if (glanced.has(kind) || kind.startsWith(authorizerTypes)) return flatCall;
      if (kind === 'kubernetes.NamedFormat') return { cost: { min: 1, max: 7 } };
      if (kind === 'kubernetes.URL') return { cost: scaledRange({ min: 1, max: b?.size?.max ?? 1 }, perCharacter) };
    }
    return { cost: compareAll(sizeOf(a), sizeOf(b)) };
  },
  measure: measureComparison,
};

const isText = (kind: string | undefined): boolean => kind === 'string' || kind === 'bytes';
const isOpen = (kind: string | undefined): boolean => kind === 'dyn';

/** An operator on texts that costs one unit on anything else. */
const textOperator = (onTexts: (a: JudgedArg, b: JudgedArg) => JudgedCall, measure: CallCost['measure']): CallCost => ({
  judge: ([a, b]) => {
    if (a === undefined || b === undefined) return flatCall;
    if (isText(a.kind) || isText(b.kind)) return onTexts(a, b);
    if (!isOpen(a.kind) || !isOpen(b.kind)) return flatCall;
    const { cost, size } = onTexts(a, b);
    return { cost: union(cost, one), ...(size === undefined ? {} : { size }) };
  },
  measure: (args, result) => {
    const [a] = args;
    return typeof a === 'string' || a instanceof Uint8Array ? measure(args, result) : 1;
  },
});

const order = textOperator((a, b) => ({ cost: compareAll(sizeOf(a), sizeOf(b)) }), measureComparison);

const joined = textOperator(
  (a, b) => {
    const size = plus(sizeOf(a), sizeOf(b));
    return { cost: scaledRange(size, perCharacter), size };
  },
  ([a, b]) => scaled(sizeOfValue(a) + sizeOfValue(b), perCharacter),
);
const addition: CallCost = {
  judge: (args) => {
    const [a, b] = args;
    if (a?.kind === 'list' || b?.kind === 'list') return { cost: one, size: plus(sizeOf(a), sizeOf(b)) };
    return joined.judge(args);
  },
  measure: joined.measure,
};

const membership: CallCost = {
  judge: ([, range]) => {
    if (range?.kind === 'list') return { cost: sizeOf(range) };
    return isOpen(range?.kind) ? { cost: union(sizeOf(range), one) } : flatCall;
  },
  measure: ([, range]) => (Array.isArray(range) ? range.length : 1),
};

/** How often a text is replaced, and how much of it stays, where that makes the result longest or shortest. */
function replacedSize(text: Range, from: Range, to: Range): Range {
  const longest = (): number => {
    if (from.min === 0) return (text.max + 1) * to.max + text.max;
    return to.max <= from.min ? text.max : Math.ceil(text.max / from.min) * to.max;
  };
  const shortest = (): number => {
    if (from.max === 0) return (text.min + 1) * to.min + text.min;
    return from.max <= to.min ? text.min : Math.ceil(text.min / from.max) * to.min;
  };
  return { min: Math.min(endless, shortest()), max: Math.min(endless, longest()) };
}

const replace: CallCost = {
  judge: ([text, from, to]) => ({
    cost: scaledRange(sizeOf(text), 2 * perCharacter),
    size: replacedSize(sizeOf(text), sizeOf(from), sizeOf(to)),
  }),
  measure: walk(2 * perCharacter).measure,
};

const split: CallCost = {
  judge: ([text, , limit]) => ({
    cost: scaledRange(sizeOf(text), 2 * perCharacter),
    // At most every character is a part; a negative limit is none, and a huge number upstream.
    size: { min: 0, max: limit?.literal === undefined ? sizeOf(text).max : limit.literal < 0n ? endless : Number(limit.literal) },
  }),
  measure: walk(2 * perCharacter).measure,
};

const join: CallCost = {
  judge: ([list, separator]) => {
    const count = sizeOf(list);
    const items = list?.items === undefined ? exactly(0) : times(count, list.items.size ?? unknownSize);
    const gaps = { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) };
    const size = separator === undefined ? items : plus(items, times(sizeOf(separator), gaps));
    return { cost: scaledRange(size, perCharacter), size };
  },
  measure: (_args, result) => scaled(sizeOfValue(result), 2 * perCharacter),
  byResult: true,
};

/** Addresses have 4 or 16 bytes, and so many are compared. */
const address: Range = { min: 4, max: 16 };
const both = scaledRange(plus(address, address), perCharacter);

const containsAddress: CallCost = {
  judge: ([, other]) => ({ cost: other?.kind === 'string' ? plus(both, scaledRange(sizeOf(other), perCharacter)) : both }),
  measure: ([range, other]) =>
    scaled(2 * sizeOfValue(range), perCharacter) + (typeof other === 'string' ? scaled(sizeOfValue(other), perCharacter) : 0),
};

const masking = plus(scaledRange(address, perCharacter), one);
const containsRange: CallCost = {
  judge: (args) => ({ cost: plus(containsAddress.judge(args).cost, masking) }),
  measure: (args, result) => containsAddress.measure(args, result) + scaled(sizeOfValue(args[0]), perCharacter) + 1,
};

/** The address of a range is there; one in a text is read. */
const ip: CallCost = {
  judge: (args) => (args[0]?.kind === 'net.CIDR' ? flatCall : walk(perCharacter).judge(args)),
  measure: (args, result) => (typeof args[0] === 'string' ? walk(perCharacter).measure(args, result) : 1),
};

/** The longest regular expression of a named format that the estimate reckons with. */
const longestFormatPattern = 128;
const validate: CallCost = {
  judge: ([, text]) => ({
    cost: scaledRange(scaledRange(sizeOf(text), perCharacter), longestFormatPattern * perPatternCharacter),
  }),
  measure: ([format, text]) => patternCost(sizeOfValue(text), (format as PatternedValue).patternLength),
};

/** Conversions that go over a text; those of other values cost one unit. */
const conversion = (from: string, resultSize: (size: Range) => Range): CallCost => ({
  judge: ([value]) => {
    if (value?.kind !== from) return isOpen(value?.kind) ? { cost: union(one, scaledRange(sizeOf(value), perCharacter)) } : flatCall;
    return { cost: scaledRange(sizeOf(value), perCharacter), size: resultSize(sizeOf(value)) };
  },
  measure: ([value]) =>
    (from === 'string' ? typeof value === 'string' : value instanceof Uint8Array) ? scaled(sizeOfValue(value), perCharacter) : 1,
});

/** The prefix is what the estimate goes over, the text what running it goes over. */
const affix: CallCost = {
  judge: ([, part]) => ({ cost: scaledRange(sizeOf(part), perCharacter) }),
  measure: ([text]) => scaled(sizeOfValue(text), perCharacter),
};

const contains: CallCost = {
  judge: ([text, part]) => ({ cost: times(scaledRange(sizeOf(text), perCharacter), scaledRange(sizeOf(part), perCharacter)) }),
  measure: ([text, part]) => scaled(sizeOfValue(text), perCharacter) * scaled(sizeOfValue(part), perCharacter),
};

const quote: CallCost = {
  judge: ([text]) => {
    const { min, max } = sizeOf(text);
    return { cost: scaledRange({ min, max }, perCharacter), size: { min: min + 2, max: Math.min(endless, max * 2 + 2) } };
  },
  measure: walk(perCharacter).measure,
};

const shared = (cost: CallCost, names: string): [string, CallCost][] => names.split(' ').map((name) => [name, cost]);

const costs: ReadonlyMap<string, CallCost> = new Map([
  ['==', equality],
  ['!=', { judge: ([a, b]) => ({ cost: compareAll(sizeOf(a), sizeOf(b)) }), measure: measureComparison }],
  ...shared(order, '< <= > >='),
  ['+', addition],
  ['in', membership],
  ['check', flat(350_000)],
  ...shared(selector, 'fieldSelector labelSelector'),
  ...shared(scan, 'isSorted sum max min indexOf lastIndexOf'),
  ...shared(walk(perCharacter, true), 'url jsonpatch.escapeKey lowerAscii upperAscii substring trim'),
  ...shared(walk(perCharacter), 'cidr isIP isCIDR quantity isQuantity semver isSemver format'),
  ['ip.isCanonical', walk(2 * perCharacter)],
  ['replace', replace],
  ['split', split],
  ['join', join],
  ...shared(search(true), 'find findAll'),
  ['matches', search(false)],
  ['ip', ip],
  ['containsIP', containsAddress],
  ['containsCIDR', containsRange],
  ['validate', validate],
  ...shared(sets(1), 'sets.contains sets.intersects'),
  ['sets.equivalent', sets(2)],
  ...shared(affix, 'startsWith endsWith'),
  ['contains', contains],
  ['strings.quote', quote],
  ['bytes', conversion('string', ({ min, max }) => ({ min, max: Math.min(endless, max * 4) }))],
  ['string', conversion('bytes', ({ min, max }) => ({ min: Math.floor(min / 4), max }))],
]);

const plain = flat(1);

/** What a function or operator costs; one unit where nothing is known of it. */
export const callCost = (name: string): CallCost => costs.get(name) ?? plain;

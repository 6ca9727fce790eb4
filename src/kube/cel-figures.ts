/**
 * Ranges of sizes and costs, and the figures of cel-go's cost model (common/cost.go). A size is what size() gives: characters, bytes,
 * items, entries.
 */

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Costs and sizes end here, as in 64 bits. */
export const endless = 2 ** 64 - 2 ** 11;

/** Cost of going over one character or byte. */
export const perCharacter = 0.1;
/** Cost of one character of a regular expression. */
export const perPatternCharacter = 0.25;
export const listCost = 10;
export const mapCost = 30;

const capped = (value: number): number => Math.min(value, endless);

export const exactly = (value: number): Range => ({ min: value, max: value });
export const unknownSize: Range = { min: 0, max: endless };
export const plus = (a: Range, b: Range): Range => ({ min: capped(a.min + b.min), max: capped(a.max + b.max) });
export const times = (a: Range, b: Range): Range => ({ min: capped(a.min * b.min), max: capped(a.max * b.max) });
export const union = (a: Range, b: Range): Range => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });
/** The next whole number of units. */
export const scaled = (size: number, factor: number): number => capped(Math.ceil(size * factor));
export const scaledRange = (a: Range, factor: number): Range => ({ min: scaled(a.min, factor), max: scaled(a.max, factor) });

/**
 * What the parts of a loop cost beside the expressions in it, as macros expand to (cel-go parser/macro.go, ext/comprehensions.go):
 * `condition` before each item, and once more where it ends the loop early; `step` for each item; `hit` for an item that counts or is
 * gathered; `result` at the end. `init` is what the value that a loop gathers begins with.
 */
export interface LoopCost {
  readonly init: number;
  readonly condition: number;
  readonly step: number;
  readonly hit: number;
  readonly result: number;
}
const gathering = { condition: 0, step: 0, result: 1 };
const counting: LoopCost = { init: 0, condition: 0, step: 0, hit: 2, result: 2 };
/** An item is added to a list as a list of one item. */
const gatheringList: LoopCost = { ...gathering, init: listCost, hit: 2 + listCost };
export const loopCosts = {
  all: { init: 0, condition: 2, step: 1, hit: 0, result: 1 },
  exists: { init: 0, condition: 3, step: 1, hit: 0, result: 1 },
  existsOne: counting,
  list: gatheringList,
  transformList: gatheringList,
  transformMap: { ...gathering, init: mapCost, hit: 3 },
  transformMapEntry: { ...gathering, init: mapCost, hit: 2 },
} satisfies Record<string, LoopCost>;

/** What the parts of the Kubernetes CEL library are registered with. */
import type { Environment } from '@marcbachmann/cel-js';
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';

/**
 * Registers a function: `receiver.name(types): result`. What calling it costs is in cel-call-costs.ts, by its name.
 * The library checks the arguments against the signature before it calls the handler.
 */
export type Define = (signature: string, handler: (...args: never[]) => unknown) => void;

export interface Library {
  readonly environment: Environment;
  readonly define: Define;
  readonly meter: Meter;
}

/** Counts the work of one evaluation and ends it when there is too much. */
export interface Meter {
  /** Throws CelCostError when the budget or the time is spent. */
  readonly spend: (units: number) => void;
  /** Begins an evaluation with a budget. The result ends it: counting goes on in the evaluation around it, where there is one. */
  readonly start: (units: number) => () => void;
  readonly spent: () => number;
  readonly exceeded: () => boolean;
}

/** Upstream's text for an evaluation that costs too much. */
export class CelCostError extends Error {
  constructor() {
    super('operation cancelled: actual cost limit exceeded');
    this.name = 'CelCostError';
  }
}

/** A value that an expression cannot work with; expressions may recover from it with || and &&. */
export class CelValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CelValueError';
  }
}

/** Wall time that one evaluation may take, whatever it is made of. */
const maxMs = 1000;
const checkEvery = 64;

export function createMeter(now: () => number = () => performance.now()): Meter {
  let budget = 0;
  let left = 0;
  let calls = 0;
  let deadline = 0;
  let over = false;
  return {
    start: (units) => {
      const around = { budget, left, calls, deadline, over };
      budget = units;
      left = units;
      calls = 0;
      over = false;
      deadline = now() + maxMs;
      return () => {
        ({ budget, left, calls, deadline, over } = around);
      };
    },
    spend: (units) => {
      left -= units;
      if (!over && (left < 0 || (++calls % checkEvery === 0 && now() > deadline))) over = true;
      if (over) throw new CelCostError();
    },
    spent: () => budget - left,
    exceeded: () => over,
  };
}

/** Registers a constant whose methods are the functions of a namespace: `sets.contains(…)`. */
export function defineNamespace(environment: Environment, name: string): void {
  const Namespace = class {};
  environment.registerType(`${name}Namespace`, Namespace as never);
  environment.registerConstant(name, `${name}Namespace`, new Namespace());
}

type Comparable = { valueOf: () => unknown };

/** Order of two values of one comparable type. */
export function compareValues(a: unknown, b: unknown): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  const left = (a as Comparable).valueOf() as number;
  const right = (b as Comparable).valueOf() as number;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Equality of an unsigned number and anything. */
function numbersEqual(a: unknown, b: unknown): boolean {
  const number = (v: unknown): unknown => (v instanceof UnsignedInt ? v.valueOf() : v);
  return celEqual(number(a), number(b));
}

/** Deep equality of CEL values: numbers by value across their types, maps whatever their form. */
export function celEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if ((typeof a === 'bigint' && typeof b === 'number') || (typeof a === 'number' && typeof b === 'bigint')) return Number(a) === Number(b);
  if (a instanceof UnsignedInt || b instanceof UnsignedInt) return numbersEqual(a, b);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((v, i) => celEqual(v, b[i]));
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime();
  if (a instanceof Duration) return b instanceof Duration && a.seconds === b.seconds && a.nanos === b.nanos;
  if ('equals' in a && typeof a.equals === 'function') return (a.equals as (other: unknown) => boolean)(b);
  const left = entriesOf(a);
  const right = new Map(entriesOf(b));
  return left.length === right.size && left.every(([k, v]) => right.has(k) && celEqual(v, right.get(k)));
}

/** The entries of a CEL map in either form. */
export const entriesOf = (map: object): (readonly [unknown, unknown])[] => (map instanceof Map ? [...map] : Object.entries(map));

/** A map whose keys cannot touch a prototype. */
export function celMap(entries: Iterable<readonly [string, unknown]>): Record<string, unknown> {
  const out = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of entries) out[key] = value;
  return out;
}

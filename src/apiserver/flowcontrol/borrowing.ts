/**
 * Levels that need few seats lend some to those that need many: what every level gets for the next period.
 * k8s.io/apiserver pkg/util/flowcontrol/{apf_controller,conc_alloc}.go.
 */
import type { Demand } from './demand.ts';
import type { LevelSettings } from './level.ts';

export interface Borrower {
  readonly settings: Pick<LevelSettings, 'seats' | 'lower' | 'upper'>;
  readonly demand: Demand;
}

export interface Allocation {
  /** Seats in the order of the levels. */
  readonly seats: readonly number[];
  /** What each would need, and which part of that all get. */
  readonly targets: readonly number[];
  readonly fairFraction: number;
}

/** Seats for levels that have limits; their sum is that of their own shares. */
export function allocate(levels: readonly Borrower[]): Allocation {
  const total = levels.reduce((n, l) => n + l.settings.seats, 0);
  const floors = levels.map(({ settings, demand }) => Math.max(settings.lower, Math.min(settings.seats, demand.high)));
  const targets = levels.map(({ demand }, i) => Math.max(floors[i] ?? 0, demand.smoothed));
  const bounded = (fraction: number): readonly number[] =>
    levels.map(({ settings }, i) =>
      Math.min(Math.max(settings.upper, floors[i] ?? 0), Math.max(floors[i] ?? 0, fraction * (targets[i] ?? 0))),
    );
  const sum = (list: readonly number[]): number => list.reduce((n, v) => n + v, 0);
  // The part of everybody's target that uses up all seats: found by halving.
  let low = 0;
  let high = 1;
  while (sum(bounded(high)) < total && high < 2 ** 20) high *= 2;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (sum(bounded(middle)) < total) low = middle;
    else high = middle;
  }
  return { seats: bounded(low).map((s, i) => Math.max(Math.round(s), Math.ceil(Math.min(1, floors[i] ?? 0)))), targets, fairFraction: low };
}

/** How many seats a priority level would have used: over a period its highest, mean and deviation, and smoothed over periods. */
import type { Clock } from '#platform/clock.ts';

export interface Demand {
  readonly high: number;
  readonly average: number;
  readonly deviation: number;
  /** Quick to rise, slow to fall: upstream's envelope. */
  readonly smoothed: number;
}

/** Upstream's seatDemandSmoothingCoefficient: half of a demand that went away is forgotten in five minutes. */
const smoothing = 0.977;

export class DemandMeter {
  readonly #clock: Clock;
  #now = 0;
  #since: number;
  #begun: number;
  #sum = 0;
  #squares = 0;
  #high = 0;
  #last: Demand = { high: 0, average: 0, deviation: 0, smoothed: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.monotonic();
    this.#begun = this.#since;
  }

  /** The demand from now on. */
  set(seats: number): void {
    this.#integrate();
    this.#now = seats;
    this.#high = Math.max(this.#high, seats);
  }

  /** Of the period that ends here; the next begins. */
  settle(): Demand {
    this.#integrate();
    const time = Math.max(1, this.#since - this.#begun);
    const average = this.#sum / time;
    const deviation = Math.sqrt(Math.max(0, this.#squares / time - average * average));
    const envelope = average + deviation;
    const smoothed = Math.max(envelope, smoothing * this.#last.smoothed + (1 - smoothing) * envelope);
    this.#last = { high: this.#high, average, deviation, smoothed };
    this.#begun = this.#since;
    this.#sum = 0;
    this.#squares = 0;
    this.#high = this.#now;
    return this.#last;
  }

  /** Of the last period. */
  last(): Demand {
    return this.#last;
  }

  #integrate(): void {
    const at = this.#clock.monotonic();
    const time = at - this.#since;
    this.#sum += time * this.#now;
    this.#squares += time * this.#now * this.#now;
    this.#since = at;
  }
}

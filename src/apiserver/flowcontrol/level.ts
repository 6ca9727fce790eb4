/**
 * One priority level: so many requests at once, the others wait in queues that are served in turn, so that no flow crowds
 * out the others. k8s.io/apiserver pkg/util/flowcontrol/fairqueuing, with every request taking one seat.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '#platform/clock.ts';

export interface LevelSettings {
  /** How many requests run at once; Infinity: exempt. */
  readonly seats: number;
  /** Absent: what finds no seat is refused at once. */
  readonly queuing?: { readonly queues: number; readonly handSize: number; readonly queueLengthLimit: number };
}

export type Refusal = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled';

export interface LevelFigures {
  readonly executing: number;
  readonly waiting: number;
}

interface Waiter {
  readonly run: () => void;
}

/** The queues that a flow may use: a hand of cards dealt by its hash (shuffle sharding). */
export function dealHand(flow: string, queues: number, handSize: number): readonly number[] {
  const hash = createHash('sha256').update(flow).digest();
  const deck = Array.from({ length: queues }, (_, i) => i);
  const hand: number[] = [];
  for (let i = 0; i < Math.min(handSize, queues); i++) {
    const at = hash.readUInt32BE((i % 8) * 4) % deck.length;
    hand.push(...deck.splice(at, 1));
  }
  return hand;
}

export class PriorityLevel {
  readonly #clock: Clock;
  #settings: LevelSettings;
  #queues: Waiter[][] = [];
  #executing = 0;
  #waiting = 0;
  #next = 0;

  constructor(settings: LevelSettings, clock: Clock) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** What waits already keeps its place. */
  update(settings: LevelSettings): void {
    this.#settings = settings;
    this.#serve();
  }

  figures(): LevelFigures {
    return { executing: this.#executing, waiting: this.#waiting };
  }

  /**
   * Resolves to undefined when there is a seat (give it back with `leave`), else to why there is none. A free seat is taken
   * without waiting for a turn of the loop.
   */
  enter(flow: string, waitMs: number, signal: AbortSignal): Refusal | undefined | Promise<Refusal | undefined> {
    const { seats, queuing } = this.#settings;
    if (this.#executing < seats && this.#waiting === 0) {
      this.#executing++;
      return undefined;
    }
    if (queuing === undefined) return 'concurrency-limit';
    const queue = this.#shortest(flow, queuing);
    if (queue.length >= queuing.queueLengthLimit) return 'queue-full';
    return this.#wait(queue, waitMs, signal);
  }

  leave(): void {
    this.#executing--;
    this.#serve();
  }

  #shortest(flow: string, queuing: { readonly queues: number; readonly handSize: number }): Waiter[] {
    while (this.#queues.length < queuing.queues) this.#queues.push([]);
    const hand = dealHand(flow, queuing.queues, queuing.handSize).map((i) => this.#queues[i] ?? []);
    return hand.reduce((best, q) => (q.length < best.length ? q : best));
  }

  #wait(queue: Waiter[], waitMs: number, signal: AbortSignal): Promise<Refusal | undefined> {
    return new Promise((resolve) => {
      const settle = (outcome: Refusal | undefined): void => {
        timer.cancel();
        signal.removeEventListener('abort', gone);
        this.#waiting--;
        resolve(outcome);
      };
      const drop = (why: Refusal): void => {
        const at = queue.indexOf(waiter);
        if (at < 0) return;
        queue.splice(at, 1);
        settle(why);
      };
      const waiter: Waiter = { run: () => settle(undefined) };
      const gone = (): void => drop('cancelled');
      const timer = this.#clock.after(waitMs, () => drop('time-out'));
      signal.addEventListener('abort', gone, { once: true });
      this.#waiting++;
      queue.push(waiter);
      if (signal.aborted) gone();
    });
  }

  /** Gives free seats to the queues in turn. */
  #serve(): void {
    while (this.#executing < this.#settings.seats && this.#waiting > 0) {
      let queue: Waiter[] | undefined;
      for (let i = 0; i < this.#queues.length && queue === undefined; i++) {
        const candidate = this.#queues[(this.#next + i) % this.#queues.length];
        if (candidate !== undefined && candidate.length > 0) {
          queue = candidate;
          this.#next = (this.#next + i + 1) % this.#queues.length;
        }
      }
      const waiter = queue?.shift();
      if (waiter === undefined) return;
      this.#executing++;
      waiter.run();
    }
  }
}

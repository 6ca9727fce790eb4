/**
 * One priority level: so many seats at once; the requests that find none wait in queues, and the queue that was served least
 * is served next, so that no flow crowds out the others. k8s.io/apiserver pkg/util/flowcontrol/fairqueuing.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '#platform/clock.ts';
import { DemandMeter } from './demand.ts';

export interface LevelSettings {
  /** The level's own share; Infinity: exempt. */
  readonly seats: number;
  /** What it keeps when it lends all that it may, and what it has when it borrows all that it may. */
  readonly lower: number;
  readonly upper: number;
  /** Absent: what finds no seat is refused at once. */
  readonly queuing?: { readonly queues: number; readonly handSize: number; readonly queueLengthLimit: number };
}

export type Refusal = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled';

/** What a request takes: seats while it runs, and perhaps some for a while after it was answered. */
export interface Work {
  readonly seats: number;
  readonly finalSeats: number;
  readonly finalMs: number;
}

export const oneSeat: Work = { seats: 1, finalSeats: 0, finalMs: 0 };

/** A request that waits or runs, as the dumps for administrators show it. */
export interface Ticket {
  readonly schema: string;
  readonly distinguisher: string;
  readonly work: Work;
  /** Milliseconds since the epoch. */
  readonly arrived: number;
  /** User, verb and path, for the dumps. */
  readonly details: readonly string[];
}

export interface LevelFigures {
  readonly executing: number;
  readonly executingSeats: number;
  readonly waiting: number;
  readonly waitingSeats: number;
  readonly activeQueues: number;
  readonly dispatched: number;
  readonly refused: Readonly<Record<Refusal, number>>;
}

interface Waiter {
  readonly ticket: Ticket;
  readonly run: (seated: Seated) => void;
}

interface Queue {
  readonly index: number;
  readonly waiters: Waiter[];
  waitingSeats: number;
  executing: number;
  executingSeats: number;
  /** Seat-seconds that its requests took: its virtual time. */
  served: number;
}

/** Given back with `leave`. */
export interface Seated {
  readonly ticket: Ticket;
  readonly queue: Queue | undefined;
  readonly since: number;
}

/** What a request is thought to take before it is known: upstream's 3 ms. */
const guessedSeconds = 0.003;
/** Nothing is for free, or the first of equals would always be next. */
const leastSeconds = 0.0001;

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

/** With what those that run are thought to take. */
const charged = (queue: Queue): number => queue.served + queue.executingSeats * guessedSeconds;

/** Flows whose hands are remembered: dealing one costs more than all the rest of a request's way through its level. */
const rememberedHands = 1024;

const newQueue = (index: number): Queue => ({ index, waiters: [], waitingSeats: 0, executing: 0, executingSeats: 0, served: 0 });

export class PriorityLevel {
  readonly #clock: Clock;
  readonly demand: DemandMeter;
  #settings: LevelSettings;
  /** Seats now: its own, less what it lends, more what it borrows. */
  #limit: number;
  #queues: Queue[] = [];
  readonly #hands = new Map<string, readonly number[]>();
  #executing = 0;
  #executingSeats = 0;
  #waiting = 0;
  #waitingSeats = 0;
  #dispatched = 0;
  readonly #refused: Record<Refusal, number> = { 'queue-full': 0, 'concurrency-limit': 0, 'time-out': 0, cancelled: 0 };

  constructor(settings: LevelSettings, clock: Clock) {
    this.#clock = clock;
    this.#settings = settings;
    this.#limit = settings.seats;
    this.demand = new DemandMeter(clock);
  }

  get settings(): LevelSettings {
    return this.#settings;
  }

  get limit(): number {
    return this.#limit;
  }

  /** What waits already keeps its place. */
  update(settings: LevelSettings): void {
    if (settings.seats !== this.#settings.seats) this.#limit = settings.seats;
    this.#hands.clear();
    this.#settings = settings;
    this.#serve();
  }

  /** Lends or borrows: see borrowing.ts. */
  setLimit(seats: number): void {
    this.#limit = seats;
    this.#serve();
  }

  figures(): LevelFigures {
    return {
      executing: this.#executing,
      executingSeats: this.#executingSeats,
      waiting: this.#waiting,
      waitingSeats: this.#waitingSeats,
      activeQueues: this.#queues.filter((q) => q.waiters.length > 0 || q.executing > 0).length,
      dispatched: this.#dispatched,
      refused: { ...this.#refused },
    };
  }

  /** What waits and runs, queue by queue. */
  queues(): readonly {
    readonly index: number;
    readonly waiting: readonly Ticket[];
    readonly executing: number;
    readonly seats: number;
    readonly served: number;
  }[] {
    return this.#queues.map((q) => ({
      index: q.index,
      waiting: q.waiters.map((w) => w.ticket),
      executing: q.executing,
      seats: q.executingSeats,
      served: q.served,
    }));
  }

  /**
   * Resolves to a seat (to be given back with `leave`) or to why there is none. A free seat is taken without waiting for a
   * turn of the loop.
   */
  enter(ticket: Ticket, waitMs: number, signal: AbortSignal): Seated | Refusal | Promise<Seated | Refusal> {
    const { queuing } = this.#settings;
    const flow = `${ticket.schema}/${ticket.distinguisher}`;
    if (this.#waiting === 0 && this.#fits(ticket.work))
      return this.#seat(ticket, queuing === undefined ? undefined : this.#shortest(flow, queuing));
    if (queuing === undefined) return this.#refuse('concurrency-limit');
    const queue = this.#shortest(flow, queuing);
    if (queue.waiters.length >= queuing.queueLengthLimit) return this.#refuse('queue-full');
    return this.#wait(queue, ticket, waitMs, signal);
  }

  leave(seated: Seated): void {
    const { ticket, queue, since } = seated;
    const { seats, finalSeats, finalMs } = ticket.work;
    const seconds = Math.max(leastSeconds, (this.#clock.monotonic() - since) / 1000);
    this.#executing--;
    if (queue !== undefined) {
      queue.executing--;
      queue.served += seats * seconds + (finalSeats * finalMs) / 1000;
    }
    this.#release(seats - finalSeats, queue);
    if (finalSeats > 0) this.#clock.after(finalMs, () => this.#release(finalSeats, queue));
  }

  #release(seats: number, queue: Queue | undefined): void {
    this.#executingSeats -= seats;
    if (queue !== undefined) queue.executingSeats -= seats;
    this.#measure();
    this.#serve();
  }

  #refuse(why: Refusal): Refusal {
    this.#refused[why]++;
    return why;
  }

  /** A request that is wider than the level runs alone. */
  #fits(work: Work): boolean {
    const seats = Math.max(work.seats, work.finalSeats);
    return this.#executingSeats + seats <= this.#limit || (this.#executingSeats === 0 && this.#limit > 0);
  }

  #seat(ticket: Ticket, queue: Queue | undefined): Seated {
    const { seats } = ticket.work;
    this.#dispatched++;
    this.#executing++;
    this.#executingSeats += seats;
    if (queue !== undefined) {
      // Who was away has not saved up.
      if (queue.waiters.length === 0 && queue.executing === 0) queue.served = Math.max(queue.served, this.#virtualTime(queue));
      queue.executing++;
      queue.executingSeats += seats;
    }
    this.#measure();
    return { ticket, queue, since: this.#clock.monotonic() };
  }

  /** How far the queue that was served least has come, of those in use. */
  #virtualTime(besides: Queue): number {
    let least = Number.POSITIVE_INFINITY;
    for (const q of this.#queues) if (q !== besides && (q.waiters.length > 0 || q.executing > 0)) least = Math.min(least, q.served);
    return Number.isFinite(least) ? least : 0;
  }

  #measure(): void {
    this.demand.set(this.#executingSeats + this.#waitingSeats);
  }

  #shortest(flow: string, queuing: { readonly queues: number; readonly handSize: number }): Queue {
    for (let i = this.#queues.length; i < queuing.queues; i++) this.#queues.push(newQueue(i));
    let best: Queue | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const i of this.#hand(flow, queuing)) {
      const queue = this.#queues[i];
      if (queue === undefined) continue;
      const work = queue.waitingSeats + queue.executingSeats;
      if (work < least) {
        best = queue;
        least = work;
      }
    }
    return best ?? newQueue(0);
  }

  #hand(flow: string, queuing: { readonly queues: number; readonly handSize: number }): readonly number[] {
    let hand = this.#hands.get(flow);
    if (hand !== undefined) return hand;
    if (this.#hands.size >= rememberedHands) this.#hands.clear();
    hand = dealHand(flow, queuing.queues, queuing.handSize);
    this.#hands.set(flow, hand);
    return hand;
  }

  #wait(queue: Queue, ticket: Ticket, waitMs: number, signal: AbortSignal): Promise<Seated | Refusal> {
    return new Promise((resolve) => {
      const settle = (outcome: Seated | Refusal): void => {
        timer.cancel();
        signal.removeEventListener('abort', gone);
        resolve(outcome);
      };
      const drop = (why: Refusal): void => {
        const at = queue.waiters.indexOf(waiter);
        if (at < 0) return;
        queue.waiters.splice(at, 1);
        this.#count(-1, queue, ticket);
        settle(this.#refuse(why));
        this.#serve();
      };
      const waiter: Waiter = { ticket, run: settle };
      const gone = (): void => drop('cancelled');
      const timer = this.#clock.after(waitMs, () => drop('time-out'));
      signal.addEventListener('abort', gone, { once: true });
      if (queue.waiters.length === 0 && queue.executing === 0) queue.served = Math.max(queue.served, this.#virtualTime(queue));
      this.#count(1, queue, ticket);
      queue.waiters.push(waiter);
      if (signal.aborted) gone();
    });
  }

  #count(by: 1 | -1, queue: Queue, ticket: Ticket): void {
    queue.waitingSeats += by * ticket.work.seats;
    this.#waiting += by;
    this.#waitingSeats += by * ticket.work.seats;
    this.#measure();
  }

  /** Gives free seats to the queue that was served least. Nobody overtakes a wide request that has its turn. */
  #serve(): void {
    while (this.#waiting > 0) {
      let queue: Queue | undefined;
      for (const q of this.#queues) if (q.waiters.length > 0 && (queue === undefined || charged(q) < charged(queue))) queue = q;
      const [waiter] = queue?.waiters ?? [];
      if (queue === undefined || waiter === undefined || !this.#fits(waiter.ticket.work)) return;
      queue.waiters.shift();
      this.#count(-1, queue, waiter.ticket);
      waiter.run(this.#seat(waiter.ticket, queue));
    }
  }
}

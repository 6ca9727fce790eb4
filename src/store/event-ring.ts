import type { CacheEvent, Revision } from './contract.ts';

/**
 * The most recent events in revision order, bounded by their number and by the bytes that only they keep alive (the values
 * of superseded and deleted entries; current ones are in memory anyway).
 */
export class EventRing {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  #events: (CacheEvent | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #oldest: Revision;

  constructor(oldest: Revision, maxEvents: number, maxBytes: number) {
    this.#oldest = oldest;
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  /** Every event after this revision is here. */
  get oldest(): Revision {
    return this.#oldest;
  }

  get size(): number {
    return this.#events.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(event: CacheEvent): void {
    this.#events.push(event);
    this.#bytes += cost(event);
    while (this.size > this.#maxEvents || (this.#bytes > this.#maxBytes && this.size > 0)) this.#shift();
  }

  /** Events with a revision greater than `from`, oldest first. */
  *after(from: Revision): Generator<CacheEvent, void, undefined> {
    let low = this.#head;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle] as CacheEvent).entry.revision <= from) low = middle + 1;
      else high = middle;
    }
    for (; low < this.#events.length; low++) yield this.#events[low] as CacheEvent;
  }

  #shift(): void {
    const event = this.#events[this.#head] as CacheEvent;
    this.#events[this.#head] = undefined;
    this.#head++;
    this.#bytes -= cost(event);
    this.#oldest = event.entry.revision;
    if (this.#head > 1024 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** The event and its places in the ring, without values. */
const perEvent = 200;

function cost(event: CacheEvent): number {
  // A deletion's entry is served with the deletion's revision, so its bytes are its own.
  return (event.previous?.value.byteLength ?? 0) + (event.type === 'delete' ? event.entry.value.byteLength : 0) + perEvent;
}

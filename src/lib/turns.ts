/** Lets one at a time work on a key, in the order in which they came. Holds nothing for keys that nobody works on. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Waits for the turn, which ends with what `release` is called for. Rejects with the signal's reason when it aborts before. */
  async take(key: string, signal: AbortSignal): Promise<{ readonly release: () => void }> {
    signal.throwIfAborted();
    const before = this.#last.get(key);
    const { promise: mine, resolve: release } = Promise.withResolvers<void>();
    const tail = (before ?? Promise.resolve()).then(() => mine);
    this.#last.set(key, tail);
    void tail.then(() => {
      if (this.#last.get(key) === tail) this.#last.delete(key);
    });
    if (before === undefined) return { release };
    const gone = Promise.withResolvers<never>();
    const abort = (): void => gone.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([before, gone.promise]);
    } catch (error) {
      release();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
    return { release };
  }

  /** How many keys somebody works on or waits for. */
  get size(): number {
    return this.#last.size;
  }
}

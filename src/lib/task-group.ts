/**
 * Where background work lives: what is spawned here is cancelled and awaited when the group closes, and a failure
 * reaches whoever closes or joins the group.
 *
 *   await using tasks = new TaskGroup(signal);
 *   tasks.spawn((signal) => loop(signal));
 */
export class TaskGroup {
  readonly #controller = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(parent?: AbortSignal) {
    if (parent?.aborted === true) this.#controller.abort(parent.reason);
    else parent?.addEventListener('abort', () => this.#controller.abort(parent.reason), { once: true, signal: this.#controller.signal });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts a task. An error that is not the group's own abort cancels the group and is rethrown by join and close. */
  spawn(task: (signal: AbortSignal) => Promise<void>): void {
    const run = async (): Promise<void> => {
      try {
        await task(this.signal);
      } catch (error) {
        if (this.signal.aborted) return;
        this.#failure ??= { error };
        this.#controller.abort(error);
      }
    };
    const promise = run().finally(() => this.#running.delete(promise));
    this.#running.add(promise);
  }

  /** Waits until every task has ended; rethrows the first failure. */
  async join(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Cancels, then joins. */
  async close(): Promise<void> {
    this.#controller.abort(new Error('closed'));
    await this.join();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Work by key: a key is worked on by one worker at a time, asked for once however often it is added, and again after a failure. */
import { backoffMs } from '#lib/backoff.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock, Timer } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';

export interface KeyedWork {
  /** As soon as a worker is free. */
  readonly add: (key: string) => void;
  /** Cancels what is still to come for a key. */
  readonly drop: (key: string) => void;
  /** Until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface KeyedWorkOptions {
  readonly name: string;
  readonly workers: number;
  /** Gives the milliseconds until the key is to be worked on again; undefined: when it is added. What it throws is logged. */
  readonly work: (key: string, signal: AbortSignal) => Promise<number | undefined>;
  /** Wait after a failure, doubled with each. */
  readonly retry: { readonly baseMs: number; readonly maxMs: number };
}

interface State {
  running: boolean;
  again: boolean;
  failures: number;
  timer: Timer | undefined;
}

export function createKeyedWork(options: KeyedWorkOptions, deps: { readonly clock: Clock; readonly log: Logger }): KeyedWork {
  const states = new Map<string, State>();
  const ready = new Set<string>();
  let active = 0;
  let tasks: TaskGroup | undefined;

  const stateOf = (key: string): State => {
    const state = states.get(key) ?? { running: false, again: false, failures: 0, timer: undefined };
    states.set(key, state);
    return state;
  };
  const add = (key: string): void => {
    const state = stateOf(key);
    state.timer?.cancel();
    state.timer = undefined;
    if (state.running) state.again = true;
    else ready.add(key);
    pump();
  };
  const finished = (key: string, state: State, wait: number | undefined): void => {
    active--;
    state.running = false;
    if (states.get(key) === state) {
      if (state.again) {
        state.again = false;
        ready.add(key);
      } else if (wait !== undefined) state.timer = deps.clock.after(wait, () => add(key));
      else if (state.failures === 0) states.delete(key);
    }
    pump();
  };
  const one = async (key: string, state: State, signal: AbortSignal): Promise<void> => {
    let wait: number | undefined;
    try {
      wait = await options.work(key, signal);
      state.failures = 0;
    } catch (error) {
      if (!signal.aborted) deps.log.warn(`${options.name} failed, will retry`, { key, error });
      state.failures++;
      wait = backoffMs(state.failures, options.retry);
    }
    finished(key, state, wait);
  };
  function pump(): void {
    if (tasks === undefined || tasks.signal.aborted) return;
    for (const key of ready) {
      if (active >= options.workers) return;
      ready.delete(key);
      const state = stateOf(key);
      state.running = true;
      active++;
      tasks.spawn((signal) => one(key, state, signal));
    }
  }

  return {
    add,
    drop: (key) => {
      states.get(key)?.timer?.cancel();
      states.delete(key);
      ready.delete(key);
    },
    run: async (signal) => {
      await using group = new TaskGroup(signal);
      tasks = group;
      pump();
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      for (const state of states.values()) state.timer?.cancel();
      await group.close();
    },
  };
}

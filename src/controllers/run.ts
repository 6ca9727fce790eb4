/** Runs the controllers of a server. */
import type { KubeClient } from '#client/contract.ts';
import { createEventRecorder } from '#client/events.ts';
import { createInformerFactory } from '#client/informer-factory.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import type { ControllerConfig, ControllerDef, Runnable } from './controller.ts';

export interface ControllersOptions {
  /** A client that acts as the user of that name, with the groups that come with it. */
  readonly clientFor: (user: string) => KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly config: ControllerConfig;
  readonly controllers: readonly ControllerDef[];
}

export interface Controllers {
  /** Begins the work; resolves at once. */
  readonly start: () => Promise<void>;
  /** Ends the work and waits for it. Safe to call before start and twice. */
  readonly stop: () => Promise<void>;
  /** Undefined when every informer has synced and every controller works, else why not. */
  readonly notReady: () => string | undefined;
}

const restartMs = 1000;

/** One controller's bug must not stop the others: it is logged with its stack, and the controller starts over. */
async function keepRunning(name: string, one: Runnable, { clock, log }: ControllersOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await one.run(signal);
    } catch (error) {
      if (signal.aborted) return;
      log.error('controller failed, will start it again', { controller: name, error });
    }
    await clock.sleep(restartMs, signal).catch(() => undefined);
  }
}

export function createControllers(options: ControllersOptions): Controllers {
  const { clock, random, log } = options;
  const informers = createInformerFactory({ client: options.clientFor('system:kube-controller-manager'), clock, random, log });
  let tasks: TaskGroup | undefined;
  let stopping: Promise<void> | undefined;
  let problem: string | undefined = 'not started';
  return {
    start: async () => {
      if (tasks !== undefined) return;
      const group = new TaskGroup();
      tasks = group;
      for (const def of options.controllers) {
        const client = options.clientFor(def.user ?? `system:serviceaccount:kube-system:${def.serviceAccount ?? def.name}`);
        const recorder = createEventRecorder({ client, clock, log, component: def.eventSource ?? def.name });
        group.spawn(recorder.run);
        const deps = { client, informers, recorder, clock, random, log, config: options.config };
        for (const one of def.create(deps)) group.spawn((signal) => keepRunning(def.name, one, options, signal));
      }
      informers.start(group);
      problem = 'waiting for the informers';
      group.spawn(async (signal) => {
        await informers.synced(signal);
        problem = undefined;
      });
    },
    stop: async () => {
      problem = 'stopped';
      stopping ??= tasks?.close();
      await stopping;
    },
    notReady: () => problem,
  };
}

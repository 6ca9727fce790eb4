/** A part of a running k3ts, as data: app/server.ts and app/agent.ts list theirs. */

export interface Running {
  /** Begins the work; resolves when it is under way (not when it is ready). */
  readonly start: () => Promise<void>;
  /** Ends the work and waits for it. Safe to call twice. Called only after start, also when start failed. */
  readonly stop: () => Promise<void>;
  /** Shown by /readyz?verbose: undefined when ready, else why not. */
  readonly notReady: () => string | undefined;
}

export interface Component<Config, Deps> {
  readonly name: string;
  /** Names of the components that must have started before, if they are enabled. */
  readonly needs: readonly string[];
  readonly enabled: (config: Config) => boolean;
  readonly create: (deps: Deps) => Running;
}

export interface System {
  readonly start: () => Promise<void>;
  /** Stops what was started, in reverse order. Every one is stopped, whatever the others do; the first failure is thrown. */
  readonly stop: () => Promise<void>;
  /** Name → undefined when ready, else why not. */
  readonly readiness: () => ReadonlyMap<string, string | undefined>;
}

/** Puts the enabled components into an order in which each comes after what it needs. Throws for an unknown name or a circle. */
export function inOrder<C, D>(components: readonly Component<C, D>[], config: C): readonly Component<C, D>[] {
  const byName = new Map(components.map((c) => [c.name, c]));
  const ordered: Component<C, D>[] = [];
  const visit = (component: Component<C, D>, path: readonly string[]): void => {
    if (ordered.includes(component)) return;
    if (path.includes(component.name)) throw new Error(`components need each other: ${[...path, component.name].join(' → ')}`);
    for (const name of component.needs) {
      const needed = byName.get(name);
      if (needed === undefined) throw new Error(`component ${component.name} needs ${name}, which does not exist`);
      visit(needed, [...path, component.name]);
    }
    ordered.push(component);
  };
  for (const component of components) visit(component, []);
  return ordered.filter((c) => c.enabled(config));
}

/** Makes the enabled components into one thing that starts and stops. */
export function createSystem<C, D>(components: readonly Component<C, D>[], config: C, deps: D): System {
  const parts = inOrder(components, config).map((c) => ({ name: c.name, running: c.create(deps) }));
  let started: typeof parts = [];
  return {
    start: async () => {
      for (const part of parts) {
        started.push(part);
        await part.running.start();
      }
    },
    stop: async () => {
      const toStop = started.reverse();
      started = [];
      let failure: { readonly error: unknown } | undefined;
      for (const part of toStop) {
        try {
          await part.running.stop();
        } catch (error) {
          failure ??= { error: new Error(`stopping ${part.name}`, { cause: error }) };
        }
      }
      if (failure !== undefined) throw failure.error;
    },
    readiness: () => new Map(parts.map((p) => [p.name, started.includes(p) ? p.running.notReady() : 'not started'])),
  };
}

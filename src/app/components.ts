/** A part of a running k3ts, as data: app/server.ts and app/agent.ts list them. */

export interface Running {
  /** Begins the work; resolves when it is under way (not when it is ready). */
  readonly start: () => Promise<void>;
  /** Ends the work and waits for it. Safe to call before start and twice. */
  readonly stop: () => Promise<void>;
  /** Shown by /readyz?verbose: undefined when ready, else why not. */
  readonly notReady: () => string | undefined;
}

export interface Component<Config, Deps> {
  readonly name: string;
  /** Names of the components that must have started before. */
  readonly needs: readonly string[];
  readonly enabled: (config: Config) => boolean;
  readonly create: (deps: Deps) => Running;
}

import { pino } from 'pino';

type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  readonly debug: (message: string, fields?: Fields) => void;
  readonly info: (message: string, fields?: Fields) => void;
  readonly warn: (message: string, fields?: Fields) => void;
  readonly error: (message: string, fields?: Fields) => void;
  /** A logger whose lines name the part they come from. */
  readonly child: (component: string) => Logger;
}

/** The logger that all others are children of. */
export interface RootLogger extends Logger {
  /** Why lines cannot be written, or undefined. */
  readonly problem: () => string | undefined;
}

/** JSON lines on standard error. An `error` field that holds an Error is written with its stack. */
export function createLogger(options: { readonly debug: boolean }): RootLogger {
  let problem: string | undefined;
  const destination = pino.destination({ dest: 2, sync: true });
  // A full disk below the log is no reason to end.
  destination.on('error', (error: Error) => {
    problem = error.message;
  });
  destination.on('write', () => {
    problem = undefined;
  });
  const root = pino(
    {
      level: options.debug ? 'debug' : 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    destination,
  );
  const wrap = (p: typeof root): Logger => ({
    debug: (message, fields) => p.debug(fields ?? {}, message),
    info: (message, fields) => p.info(fields ?? {}, message),
    warn: (message, fields) => p.warn(fields ?? {}, message),
    error: (message, fields) => p.error(fields ?? {}, message),
    child: (component) => wrap(p.child({ component })),
  });
  return { ...wrap(root), problem: () => problem };
}

/** A logger that keeps what it is told, for tests. */
export function memoryLogger(): Logger & { readonly lines: readonly string[] } {
  const lines: string[] = [];
  const at = (level: string) => (message: string, fields?: Fields) => {
    lines.push(`${level} ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`);
  };
  const logger: Logger & { lines: string[] } = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
    lines,
  };
  return logger;
}

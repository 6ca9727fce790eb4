import type { Options as YargsOptions } from 'yargs';
import type { Flag } from '#app/flags.ts';

/** A flag of the table as yargs wants it. Defaults are only shown: resolveOptions applies them. */
export function yargsOption(flag: Flag): YargsOptions {
  const shown = flag.default === undefined || flag.default === false ? '' : ` (default: ${String(flag.default)})`;
  const env = flag.env === undefined ? '' : ` [$${flag.env}]`;
  return {
    describe: `${flag.description}${shown}${env}`,
    ...(flag.alias === undefined ? {} : { alias: flag.alias }),
    ...(flag.kind === 'boolean' ? { type: 'boolean' as const } : { type: 'string' as const, requiresArg: true }),
    ...(flag.kind === 'list' ? { array: false } : {}),
  };
}

/** Only the flags that were given, by long name. */
export function givenFlags(flags: readonly Flag[], argv: Readonly<Record<string, unknown>>): Map<string, unknown> {
  const given = new Map<string, unknown>();
  for (const flag of flags) {
    const value = argv[flag.name];
    if (value !== undefined) given.set(flag.name, value);
  }
  return given;
}

/**
 * Puts together what the command line, the configuration files and the environment say about the flags of a command.
 * Precedence as in K3s: command line, file, environment, default.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { defaultConfigFile, type Flag, type FlagValue } from './flags.ts';

/** A setting that cannot be used. The message says which, why, and where it came from. */
export class OptionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OptionError';
  }
}

export type Options = ReadonlyMap<string, FlagValue>;

export interface OptionSources {
  /** Flags given on the command line only, by long name. */
  readonly commandLine: ReadonlyMap<string, unknown>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Throws OptionError for a bad value or an unknown key. `where` names the source for the message.
 */
function coerce(flag: Flag, value: unknown, where: string): FlagValue {
  const fail = (why: string): never => {
    throw new OptionError(`${where}: ${flag.name}: ${why}`);
  };
  const text = (v: unknown): string => {
    if (typeof v === 'string') return v;
    if (typeof v === 'number' || typeof v === 'boolean') return String(v);
    if (Array.isArray(v) && flag.kind !== 'list') return fail('is given more than once');
    return fail(`${JSON.stringify(v)} is not ${flag.kind === 'list' ? 'a list of strings' : `a value of the type ${flag.kind}`}`);
  };
  const checked = (v: string): string => {
    const problem = flag.check?.(v);
    return problem === undefined ? v : fail(`"${v}" ${problem}`);
  };
  switch (flag.kind) {
    case 'boolean': {
      const v = text(value);
      return v === 'true' ? true : v === 'false' ? false : fail(`"${v}" is neither true nor false`);
    }
    case 'integer': {
      const v = text(value);
      return /^\d+$/.test(v) ? Number(checked(v)) : fail(`"${v}" is not a whole number`);
    }
    case 'list':
      return (Array.isArray(value) ? value : [value]).map((v) => checked(text(v)));
    case 'string': {
      const v = text(value);
      return v === '' ? fail('is empty') : checked(v);
    }
  }
}

interface FileSettings {
  readonly file: string;
  readonly settings: ReadonlyMap<string, unknown>;
}

function readSettings(file: string): FileSettings {
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'), { maxAliasCount: 100 });
  } catch (error) {
    throw new OptionError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (content === null || content === undefined) return { file, settings: new Map() };
  if (typeof content !== 'object' || Array.isArray(content)) throw new OptionError(`${file}: must hold a map of flag names to values`);
  return { file, settings: new Map(Object.entries(content)) };
}

/** The configuration file and its drop-ins, in the order in which they are read. A missing default file is fine. */
function configFiles(file: string, explicit: boolean): FileSettings[] {
  const files: FileSettings[] = [];
  if (existsSync(file)) files.push(readSettings(file));
  else if (explicit) throw new OptionError(`${file}: no such file`);
  const folder = `${file}.d`;
  if (existsSync(folder)) {
    const names = readdirSync(folder).filter((n) => n.endsWith('.yaml') || n.endsWith('.yml'));
    for (const name of names.sort()) files.push(readSettings(join(folder, name)));
  }
  return files;
}

/** The last file wins for each key; "key+" adds to the list of the files before it (K3s' rule). */
function mergeFiles(files: readonly FileSettings[], flags: ReadonlyMap<string, Flag>): Map<string, FlagValue> {
  const merged = new Map<string, FlagValue>();
  for (const { file, settings } of files) {
    for (const [key, value] of settings) {
      const append = key.endsWith('+');
      const name = append ? key.slice(0, -1) : key;
      const flag = flags.get(name);
      if (flag === undefined || name === 'config')
        throw new OptionError(`${file}: unknown setting "${key}"; the settings are the long flags of --help`);
      const coerced = coerce(flag, value, file);
      const before = merged.get(name);
      if (append && Array.isArray(coerced)) merged.set(name, [...(Array.isArray(before) ? before : []), ...coerced]);
      else merged.set(name, coerced);
    }
  }
  return merged;
}

/** All flags that have a value. Throws OptionError. */
export function resolveOptions(flags: readonly Flag[], sources: OptionSources): Options {
  const byName = new Map(flags.map((f) => [f.name, f]));
  const given = new Map<string, FlagValue>();
  for (const [name, value] of sources.commandLine) {
    const flag = byName.get(name);
    if (flag === undefined) throw new OptionError(`unknown flag --${name}`);
    given.set(name, coerce(flag, value, 'command line'));
  }
  const envOf = (flag: Flag): string | undefined => {
    const value = flag.env === undefined ? undefined : sources.env[flag.env];
    return value === '' ? undefined : value;
  };
  const configFlag = byName.get('config');
  const fromEnv = configFlag === undefined ? undefined : envOf(configFlag);
  const configFile = String(given.get('config') ?? fromEnv ?? defaultConfigFile);
  const files = mergeFiles(configFiles(configFile, given.has('config') || fromEnv !== undefined), byName);
  const options = new Map<string, FlagValue>();
  for (const flag of flags) {
    const env = envOf(flag);
    const value =
      given.get(flag.name) ??
      files.get(flag.name) ??
      (env === undefined ? undefined : coerce(flag, env, `environment ${flag.env}`)) ??
      flag.default;
    if (value !== undefined) options.set(flag.name, value);
  }
  return options;
}

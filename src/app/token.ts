import { readFileSync } from 'node:fs';
import { paths } from './config.ts';
import { flagsOf } from './flags.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';

/** `k3ts token`: prints the node token that `k3ts server` keeps. Throws OptionError where there is none. */
export async function printToken(sources: OptionSources): Promise<void> {
  const dataDir = String(resolveOptions(flagsOf('server'), sources).get('data-dir'));
  const file = paths(dataDir).nodeToken;
  try {
    process.stdout.write(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new OptionError(`no token: ${error instanceof Error ? error.message : String(error)}: has "k3ts server" run here, as this user?`);
  }
}

import { readFileSync } from 'node:fs';
import { askServer } from './ask-server.ts';
import { paths, tokenOf } from './config.ts';
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

/**
 * `k3ts token rotate`: the running server takes another token, a random one where none is given. Rejects with OptionError when the
 * server cannot be asked or refuses, as it does when --token is given and not the one of now.
 */
export async function rotateToken(newToken: string | undefined, sources: OptionSources): Promise<void> {
  const token = tokenOf(resolveOptions(flagsOf('server'), sources));
  await askServer(sources, 'PUT', '/v1-k3ts/token', { token, newToken });
  process.stdout.write(
    'Token rotated: the old one joins no more, and nodes that joined stay. Whoever gives --token to a server or an agent gives the new one at its next start.\n',
  );
}

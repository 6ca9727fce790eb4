/** `k3ts certificate rotate-ca`: other authorities from the next start on. K3s' command of that name. */
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type NewAuthorities, readNewAuthorities, stageAuthorities } from '#pki/staged-authorities.ts';
import { paths } from './config.ts';
import { flagsOf } from './flags.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';

export interface RotateCaCommand {
  /** Folder whose subfolder tls has the new files. */
  readonly path: string;
  /** Also when those who trust the authorities of now will not trust the new ones. */
  readonly force: boolean;
}

/** Rejects with OptionError when there are no files, no server could start with them, or they are objected to and not forced. */
export async function rotateAuthorities({ path, force }: RotateCaCommand, sources: OptionSources): Promise<void> {
  if (path === '') throw new OptionError('--path is required: a folder whose subfolder tls has the new files');
  const where = paths(String(resolveOptions(flagsOf('server'), sources).get('data-dir')));
  if (!existsSync(where.tls)) throw new OptionError(`no certificates in ${where.tls}: has "k3ts server" run here, as this user?`);
  const fail = (error: unknown): never => {
    const why = error instanceof Error ? error.message : String(error);
    throw new OptionError(`failed to validate new CA certificates and keys: ${why}`);
  };
  const found: NewAuthorities = await readNewAuthorities(where.tls, join(path, 'tls'), Date.now()).catch(fail);
  if (found.objections.length > 0 && !force) fail(`${found.objections.join('; ')} (--force uses them all the same)`);
  for (const objection of found.objections) process.stderr.write(`k3ts: forced, although ${objection}\n`);
  const backup = `${where.tls}-${Date.now()}`;
  cpSync(where.tls, backup, { recursive: true });
  await stageAuthorities(where.server, found.files);
  process.stdout.write(
    `Staged ${[...found.files.keys()].join(', ')}; what is in use now was copied to ${backup}. Restart the server to use them, then every agent.\n`,
  );
}

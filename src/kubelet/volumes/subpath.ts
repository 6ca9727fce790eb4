/**
 * subPath mounts that a container cannot lead astray: the path below the volume is walked one name at a time from an
 * open folder, links are refused or must end inside the volume, and what is mounted is the open file itself, not its
 * name. Purpose of k8s.io/kubernetes pkg/volume/util/subpath.
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Exec } from '#platform/exec.ts';
import { isMounted } from './mounts.ts';

/** Linux's O_PATH: a handle that names a file without opening its content. Node has no constant for it. */
const pathOnly = 0o10000000;

const inside = (root: string, path: string): boolean => path === root || path.startsWith(`${root}/`);
const handlePath = (handle: FileHandle): string => `/proc/self/fd/${handle.fd}`;

/** Opens `subPath` below `volume`, making missing folders. Throws when it leads out of the volume. */
async function openInside(volume: string, subPath: string): Promise<FileHandle> {
  const root = await realpath(volume);
  // What is made gets the mode of the volume itself.
  const mode = (await stat(root)).mode & 0o777;
  let current = await open(root, pathOnly | constants.O_DIRECTORY);
  try {
    for (const name of subPath.split('/')) {
      if (name === '' || name === '.') continue;
      if (name === '..') throw new Error(`subPath "${subPath}" must not contain '..'`);
      const path = `${handlePath(current)}/${name}`;
      // Follows links; where they lead is checked on the open handle, which nobody can exchange any more.
      const next = await open(path, pathOnly).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        await mkdir(path, { mode });
        const made = await open(path, pathOnly | constants.O_NOFOLLOW | constants.O_DIRECTORY);
        await chmod(handlePath(made), mode);
        return made;
      });
      await current.close();
      current = next;
      const real = await readlink(handlePath(current));
      if (!inside(root, real)) throw new Error(`subPath "${subPath}" is outside of the volume`);
    }
    return current;
  } catch (error) {
    await current.close();
    throw error;
  }
}

/** Bind-mounts `subPath` of `volume` at `target` (made as file or folder) unless it is mounted already. */
export async function bindSubPath(volume: string, subPath: string, target: string, exec: Exec): Promise<void> {
  if (await isMounted(target)) return;
  const handle = await openInside(volume, subPath);
  try {
    await mkdir(dirname(target), { recursive: true });
    if ((await handle.stat()).isDirectory()) await mkdir(target, { recursive: true });
    else await writeFile(target, '');
    await exec('mount', ['--no-canonicalize', '--bind', join('/proc', String(process.pid), 'fd', String(handle.fd)), target], {
      timeoutMs: 30_000,
    });
  } finally {
    await handle.close();
  }
}

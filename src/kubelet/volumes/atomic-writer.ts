/**
 * Projects files into a folder so that readers see either all of the old ones or all of the new: they live in a
 * timestamped folder to which `..data` points, and the visible names are links through `..data`. Layout of
 * k8s.io/kubernetes pkg/volume/util/atomic_writer.go, which programs that watch `..data` rely on.
 */
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface ProjectedFile {
  readonly content: Buffer;
  readonly mode: number;
  /** Owner, where it is not root. */
  readonly uid?: number;
}

export type Payload = ReadonlyMap<string, ProjectedFile>;

export interface Ownership {
  /** Files get this group and are readable by it. */
  readonly fsGroup?: number;
}

const dataLink = '..data';

/** Throws unless the name stays inside the folder and clashes with no name of ours. */
export function checkProjectedPath(path: string): void {
  if (path === '') throw new Error('invalid path: must not be empty');
  if (path.startsWith('/')) throw new Error(`invalid path: must be relative path: ${path}`);
  const parts = path.split('/');
  if (parts.includes('..')) throw new Error(`invalid path: must not contain '..': ${path}`);
  if (path.startsWith('..')) throw new Error(`invalid path: must not start with '..': ${path}`);
  if (Buffer.byteLength(path) > 4096 || parts.some((p) => Buffer.byteLength(p) > 255))
    throw new Error('invalid path: must be less than or equal to 4096 characters');
}

async function isCurrent(dir: string, payload: Payload): Promise<boolean> {
  const present: string[] = [];
  const walk = async (at: string): Promise<void> => {
    for (const entry of await readdir(join(dir, at), { withFileTypes: true })) {
      const path = at === '' ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) await walk(path);
      else present.push(path);
    }
  };
  await walk('');
  if (present.length !== payload.size) return false;
  for (const path of present) {
    const file = payload.get(path);
    if (file === undefined || !file.content.equals(await readFile(join(dir, path)))) return false;
  }
  return true;
}

async function own(path: string, mode: number, isDir: boolean, ownership: Ownership, uid = 0): Promise<void> {
  if (ownership.fsGroup === undefined) {
    await chmod(path, mode);
    if (uid !== 0) await chown(path, uid, 0);
    return;
  }
  await chown(path, uid, ownership.fsGroup);
  // As pkg/volume/volume_linux.go for read-only volumes: the group may read; folders keep the group for what is made in them.
  await chmod(path, mode | (isDir ? 0o2550 : 0o440));
}

async function writeAll(dir: string, payload: Payload, ownership: Ownership): Promise<void> {
  await own(dir, 0o755, true, ownership);
  for (const [path, file] of payload) {
    const full = join(dir, path);
    let parent = '';
    for (const part of dirname(path).split('/')) {
      if (part === '.') continue;
      parent = join(parent, part);
      const made = await mkdir(join(dir, parent)).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code !== 'EEXIST') throw error;
          return false;
        },
      );
      if (made) await own(join(dir, parent), 0o755, true, ownership);
    }
    await writeFile(full, file.content, { mode: 0o600 });
    await own(full, file.mode, false, ownership, file.uid);
  }
}

/** Names at the top of the folder: "a/b" shows as "a". */
const topNames = (payload: Payload): ReadonlySet<string> => new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path));

/** Makes `target` show exactly `payload`. Gives false when it already did. Paths must have passed checkProjectedPath. */
export async function writeAtomically(target: string, payload: Payload, ownership: Ownership = {}): Promise<boolean> {
  for (const path of payload.keys()) checkProjectedPath(path);
  await mkdir(target, { recursive: true });
  await own(target, 0o777, true, ownership);
  const old = await readlink(join(target, dataLink)).catch(() => undefined);
  if (old !== undefined && (await isCurrent(join(target, old), payload).catch(() => false))) return false;
  const stamp = new Date().toISOString().replace(/[-:]/g, '_').replace('T', '_').replace('Z', '.');
  const fresh = await mkdtemp(join(target, `..${stamp}`));
  await writeAll(fresh, payload, ownership);
  const name = fresh.slice(target.length + 1);
  const temporary = join(target, '..data_tmp');
  await rm(temporary, { force: true });
  await symlink(name, temporary);
  await rename(temporary, join(target, dataLink));
  await linkNames(target, topNames(payload));
  if (old !== undefined && old !== name) await rm(join(target, old), { recursive: true, force: true });
  return true;
}

async function linkNames(target: string, names: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(target)) {
    if (!name.startsWith('..') && !names.has(name)) await rm(join(target, name), { recursive: true, force: true });
  }
  for (const name of names) {
    const link = join(target, name);
    const exists = await lstat(link).then(
      () => true,
      () => false,
    );
    if (!exists) await symlink(`${dataLink}/${name}`, link);
  }
}

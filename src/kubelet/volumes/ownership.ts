/** fsGroup: what a volume holds belongs to a group that all of the pod's containers are in (pkg/volume/volume_linux.go). */
import { chmod, lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

async function give(path: string, group: number, readOnly: boolean): Promise<void> {
  const stat = await lstat(path);
  await lchown(path, stat.uid, group);
  if (stat.isSymbolicLink()) return;
  const bits = (readOnly ? 0o440 : 0o660) | (stat.isDirectory() ? 0o2110 : 0);
  await chmod(path, (stat.mode & 0o7777) | bits);
}

/** Walks the volume. With 'OnRootMismatch' only if the top does not already have the group. */
export async function setGroup(dir: string, group: number, policy: string | undefined, readOnly = false): Promise<void> {
  const top = await lstat(dir);
  if (policy === 'OnRootMismatch' && top.gid === group && (top.mode & 0o2770) === 0o2770) return;
  const walk = async (path: string): Promise<void> => {
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) await walk(child);
      else await give(child, group, readOnly);
    }
    await give(path, group, readOnly);
  };
  await walk(dir);
}

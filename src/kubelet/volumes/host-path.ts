/** hostPath types: pkg/volume/hostpath upstream. */
import { stat } from 'node:fs/promises';
import type { HostPathVolumeSource } from '#kube/generated/core-v1.ts';
import { makeDir, writeWithMode } from '../files.ts';

/** Checks what is at the path, or makes it where the type says so. Throws with upstream's text. */
export async function checkHostPath(source: HostPathVolumeSource): Promise<void> {
  const { path, type = '' } = source;
  if (type === '') return;
  const found = await stat(path).catch(() => undefined);
  if (type === 'DirectoryOrCreate') {
    if (found === undefined) await makeDir(path, 0o755);
    else if (!found.isDirectory()) throw new Error(`hostPath type check failed: ${path} is not a directory`);
    return;
  }
  if (type === 'FileOrCreate') {
    if (found === undefined) await writeWithMode(path, '', 0o644);
    else if (!found.isFile()) throw new Error(`hostPath type check failed: ${path} is not a file`);
    return;
  }
  const checks: Readonly<Record<string, readonly [string, boolean | undefined]>> = {
    Directory: ['directory', found?.isDirectory()],
    File: ['file', found?.isFile()],
    Socket: ['socket file', found?.isSocket()],
    CharDevice: ['character device', found?.isCharacterDevice()],
    BlockDevice: ['block device', found?.isBlockDevice()],
  };
  const [what, ok] = checks[type] ?? [type, false];
  if (ok !== true) throw new Error(`hostPath type check failed: ${path} is not a ${what}`);
}

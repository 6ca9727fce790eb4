/** Making files and folders whose modes matter to others, whatever the umask of the process is. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';

/** Makes a folder (and those above it); the folder itself gets exactly the mode. */
export async function makeDir(path: string, mode: number): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, mode);
}

export async function writeWithMode(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await writeFile(path, content, { mode });
  await chmod(path, mode);
}

/** Mounting and finding mounts on the node. */
import { readFile } from 'node:fs/promises';
import type { Exec } from '#platform/exec.ts';

const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Mount points at or below a folder, deepest (latest) first. */
export async function mountsBelow(dir: string): Promise<readonly string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  const points = text.split('\n').flatMap((line) => {
    const point = unescapeOctal(line.split(' ')[4] ?? '');
    return point === dir || point.startsWith(`${dir}/`) ? [point] : [];
  });
  return points.reverse();
}

export const isMounted = async (dir: string): Promise<boolean> => (await mountsBelow(dir)).includes(dir);

/** Takes away every mount at or below a folder. Throws when one is still in use. */
export async function unmountBelow(dir: string, exec: Exec): Promise<void> {
  for (const point of await mountsBelow(dir)) await exec('umount', ['--no-canonicalize', point], { timeoutMs: 30_000 });
}

export const mountTmpfs = async (dir: string, options: readonly string[], exec: Exec): Promise<void> => {
  await exec('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', dir], { timeoutMs: 30_000 });
};

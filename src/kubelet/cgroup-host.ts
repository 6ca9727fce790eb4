/** Which cgroups the machine has. */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface CgroupHost {
  readonly version: 1 | 2;
  /** systemd owns the hierarchy: slices are made through it. */
  readonly systemd: boolean;
  /** What containers may swap can be bounded. */
  readonly swap: boolean;
}

export const cgroupRoot = '/sys/fs/cgroup';

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** systemd's driver is used only with cgroup v2, where it is the recommended one. */
export async function detectCgroups(root = cgroupRoot): Promise<CgroupHost> {
  if (!(await exists(join(root, 'cgroup.controllers')))) return { version: 1, systemd: false, swap: false };
  // The top has no such file: looked for where this process is, as upstream's swapControllerAvailable does.
  const own = (await readFile('/proc/self/cgroup', 'utf8')).split('\n').find((line) => line.startsWith('0::')) ?? '0::/';
  return {
    version: 2,
    systemd: await exists('/run/systemd/system'),
    swap: await exists(join(root, own.slice('0::'.length), 'memory.swap.max')),
  };
}

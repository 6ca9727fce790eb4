/**
 * Cgroups as systemd's slices. Settings are given before anything runs in the slice: systemd keeps them as files below
 * /run until then, and applies them when the first container's scope starts. Through systemctl, which also works where
 * no D-Bus daemon runs.
 */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Exec } from '#platform/exec.ts';
import { exists } from './cgroup-host.ts';
import { type CgroupLimits, cpuWeight } from './pods/resources.ts';

const settingsFolder = '/run/systemd/system.control';
const timeoutMs = 30_000;

/** What `systemctl set-property` is told. Whole percents of a CPU, rounded up as runc does for the containers. */
function properties(limits: CgroupLimits): readonly string[] {
  return [
    `CPUWeight=${cpuWeight(limits.shares)}`,
    ...(limits.quotaUs ? [`CPUQuota=${Math.ceil(limits.quotaUs / 1000)}%`] : []),
    ...(limits.memoryBytes ? [`MemoryMax=${limits.memoryBytes}`] : []),
  ];
}

export interface Slices {
  readonly set: (path: string, limits: CgroupLimits) => Promise<void>;
  /** Ends what still runs in the slice, and forgets it. */
  readonly remove: (path: string) => Promise<void>;
}

/** `folder` is where systemd keeps the settings made at run time. */
export function createSlices(exec: Exec, folder = settingsFolder): Slices {
  return {
    set: async (path, limits) => {
      await exec('systemctl', ['set-property', '--runtime', basename(path), ...properties(limits)], { timeoutMs });
    },
    remove: async (path) => {
      const settings = join(folder, `${basename(path)}.d`);
      if (!(await exists(settings))) return;
      // A slice stays active when its last scope ends: without this systemd would keep one for each pod that ever ran.
      await exec('systemctl', ['stop', basename(path)], { timeoutMs });
      await rm(settings, { recursive: true, force: true });
    },
  };
}

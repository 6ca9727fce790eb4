/**
 * Which containers the kernel killed a process of because memory ran out, from the kernel's log. It has said so before
 * the process ends. containerd learns the same from the container's cgroup, which often is gone before it looks
 * (containerd issue 8893, and PR 12714: with systemd's cgroups not to be mended there).
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Logger } from '#platform/log.ts';

export interface OomLog {
  readonly killed: (containerId: string) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** Ids that are remembered; the kernel's log holds about as many. */
const maxIds = 4096;
/** A record of /dev/kmsg is no longer. */
const recordBytes = 16_384;

/** `oom-kill:constraint=…,task_memcg=/kubepods/burstable/pod…/<id>,task=…`, with systemd `…/cri-containerd-<id>.scope`. */
const victims = /oom-kill:.*,task_memcg=[^,]*[/-]([0-9a-f]{64})(?:\.scope)?,/g;

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

/** Reads only when asked, and what is new since; a machine whose log may not be read knows of none. */
export function createOomLog(log: Logger, file = '/dev/kmsg'): OomLog {
  const ids = new Set<string>();
  const buffer = Buffer.alloc(recordBytes);
  let opened: Promise<FileHandle | undefined> | undefined;
  let reading: Promise<void> = Promise.resolve();

  const openLog = (): Promise<FileHandle | undefined> =>
    open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
      log.debug('the log of the kernel cannot be read', { error });
      return undefined;
    });

  function note(text: string): void {
    for (const [, id = ''] of text.matchAll(victims)) ids.add(id);
    for (const id of ids) {
      if (ids.size <= maxIds) break;
      ids.delete(id);
    }
  }

  /** Each read gives one record. */
  async function readNew(handle: FileHandle): Promise<void> {
    for (;;) {
      try {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
        if (bytesRead === 0) return;
        note(buffer.toString('latin1', 0, bytesRead));
      } catch (error) {
        // Records that were overwritten before they were read; the next read goes on behind them.
        if (codeOf(error) === 'EPIPE') continue;
        if (codeOf(error) !== 'EAGAIN') log.debug('the log of the kernel cannot be read', { error });
        return;
      }
    }
  }

  return {
    killed: async (id) => {
      opened ??= openLog();
      const handle = await opened;
      if (handle !== undefined) {
        reading = reading.then(() => readNew(handle));
        await reading;
      }
      return ids.has(id);
    },
    close: async () => {
      const handle = await opened;
      opened = Promise.resolve(undefined);
      await reading;
      await handle?.close();
    },
  };
}

/** What went through the network interfaces of the machine and of pods. */
import { readFile } from 'node:fs/promises';
import type { Cri } from '../cri/client.ts';
import type { PodManager } from '../pods/manager.ts';

export interface InterfaceUse {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** The interfaces, without the loopback, from the form of /proc/net/dev. */
export function parseNetDev(text: string): readonly InterfaceUse[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*([^:]+):\s*(.*)$/.exec(line);
    if (match === null || match[1] === 'lo') return [];
    const n = (match[2] ?? '').trim().split(/\s+/).map(Number);
    const of = (i: number): number => n[i] ?? 0;
    const received = { rxBytes: of(0), rxPackets: of(1), rxErrors: of(2), rxDropped: of(3) };
    return [{ name: match[1] ?? '', ...received, txBytes: of(8), txPackets: of(9), txErrors: of(10), txDropped: of(11) }];
  });
}

/** The interfaces that a file such as /proc/net/dev tells; undefined when its process is gone. */
export const readInterfaces = (file: string): Promise<readonly InterfaceUse[] | undefined> =>
  readFile(file, 'utf8').then(parseNetDev, () => undefined);

export interface Sandboxes {
  /** The file that tells the interfaces of a sandbox's network namespace; undefined when it is gone. */
  readonly networkFile: (sandboxId: string) => Promise<string | undefined>;
}

/** Remembers the process of each sandbox, since asking the runtime for it is slow. */
export function createSandboxes(deps: { readonly cri: () => Cri; readonly manager: PodManager }): Sandboxes {
  const pids = new Map<string, number>();

  async function ask(id: string): Promise<number | undefined> {
    const { info } = await deps.cri().podSandboxStatus({ podSandboxId: id, verbose: true });
    return (JSON.parse(info['info'] ?? '{}') as { readonly pid?: number }).pid;
  }

  function forgetOld(): void {
    const known = new Set(deps.manager.list().flatMap((w) => w.runtime()?.sandboxes.map((s) => s.id) ?? []));
    for (const id of pids.keys()) if (!known.has(id)) pids.delete(id);
  }

  return {
    networkFile: async (id) => {
      let pid = pids.get(id);
      if (pid === undefined) {
        forgetOld();
        pid = await ask(id).catch(() => undefined);
        if (pid !== undefined) pids.set(id, pid);
      }
      return pid === undefined ? undefined : `/proc/${pid}/net/dev`;
    },
  };
}

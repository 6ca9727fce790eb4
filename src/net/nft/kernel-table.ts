/** A Table and the kernel's copy of it, kept equal by `nft -f -`. */
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';
import { type Fragment, Table } from './table.ts';

export interface KernelTable {
  readonly setFragment: (owner: string, fragment: Fragment | undefined) => void;
  /** Brings the kernel up to date in one transaction. After a failure the next call writes the whole table. */
  readonly apply: (signal: AbortSignal) => Promise<void>;
  /** Looks whether the kernel still has the table as written; if somebody removed it, the next apply writes it whole. */
  readonly verify: (signal: AbortSignal) => Promise<boolean>;
}

/** Names that nobody else uses: in the families ip and ip6. */
export const tableName = 'k3ts';
export const policyTableName = 'k3ts-policy';

export interface KernelTableOptions {
  readonly family: 4 | 6;
  readonly name: string;
  /** A rule whose presence tells that nobody flushed the table. */
  readonly probe: { readonly chain: string; readonly rule: string };
}

const timeoutMs = 60_000;
const familyOf = (family: 4 | 6): string => (family === 4 ? 'ip' : 'ip6');

export function createKernelTable(options: KernelTableOptions, deps: { readonly exec: Exec; readonly log: Logger }): KernelTable {
  const familyName = familyOf(options.family);
  const { name, probe } = options;
  const where = `${familyName} ${name}`;
  const table = new Table(where);
  let whole = true;
  const run = async (input: string, signal: AbortSignal): Promise<void> => {
    await deps.exec('nft', ['-f', '-'], { input, signal, timeoutMs });
  };
  return {
    setFragment: (owner, fragment) => table.setFragment(owner, fragment),
    apply: async (signal) => {
      if (!whole && !table.dirty) return;
      if (!whole) {
        const { main, garbage } = table.changes();
        // Before anything is awaited: what changes meanwhile belongs to the next transaction.
        table.applied();
        try {
          if (main !== '') await run(main, signal);
          if (garbage !== '') await run(garbage, signal);
          return;
        } catch (error) {
          whole = true;
          if (signal.aborted) throw error;
          deps.log.warn('the change to the nftables table was refused, the whole table will be written', { why: messageOf(error) });
        }
      }
      const all = table.full();
      table.applied();
      await run(all, signal);
      whole = false;
    },
    verify: async (signal) => {
      if (whole) return false;
      try {
        const list = await deps.exec('nft', ['list', 'chain', familyName, name, probe.chain], { signal, timeoutMs });
        if (list.stdout.includes(probe.rule)) return true;
      } catch (error) {
        if (signal.aborted) throw error;
      }
      deps.log.warn('the nftables table was changed by somebody else, it will be written again', { table: where });
      whole = true;
      return false;
    },
  };
}

/** What to log of a failed command: its message holds what it printed, the rest would only repeat that. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Removes a table if it is there. */
export async function removeTable(family: 4 | 6, name: string, exec: Exec): Promise<void> {
  const where = `${familyOf(family)} ${name}`;
  await exec('nft', ['-f', '-'], { input: `add table ${where}\ndelete table ${where}\n`, timeoutMs });
}

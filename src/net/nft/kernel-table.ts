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
  /** Removes the table. */
  readonly remove: () => Promise<void>;
}

/** Names that nobody else uses: `table ip k3ts`, `table ip6 k3ts`. */
export const tableName = 'k3ts';

const timeoutMs = 60_000;

export function createKernelTable(family: 4 | 6, deps: { readonly exec: Exec; readonly log: Logger }, name = tableName): KernelTable {
  const familyName = family === 4 ? 'ip' : 'ip6';
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
        try {
          if (main !== '') await run(main, signal);
          table.applied();
          if (garbage !== '') await run(garbage, signal);
          return;
        } catch (error) {
          if (signal.aborted) throw error;
          deps.log.warn('the change to the nftables table was refused, the whole table will be written', { why: messageOf(error) });
          whole = true;
        }
      }
      await run(table.full(), signal);
      whole = false;
      table.applied();
    },
    verify: async (signal) => {
      if (whole) return false;
      try {
        const list = await deps.exec('nft', ['list', 'chain', familyName, name, 'nat-prerouting'], { signal, timeoutMs });
        if (list.stdout.includes('jump services')) return true;
      } catch (error) {
        if (signal.aborted) throw error;
      }
      deps.log.warn('the nftables table was changed by somebody else, it will be written again', { table: where });
      whole = true;
      return false;
    },
    remove: async () => {
      whole = true;
      await deps.exec('nft', ['-f', '-'], { input: `add table ${where}\ndelete table ${where}\n`, timeoutMs });
    },
  };
}

/** What to log of a failed command: its message holds what it printed, the rest would only repeat that. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

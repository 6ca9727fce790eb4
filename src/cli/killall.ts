import type { CommandModule } from 'yargs';
import { flags as allFlags } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = allFlags.filter((f) => ['config', 'data-dir', 'debug'].includes(f.name));

export const killallCommand: CommandModule = {
  command: 'killall',
  describe: 'Stop all containers of this node and take down its network; state stays',
  builder: (yargs) => yargs.options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)]))),
  handler: async (argv) => (await import('#app/killall.ts')).runKillall({ commandLine: givenFlags(flags, argv), env: process.env }),
};

import type { CommandModule } from 'yargs';
import { flags as allFlags } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = allFlags.filter((f) => ['config', 'data-dir'].includes(f.name));

export const tokenCommand: CommandModule = {
  command: 'token',
  describe: 'Print the token with which nodes join this server',
  builder: (yargs) => yargs.options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)]))),
  handler: async (argv) => (await import('#app/token.ts')).printToken({ commandLine: givenFlags(flags, argv), env: process.env }),
};

import type { CommandModule } from 'yargs';
import { flagsOf } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = flagsOf('agent');

export const agentCommand: CommandModule = {
  command: 'agent',
  describe: 'Run a node that joins a server',
  builder: (yargs) => yargs.options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)]))),
  handler: async (argv) => (await import('#app/agent.ts')).runAgent({ commandLine: givenFlags(flags, argv), env: process.env }),
};

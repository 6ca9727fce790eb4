import type { CommandModule } from 'yargs';
import { flagsOf } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = flagsOf('server');

export const serverCommand: CommandModule = {
  command: 'server',
  describe: 'Run the Kubernetes API, controllers, scheduler and, unless disabled, a node',
  builder: (yargs) => yargs.options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)]))),
  // What a command needs is loaded when it runs: the others stay quick and small.
  handler: async (argv) => (await import('#app/server.ts')).runServer({ commandLine: givenFlags(flags, argv), env: process.env }),
};

import type { CommandModule } from 'yargs';
import { flags as allFlags } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = allFlags.filter((f) => ['config', 'data-dir', 'https-listen-port'].includes(f.name));
const actions = ['status', 'enable', 'disable', 'rotate-keys'] as const;

export const secretsEncryptCommand: CommandModule = {
  command: 'secrets-encrypt <action>',
  describe: 'Show or change how Secrets are encrypted in the database, while the server runs',
  builder: (yargs) =>
    yargs
      .positional('action', { choices: actions, describe: 'What to do: every change rewrites all Secrets' })
      .options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)]))),
  handler: async (argv) => {
    const action = actions.find((a) => a === argv['action']);
    if (action === undefined) return;
    await (await import('#app/secrets-encrypt.ts')).secretsEncrypt(action, { commandLine: givenFlags(flags, argv), env: process.env });
  },
};

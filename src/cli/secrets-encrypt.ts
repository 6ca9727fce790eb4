import type { CommandModule } from 'yargs';
import { flags as allFlags } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = allFlags.filter((f) => ['config', 'data-dir', 'https-listen-port'].includes(f.name));
const actions = ['status', 'enable', 'disable', 'prepare', 'rotate', 'reencrypt', 'rotate-keys'] as const;

export const secretsEncryptCommand: CommandModule = {
  command: 'secrets-encrypt <action>',
  describe: 'Show or change how Secrets are encrypted in the database, while the server runs',
  builder: (yargs) =>
    yargs
      .positional('action', { choices: actions, describe: 'rotate-keys does all of prepare, rotate and reencrypt' })
      .option('force', { alias: 'f', type: 'boolean', default: false, describe: 'Whatever the stage of the rotation is' })
      .option('skip', { type: 'boolean', default: false, describe: 'reencrypt: keep the old key' })
      .option('output', { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'Form of the status' })
      .options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)]))),
  handler: async (argv) => {
    const action = actions.find((a) => a === argv['action']);
    if (action === undefined) return;
    const command = {
      action,
      force: argv['force'] === true,
      skip: argv['skip'] === true,
      output: argv['output'] === 'json' ? ('json' as const) : ('text' as const),
    };
    const { secretsEncrypt } = await import('#app/secrets-encrypt.ts');
    await secretsEncrypt(command, { commandLine: givenFlags(flags, argv), env: process.env });
  },
};

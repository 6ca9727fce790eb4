import type { CommandModule } from 'yargs';
import { flags as allFlags } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = allFlags.filter((f) => ['config', 'data-dir', 'https-listen-port'].includes(f.name));
const actions = ['check', 'rotate', 'rotate-ca'] as const;

export const certificateCommand: CommandModule = {
  command: 'certificate <action>',
  describe: 'Show the certificates of this server, or replace them',
  builder: (yargs) =>
    yargs
      .positional('action', { choices: actions, describe: 'rotate: new ones at the next start; rotate-ca: other authorities' })
      .option('service', {
        alias: 's',
        type: 'string',
        array: true,
        describe: 'rotate: these only; service-account: a new key that signs tokens',
      })
      .option('path', { type: 'string', describe: 'rotate-ca: folder whose subfolder tls has the new authorities' })
      .option('force', { type: 'boolean', default: false, describe: 'rotate-ca: also if those who trust the old ones will not trust them' })
      .option('output', { alias: 'o', choices: ['table', 'json'], default: 'table', describe: 'check: form of the list' })
      .options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)]))),
  handler: async (argv) => {
    const sources = { commandLine: givenFlags(flags, argv), env: process.env };
    const { checkCertificates, rotateCertificates } = await import('#app/certificate.ts');
    if (argv['action'] === 'check') checkCertificates(argv['output'] === 'json' ? 'json' : 'table', sources);
    else if (argv['action'] === 'rotate') {
      const given: unknown = argv['service'] ?? [];
      const names = (Array.isArray(given) ? given : [given]).flatMap((s) => String(s).split(','));
      await rotateCertificates(names, sources);
    } else {
      const { rotateAuthorities } = await import('#app/rotate-ca.ts');
      await rotateAuthorities({ path: typeof argv['path'] === 'string' ? argv['path'] : '', force: argv['force'] === true }, sources);
    }
  },
};

import type { Argv, CommandModule } from 'yargs';
import { flags as allFlags } from '#app/flags.ts';
import { givenFlags, yargsOption } from './flags.ts';

const flags = allFlags.filter((f) => ['config', 'data-dir', 'https-listen-port', 'token', 'token-file'].includes(f.name));
type Given = Parameters<NonNullable<CommandModule['handler']>>[0];

const sourcesOf = (argv: Given) => ({ commandLine: givenFlags(flags, argv), env: process.env });
const withFlags = (yargs: Argv): Argv => yargs.options(Object.fromEntries(flags.map((f) => [f.name, yargsOption(f)])));
const textOf = (argv: Given, name: string): string | undefined => (typeof argv[name] === 'string' ? argv[name] : undefined);
const texts = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value]).flatMap((v) => String(v).split(',')).filter((v) => v !== '');
const actions = ['create', 'delete', 'generate', 'list', 'rotate'] as const;

async function create(argv: Given, words: readonly string[]): Promise<void> {
  const { createToken } = await import('#app/bootstrap-token.ts');
  const text = (name: string) => (typeof argv[name] === 'string' ? { [name]: argv[name] } : {});
  const list = (name: string) => (argv[name] === undefined ? {} : { [name]: texts(argv[name]) });
  const [token] = words;
  const settings = { ...text('description'), ...text('ttl'), ...list('groups'), ...list('usages') };
  await createToken({ ...settings, ...(token === undefined ? {} : { token }) }, sourcesOf(argv));
}

export const tokenCommand: CommandModule = {
  command: 'token [action] [tokens..]',
  describe: 'Print or replace the token with which nodes join this server, or manage bootstrap tokens',
  builder: (yargs) =>
    withFlags(yargs)
      .positional('action', { choices: actions, describe: 'rotate: replace the token of this server; others: bootstrap tokens' })
      .positional('tokens', { type: 'string', array: true, describe: 'create: the token; delete: tokens or their ids' })
      .option('description', { type: 'string', describe: 'create: how the token is used' })
      .option('groups', { type: 'string', array: true, describe: 'create: extra groups of who joins with it' })
      .option('ttl', { type: 'string', describe: 'create: how long it is good, such as 24h; 0: for ever' })
      .option('usages', { type: 'string', array: true, describe: 'create: signing, authentication' })
      .option('new-token', { type: 'string', describe: 'rotate: the token from now on (default: a random one)' })
      .option('output', { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'list: form of the list' }),
  handler: async (argv) => {
    const words = argv['tokens'] === undefined ? [] : texts(argv['tokens']);
    const tokens = await import('#app/bootstrap-token.ts');
    switch (actions.find((a) => a === argv['action'])) {
      case 'create':
        await create(argv, words);
        return;
      case 'delete':
        await tokens.deleteTokens(words, sourcesOf(argv));
        return;
      case 'generate':
        process.stdout.write(`${tokens.generateToken()}\n`);
        return;
      case 'list':
        await tokens.listTokens(argv['output'] === 'json' ? 'json' : 'text', sourcesOf(argv));
        return;
      case 'rotate':
        await (await import('#app/token.ts')).rotateToken(textOf(argv, 'new-token'), sourcesOf(argv));
        return;
      case undefined:
        await (await import('#app/token.ts')).printToken(sourcesOf(argv));
    }
  },
};

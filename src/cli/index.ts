/** The command line: one file per command, listed here. */
import yargs from 'yargs';
import { versionText } from '#app/version.ts';
import { agentCommand } from './agent.ts';
import { certificateCommand } from './certificate.ts';
import { killallCommand } from './killall.ts';
import { kubectl } from './kubectl.ts';
import { secretsEncryptCommand } from './secrets-encrypt.ts';
import { serverCommand } from './server.ts';
import { tokenCommand } from './token.ts';

const commands = [serverCommand, agentCommand, tokenCommand, certificateCommand, secretsEncryptCommand, killallCommand];

/** Runs one command line (without node and script). Wrong use is told on standard error and ends with exit code 1. */
export async function runCommand(args: readonly string[]): Promise<void> {
  // kubectl's own flags are none of our business, and users want it quick: nothing else is loaded for it.
  if (args[0] === 'kubectl') return kubectl(args.slice(1));
  const parser = yargs([...args])
    .scriptName('k3ts')
    .usage('$0 <command>\n\nA Kubernetes distribution in one executable.')
    .parserConfiguration({
      'camel-case-expansion': false,
      'duplicate-arguments-array': true,
      'boolean-negation': false,
      'dot-notation': false,
    })
    .strictCommands()
    .strictOptions()
    .demandCommand(1, 'Say which command to run.')
    .recommendCommands()
    .version('version', 'Show the version', versionText)
    .alias('version', 'v')
    .help()
    .alias('help', 'h')
    .completion('completion', 'Print a completion script for the shell')
    .command('kubectl', 'Run kubectl against this cluster')
    .wrap(process.stdout.isTTY ? process.stdout.columns : 100);
  // Yargs makes the whole help text before it awaits a handler, which takes longer than anything else it does: so it only
  // chooses here, and the command runs when yargs is done.
  let chosen: (() => void | Promise<void>) | undefined;
  for (const command of commands) {
    parser.command({
      ...command,
      handler: (argv) => {
        chosen = () => command.handler(argv);
      },
    });
  }
  parser.fail((message, error) => fail(args, message ?? undefined, error ?? undefined));
  await parser.parseAsync();
  try {
    await chosen?.();
  } catch (error) {
    fail(args, undefined, error instanceof Error ? error : new Error(String(error)));
  }
}

/** Only what the user can mend is shown bare; anything else is a bug and keeps its stack. */
function fail(args: readonly string[], message: string | undefined, error: Error | undefined): never {
  const expected = error === undefined || error.name === 'OptionError' || error.name === 'YError';
  process.stderr.write(`k3ts: ${expected ? (message ?? error?.message) : (error.stack ?? error.message)}\n`);
  const known = commands.some((c) => c.command === args[0]);
  if (error === undefined) process.stderr.write(`Run "k3ts ${known ? `${args[0]} ` : ''}--help" for what there is.\n`);
  process.exit(1);
}

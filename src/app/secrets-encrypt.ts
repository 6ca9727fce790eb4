/** `k3ts secrets-encrypt`: asks the running server, as the server's own user. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { paths } from './config.ts';
import { flagsOf } from './flags.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';
import type { EncryptionAction, EncryptionStatus } from './secrets-encryption.ts';

interface Answer {
  readonly code: number;
  readonly body: string;
}

function ask(port: number, tlsDir: string, path: string, body: string | undefined): Promise<Answer> {
  const read = (name: string): string => readFileSync(join(tlsDir, name), 'utf8');
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers: { 'content-type': 'application/json' },
        ca: read('server-ca.crt'),
        cert: read('client-supervisor.crt'),
        key: read('client-supervisor.key'),
        agent: false,
      },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => {
          text += chunk;
        });
        incoming.on('error', reject);
        incoming.on('end', () => resolve({ code: incoming.statusCode ?? 0, body: text }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const messageOf = (body: string): string => {
  try {
    return String((JSON.parse(body) as { readonly message?: unknown }).message as string);
  } catch {
    return body;
  }
};

/** Prints the status after the action. Rejects with OptionError when the server cannot be asked or refuses. */
export async function secretsEncrypt(action: EncryptionAction | 'status', sources: OptionSources): Promise<void> {
  const options = resolveOptions(flagsOf('server'), sources);
  const tlsDir = join(paths(String(options.get('data-dir'))).server, 'tls');
  const status = action === 'status';
  let answer: Answer;
  try {
    answer = await ask(
      Number(options.get('https-listen-port')),
      tlsDir,
      status ? '/v1-k3ts/encrypt/status' : '/v1-k3ts/encrypt/config',
      status ? undefined : JSON.stringify({ action }),
    );
  } catch (error) {
    throw new OptionError(
      `the server cannot be asked: ${error instanceof Error ? error.message : String(error)}: does "k3ts server" run here, and are you its user?`,
    );
  }
  if (answer.code !== 200) throw new OptionError(messageOf(answer.body));
  const now = JSON.parse(answer.body) as EncryptionStatus & { readonly rewritten?: number };
  const lines = [
    `Encryption Status: ${now.enabled ? 'Enabled' : 'Disabled'}`,
    ...(now.rewritten === undefined ? [] : [`Secrets rewritten: ${now.rewritten}`]),
    ...(now.keys.length === 0 ? [] : ['', 'Active  Key Type  Name', '------  --------  ----']),
    ...now.keys.map((name) => ` ${name === now.activeKey ? '*' : ' '}      AES-CBC   ${name}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

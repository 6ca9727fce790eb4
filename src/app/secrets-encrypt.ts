/** `k3ts secrets-encrypt`: asks the running server, as the server's own user. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { realClock } from '#platform/clock.ts';
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

export interface EncryptCommand {
  readonly action: EncryptionAction | 'status';
  readonly force?: boolean;
  readonly skip?: boolean;
  readonly output?: 'text' | 'json';
}

const keyTypes: Readonly<Record<string, string>> = { aescbc: 'AES-CBC', aesgcm: 'AES-GCM', secretbox: 'XSalsa20-POLY1305' };

/** K3s' form. */
function statusText(now: EncryptionStatus): string {
  const row = (active: string, type: string, name: string): string => `${active.padEnd(6)}  ${type.padEnd(17)}  ${name}`;
  const lines = [
    `Encryption Status: ${now.enabled ? 'Enabled' : 'Disabled'}`,
    `Current Rotation Stage: ${now.stage}`,
    ...(now.problem === undefined ? [] : [`Problem: ${now.problem}`]),
    ...(now.keys.length === 0 ? [] : ['', row('Active', 'Key Type', 'Name'), row('------', '--------', '----')]),
    ...now.keys.map((k) => row(k.name === now.activeKey ? ' *' : '', keyTypes[k.provider] ?? k.provider, k.name)),
  ];
  return lines.join('\n');
}

const isRewriting = (now: EncryptionStatus): boolean => now.problem === undefined && /^reencrypt_(request|active)$/.test(now.stage);

/** Prints the status after the action, when all secrets are rewritten. Rejects with OptionError when the server cannot be asked or refuses. */
export async function secretsEncrypt(command: EncryptCommand, sources: OptionSources): Promise<void> {
  const options = resolveOptions(flagsOf('server'), sources);
  const tlsDir = join(paths(String(options.get('data-dir'))).server, 'tls');
  const port = Number(options.get('https-listen-port'));
  const { action, force, skip } = command;
  const send = async (body?: string): Promise<EncryptionStatus> => {
    const path = body === undefined ? '/v1-k3ts/encrypt/status' : '/v1-k3ts/encrypt/config';
    const answer = await ask(port, tlsDir, path, body).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new OptionError(`the server cannot be asked: ${why}: does "k3ts server" run here, and are you its user?`);
    });
    if (answer.code !== 200) throw new OptionError(messageOf(answer.body));
    return JSON.parse(answer.body) as EncryptionStatus;
  };
  let now = await send(action === 'status' ? undefined : JSON.stringify({ action, force, skip }));
  while (action !== 'status' && isRewriting(now)) {
    await realClock.sleep(1000);
    now = await send();
  }
  process.stdout.write(`${command.output === 'json' ? JSON.stringify(now) : statusText(now)}\n`);
  if (now.problem !== undefined && action !== 'status') throw new OptionError(now.problem);
}

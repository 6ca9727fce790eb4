/** `k3ts secrets-encrypt`: asks the running server, as the server's own user. */
import { realClock } from '#platform/clock.ts';
import { askServer } from './ask-server.ts';
import { OptionError, type OptionSources } from './options.ts';
import type { EncryptionAction, EncryptionStatus } from './secrets-encryption.ts';

export interface EncryptCommand {
  readonly action: EncryptionAction | 'status';
  readonly force?: boolean;
  readonly skip?: boolean;
  readonly output?: 'text' | 'json';
}

const keyTypes: Readonly<Record<string, string>> = { aescbc: 'AES-CBC', aesgcm: 'AES-GCM', secretbox: 'XSalsa20-POLY1305', kms: 'KMS' };

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
  const { action, force, skip } = command;
  const send = async (body?: object): Promise<EncryptionStatus> =>
    (body === undefined
      ? await askServer(sources, 'GET', '/v1-k3ts/encrypt/status')
      : await askServer(sources, 'POST', '/v1-k3ts/encrypt/config', body)) as EncryptionStatus;
  let now = await send(action === 'status' ? undefined : { action, force, skip });
  while (action !== 'status' && isRewriting(now)) {
    await realClock.sleep(1000);
    now = await send();
  }
  process.stdout.write(`${command.output === 'json' ? JSON.stringify(now) : statusText(now)}\n`);
  if (now.problem !== undefined && action !== 'status') throw new OptionError(now.problem);
}

/** The tokens with which nodes join this server, in <data dir>/server/token and node-token. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readText, writeAtomically } from './files.ts';
import { formatToken, parseToken, trustsAuthority } from './tokens.ts';

export interface ServerTokens {
  readonly serverPassword: string;
  readonly agentPassword: string;
  /** Full join tokens. */
  readonly serverToken: string;
  readonly nodeToken: string;
}

export interface TokenSettings {
  /** --token, full or short; absent: the stored one, or a new one. */
  readonly token?: string;
  /** --agent-token; absent: the server token's password. */
  readonly agentToken?: string;
}

const randomPassword = (): string => randomBytes(16).toString('hex');

/** The password of a token of this server's. Throws an Error for one of another cluster, naming it as `what`. */
function ownPassword(token: string, caPem: string, what: string): string {
  const parsed = parseToken(token);
  if (!trustsAuthority(parsed, caPem))
    throw new Error(`${what} was made for another cluster: its hash is not that of this server's authority`);
  return parsed.password;
}

async function writeTokens(dir: string, caPem: string, serverPassword: string, agentPassword: string): Promise<ServerTokens> {
  const serverToken = formatToken(caPem, 'server', serverPassword);
  const nodeToken = formatToken(caPem, 'node', agentPassword);
  const write = async (name: string, token: string): Promise<void> => {
    const path = join(dir, name);
    if ((await readText(path)) !== `${token}\n`) await writeAtomically(path, `${token}\n`);
  };
  await Promise.all([write('token', serverToken), write('node-token', nodeToken)]);
  return { serverPassword, agentPassword, serverToken, nodeToken };
}

/** Reads or makes the tokens. Throws when the given one is of another cluster, or is no longer this server's. */
export async function ensureServerTokens(dir: string, { token, agentToken }: TokenSettings, caPem: string): Promise<ServerTokens> {
  const file = join(dir, 'token');
  const storedText = await readText(file);
  const stored = storedText === undefined ? undefined : parseToken(storedText).password;
  const given = token === undefined ? undefined : ownPassword(token, caPem, '--token');
  if (given !== undefined && stored !== undefined && given !== stored)
    throw new Error(`--token is not the token of this server, which is in ${file}: "k3ts token rotate" changes it`);
  const serverPassword = given ?? stored ?? randomPassword();
  return await writeTokens(dir, caPem, serverPassword, agentToken === undefined ? serverPassword : parseToken(agentToken).password);
}

/**
 * Makes `wanted`, or a random one, the token from now on; that of agents changes with it unless it is one of its own. Throws when
 * `wanted` cannot be a token of this server.
 */
export async function rotateServerToken(dir: string, now: ServerTokens, caPem: string, wanted?: string): Promise<ServerTokens> {
  if (wanted !== undefined && parseToken(wanted).bootstrap) throw new Error('a bootstrap token cannot be the token of a server');
  const password = wanted === undefined ? randomPassword() : ownPassword(wanted, caPem, 'the new token');
  return await writeTokens(dir, caPem, password, now.agentPassword === now.serverPassword ? password : now.agentPassword);
}

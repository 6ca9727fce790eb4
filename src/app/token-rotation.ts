/** `k3ts token rotate`, the server's side: K3s' PUT /v1-k3s/token. */
import { timingSafeEqual } from 'node:crypto';
import type { ApiRequest, ExtraRoute } from '#apiserver/contract.ts';
import { badRequest, StatusError } from '#kube/status-error.ts';
import { Turns } from '#lib/turns.ts';
import { rotateServerToken, type ServerTokens } from '#pki/server-tokens.ts';
import { parseToken } from '#pki/tokens.ts';
import type { Logger } from '#platform/log.ts';

export interface TokenRotation {
  readonly tokens: () => ServerTokens;
  readonly routes: readonly ExtraRoute[];
}

interface Command {
  /** The token that whoever asks believes to be in force. */
  readonly token: string | undefined;
  readonly newToken: string | undefined;
}

function commandOf(request: ApiRequest): Command {
  let body: unknown;
  try {
    body = JSON.parse(Buffer.from(request.body ?? []).toString('utf8'));
  } catch {
    body = undefined;
  }
  if (typeof body !== 'object' || body === null) throw badRequest('the body must be a JSON object');
  const fields: Readonly<Record<string, unknown>> = { ...body };
  const text = (name: keyof Command): string | undefined => {
    const value = fields[name];
    if (value !== undefined && typeof value !== 'string') throw badRequest(`${name} must be a string`);
    return value === '' ? undefined : value;
  };
  return { token: text('token'), newToken: text('newToken') };
}

const isPassword = (password: string, token: string): boolean => {
  const [a, b] = [Buffer.from(parseToken(token).password), Buffer.from(password)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/** `serverDir` is <data dir>/server; `caPem` the authority as it is now. */
export function createTokenRotation(serverDir: string, first: ServerTokens, caPem: () => string, log: Logger): TokenRotation {
  let tokens = first;
  const turns = new Turns();
  const rotate = async ({ token, newToken }: Command): Promise<void> => {
    if (token !== undefined && !isPassword(tokens.serverPassword, token))
      throw new StatusError('Unauthorized', 'the token given is not the one that this server has now');
    try {
      tokens = await rotateServerToken(serverDir, tokens, caPem(), newToken);
    } catch (error) {
      throw badRequest(error instanceof Error ? error.message : String(error));
    }
    log.info('the token with which nodes join was replaced');
  };
  return {
    tokens: () => tokens,
    routes: [
      {
        methods: ['PUT'],
        path: '/v1-k3ts/token',
        access: 'authorized',
        handle: async (request) => {
          const command = commandOf(request);
          const { release } = await turns.take('token', request.signal);
          try {
            await rotate(command);
          } finally {
            release();
          }
          return { type: 'bytes', status: 200, contentType: 'application/json', body: '{}\n' };
        },
      },
    ],
  };
}

/** How commands on the server's machine ask the running server: as its supervisor, with the certificate in its data directory. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { paths } from './config.ts';
import { flagsOf } from './flags.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';

interface Answer {
  readonly code: number;
  readonly body: string;
}

/** No answer of the server to its own commands is longer. */
const longestAnswer = 16 * 1024 * 1024;

interface Asked {
  readonly port: number;
  readonly tlsDir: string;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
}

function ask({ port, tlsDir, method, path, body }: Asked): Promise<Answer> {
  const read = (name: string): string => readFileSync(join(tlsDir, name), 'utf8');
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
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
          if (text.length > longestAnswer) outgoing.destroy(new Error('the answer is too long'));
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

/** The JSON that the server answers. Rejects with OptionError when it cannot be asked or refuses. */
export async function askServer(
  sources: OptionSources,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
): Promise<unknown> {
  const options = resolveOptions(flagsOf('server'), sources);
  const tlsDir = join(paths(String(options.get('data-dir'))).server, 'tls');
  const port = Number(options.get('https-listen-port'));
  let answer: Answer;
  try {
    answer = await ask({ port, tlsDir, method, path, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new OptionError(`the server cannot be asked: ${why}: does "k3ts server" run here, and are you its user?`);
  }
  if (answer.code >= 300) throw new OptionError(messageOf(answer.body));
  return JSON.parse(answer.body) as unknown;
}

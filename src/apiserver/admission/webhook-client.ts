/** HTTPS calls to webhooks: by URL, or to a service of the cluster through whoever can reach it. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { WebhookClientConfig } from '#kube/generated/admissionregistration-v1.ts';

/** A connection to a port of a service: the network of the cluster is the nodes', so one of them dials. */
export type DialService = (namespace: string, name: string, port: number, signal: AbortSignal) => Promise<Duplex>;

export interface WebhookCall {
  readonly config: WebhookClientConfig;
  readonly body: unknown;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Posts JSON and gives the JSON that comes back. Rejects with Error that says what went wrong. */
export type CallWebhook = (call: WebhookCall) => Promise<unknown>;

const maxAnswerBytes = 3 * 1024 * 1024;

interface Target {
  readonly url: URL;
  readonly serverName: string;
  readonly dial: (signal: AbortSignal) => Promise<Duplex>;
}

function dialTcp(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host: host.replace(/^\[|\]$/g, ''), port });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

function targetOf(config: WebhookClientConfig, dialService: DialService | undefined): Target {
  const { service } = config;
  if (service === undefined) {
    const url = new URL(config.url ?? '');
    return {
      url,
      serverName: url.hostname.replace(/^\[|\]$/g, ''),
      dial: () => dialTcp(url.hostname, url.port === '' ? 443 : Number(url.port)),
    };
  }
  const { namespace, name, path = '/', port = 443 } = service;
  const serverName = `${name}.${namespace}.svc`;
  const url = new URL(`https://${serverName}:${port}${path.startsWith('/') ? path : `/${path}`}`);
  if (dialService === undefined) throw new Error(`no way to the services of the cluster`);
  return { url, serverName, dial: (signal) => dialService(namespace, name, port, signal) };
}

/** `withCerts`: the webhook's own authority; without one, the system's. */
function secure(socket: Duplex, serverName: string, caBundle: string | undefined): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const isAddress = /^[\d.]+$|:/.test(serverName);
    const tls = connectTls({
      socket,
      // The name that the certificate is held against, also where it is an address and not sent as server name.
      host: serverName,
      ...(isAddress ? {} : { servername: serverName }),
      ...(caBundle === undefined || caBundle === '' ? {} : { ca: Buffer.from(caBundle, 'base64') }),
      ALPNProtocols: ['http/1.1'],
    });
    tls.once('secureConnect', () => resolve(tls));
    tls.once('error', reject);
  });
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function post(target: Target, socket: TLSSocket, text: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        createConnection: () => socket,
        method: 'POST',
        path: `${target.url.pathname}${target.url.search}`,
        headers: {
          host: target.url.host,
          'content-type': 'application/json',
          accept: 'application/json',
          'content-length': Buffer.byteLength(text),
          'user-agent': 'kube-apiserver-admission',
          connection: 'close',
        },
        signal,
      },
      resolve,
    );
    request.on('error', reject);
    request.end(text);
  });
}

async function exchange(target: Target, call: WebhookCall, text: string, signal: AbortSignal): Promise<unknown> {
  const connection = await target.dial(signal);
  const give = (): void => {
    connection.destroy();
  };
  if (signal.aborted) give();
  signal.addEventListener('abort', give, { once: true });
  try {
    const socket = await secure(connection, target.serverName, call.config.caBundle);
    const response = await post(target, socket, text, signal);
    const answer = await readAnswer(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw new Error(`the server answered with status ${status}: ${answer.slice(0, 200)}`);
    return JSON.parse(answer) as unknown;
  } finally {
    signal.removeEventListener('abort', give);
    give();
  }
}

/** A caller of webhooks. `dialService` absent: services cannot be called. */
export function createWebhookCaller(dialService: DialService | undefined): CallWebhook {
  return async (call) => {
    const target = targetOf(call.config, dialService);
    target.url.searchParams.set('timeout', `${Math.round(call.timeoutMs / 1000)}s`);
    const text = JSON.stringify(call.body);
    const timeout = AbortSignal.timeout(call.timeoutMs);
    const signal = AbortSignal.any([call.signal, timeout]);
    const late = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error(timeout.aborted ? 'context deadline exceeded' : 'context canceled')), {
        once: true,
      });
    });
    try {
      return await Promise.race([exchange(target, call, text, signal), late]);
    } catch (error) {
      throw new Error(
        `failed to call webhook: Post ${JSON.stringify(target.url.href)}: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    }
  };
}

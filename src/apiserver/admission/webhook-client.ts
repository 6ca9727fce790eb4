/** HTTPS calls to webhooks: by URL, or to a service of the cluster through whoever can reach it. Connections are kept and used again. */

import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { WebhookClientConfig } from '#kube/generated/admissionregistration-v1.ts';
import { parseExact } from '#lib/exact-json.ts';
import type { Clock } from '#platform/clock.ts';
import { type DialService, dialTcp } from '../dial.ts';
import { goErrorText } from '../go-errors.ts';
import { createPeerAgent, type TlsPeer } from '../tls-connections.ts';
import { authorizationHeader, type CredentialsFor, type WebhookCredentials } from '../webhook-config.ts';

export interface WebhookCall {
  readonly config: WebhookClientConfig;
  readonly body: unknown;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Default 3 MiB. */
  readonly maxAnswerBytes?: number;
}

/** Posts JSON and gives the JSON that comes back. Rejects with WebhookCallError that says what went wrong. */
export type CallWebhook = (call: WebhookCall) => Promise<unknown>;

/** A call that got no answer, or an answer of an error. */
export class WebhookCallError extends Error {
  /** The status of the answer; 503 where there is none. */
  readonly code: number;
  /** What went wrong, without saying of what. */
  readonly why: string;
  constructor(why: string, code: number, cause?: unknown) {
    super(`failed to call webhook: ${why}`, { cause });
    this.why = why;
    this.code = code;
  }
}

const defaultMaxAnswerBytes = 3 * 1024 * 1024;
/** Of one webhook. */
const limits = { maxSockets: 100, maxFreeSockets: 10 };
/** Webhooks that connections are kept for; the one that was not called for the longest time goes. */
const maxWebhooks = 200;

interface Target extends TlsPeer {
  readonly url: URL;
  /** The host as errors and the Host header show it: services always with their port. */
  readonly host: string;
  /** Headers that tell who calls. */
  readonly identity: Readonly<Record<string, string>>;
}

const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '');

/** The part of a target that credentials make. */
function identityOf(credentials: WebhookCredentials = {}): Pick<Target, 'identity' | 'client'> {
  const { cert, key } = credentials;
  return {
    identity: authorizationHeader(credentials),
    ...(cert === undefined || key === undefined ? {} : { client: () => ({ cert, key }) }),
  };
}

function targetOf(config: WebhookClientConfig, dialService: DialService | undefined, credentialsFor: CredentialsFor): Target {
  const { service, caBundle = '' } = config;
  const ca = caBundle === '' ? undefined : Buffer.from(caBundle, 'base64').toString('utf8');
  if (service === undefined) {
    const url = new URL(config.url ?? '');
    const port = url.port === '' ? 443 : Number(url.port);
    return {
      url,
      host: url.host,
      serverName: withoutBrackets(url.hostname),
      ca,
      ...identityOf(credentialsFor(`${url.hostname}:${port}`)),
      dial: (signal) => dialTcp(withoutBrackets(url.hostname), port, signal),
    };
  }
  const { namespace, name, path = '/', port = 443 } = service;
  const serverName = `${name}.${namespace}.svc`;
  const url = new URL(`https://${serverName}:${port}${path.startsWith('/') ? path : `/${path}`}`);
  if (dialService === undefined) throw new WebhookCallError('no way to the services of the cluster', 503);
  const host = `${serverName}:${port}`;
  const dial = (signal: AbortSignal): ReturnType<DialService> => dialService(namespace, name, port, signal);
  return { url, host, serverName, ca, ...identityOf(credentialsFor(host)), dial };
}

async function readAnswer(response: IncomingMessage, maxAnswerBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function post(target: Target, agent: Agent, text: string, signal: AbortSignal, again: boolean): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { url } = target;
    const request = httpRequest(
      {
        agent,
        method: 'POST',
        path: `${url.pathname}${url.search}`,
        headers: {
          host: target.host,
          'content-type': 'application/json',
          accept: 'application/json, */*',
          'content-length': Buffer.byteLength(text),
          'user-agent': 'kube-apiserver-admission',
          ...target.identity,
        },
        signal,
      },
      resolve,
    );
    request.on('error', (error: NodeJS.ErrnoException) => {
      // The other side may have closed a kept connection just when it was used again.
      if (again && request.reusedSocket && error.code === 'ECONNRESET') post(target, agent, text, signal, false).then(resolve, reject);
      else reject(new Error(goErrorText(error, target.serverName), { cause: error }));
    });
    request.end(text);
  });
}

/** What upstream's client says of answers that are errors (apimachinery NewGenericServerResponse). */
function statusText(status: number, body: string): string {
  const texts: Readonly<Record<number, string>> = {
    400: 'the server rejected our request for an unknown reason',
    401: 'the server has asked for the client to provide credentials',
    403: body,
    404: 'the server could not find the requested resource',
    405: 'the server does not allow this method on the requested resource',
    409: 'the server reported a conflict',
    422: 'the server rejected our request due to an error in our request',
    429: 'the server has received too many requests and has asked us to try again later',
    503: 'the server is currently unable to handle the request',
    504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
  };
  if (Object.hasOwn(texts, status)) return texts[status] ?? '';
  if (status >= 500) return `an error on the server (${JSON.stringify(body)}) has prevented the request from succeeding`;
  return `the server responded with the status code ${status} but did not return more information`;
}

const posted = ({ url, host }: Target): string => `Post ${JSON.stringify(`https://${host}${url.pathname}${url.search}`)}`;

async function exchange(target: Target, agent: Agent, text: string, maxAnswerBytes: number, signal: AbortSignal): Promise<unknown> {
  let response: IncomingMessage;
  try {
    response = await post(target, agent, text, signal, true);
  } catch (error) {
    throw new WebhookCallError(`${posted(target)}: ${error instanceof Error ? error.message : String(error)}`, 503, error);
  }
  const answer = await readAnswer(response, maxAnswerBytes);
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 299) {
    const isText = (response.headers['content-type'] ?? '').startsWith('text/');
    throw new WebhookCallError(statusText(status, isText ? answer.slice(0, 1024).trim() : 'unknown'), status);
  }
  return parseExact(answer);
}

/** Agents by webhook, the last used last. */
function createAgents(clock: Clock): (target: Target) => Agent {
  const agents = new Map<string, Agent>();
  return (target) => {
    const key = `${target.host} ${target.ca ?? ''}`;
    const agent = agents.get(key) ?? createPeerAgent(target, limits, clock);
    agents.delete(key);
    agents.set(key, agent);
    for (const [oldest, unused] of agents) {
      if (agents.size <= maxWebhooks) break;
      agents.delete(oldest);
      unused.destroy();
    }
    return agent;
  };
}

/** A caller of webhooks. `dialService` absent: services cannot be called; `credentialsFor` absent: it does not say who it is. */
export function createWebhookCaller(
  dialService: DialService | undefined,
  clock: Clock,
  credentialsFor: CredentialsFor = () => undefined,
): CallWebhook {
  const agentOf = createAgents(clock);
  return async ({ config, body, timeoutMs, signal: parent, maxAnswerBytes = defaultMaxAnswerBytes }) => {
    const target = targetOf(config, dialService, credentialsFor);
    target.url.searchParams.set('timeout', `${Math.ceil(timeoutMs / 1000)}s`);
    const text = JSON.stringify(body);
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = AbortSignal.any([parent, timeout]);
    const late = new Promise<never>((_resolve, reject) => {
      const tooLate = (): void =>
        reject(new WebhookCallError(`${posted(target)}: ${timeout.aborted ? 'context deadline exceeded' : 'context canceled'}`, 503));
      if (signal.aborted) tooLate();
      signal.addEventListener('abort', tooLate, { once: true });
    });
    try {
      return await Promise.race([exchange(target, agentOf(target), text, maxAnswerBytes, signal), late]);
    } catch (error) {
      if (error instanceof WebhookCallError) throw error;
      throw new WebhookCallError(error instanceof Error ? error.message : String(error), 503, error);
    }
  };
}

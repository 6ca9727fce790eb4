/** Runs one probe or hook: exec in the container, HTTP, TCP or gRPC to the pod. pkg/probe and pkg/kubelet/lifecycle upstream. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, isIPv6 } from 'node:net';
import type { Container, GRPCAction, HTTPGetAction, TCPSocketAction } from '#kube/generated/core-v1.ts';
import { isGrpc } from '#platform/grpc.ts';
import type { Cri } from '../cri/client.ts';
import { grpcHealth } from './grpc-health.ts';

export interface HandlerResult {
  readonly ok: boolean;
  /** What is shown of it in events. */
  readonly output: string;
}

export interface HandlerTarget {
  readonly container: Container;
  readonly containerId: string;
  readonly podIp: string;
}

const maxOutput = 10 * 1024;
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const joinHostPort = (host: string, port: number): string => (isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`);

/** A port by number or by its name in the container. Throws when there is none. */
export function resolvePort(port: number | string, container: Container): number {
  const number = typeof port === 'number' ? port : Number(port);
  if (Number.isInteger(number)) {
    if (number > 0 && number < 65536) return number;
    throw new Error(`invalid port number: ${port}`);
  }
  const named = (container.ports ?? []).find((p) => p.name === port);
  if (named === undefined) throw new Error(`couldn't find port: ${JSON.stringify(port)} in container: ${container.name}`);
  return named.containerPort;
}

/** Runs a command in the container; output is what it printed, bounded. Rejects when the runtime could not run it. */
export async function runExec(
  cri: Cri,
  containerId: string,
  command: readonly string[],
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<HandlerResult> {
  const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
  try {
    const answer = await cri.execSync(
      { containerId, cmd: command, timeout: seconds },
      { timeoutMs: (seconds + 10) * 1000, ...(signal === undefined ? {} : { signal }) },
    );
    const output = Buffer.concat([answer.stdout, answer.stderr]).subarray(0, maxOutput).toString('utf8');
    return { ok: answer.exitCode === 0, output };
  } catch (error) {
    if (isGrpc(error, 4) || (isGrpc(error) && /timeout|deadline/i.test(error.message)))
      return { ok: false, output: `command timed out: "${command.join(' ')}" timed out after ${seconds}s` };
    throw error;
  }
}

/** How Go's net package names a failed connection. */
function dialError(address: string, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const why: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ETIMEDOUT: 'connect: connection timed out',
  };
  if (code === 'ECONNRESET') return `read tcp ${address}: read: connection reset by peer`;
  return `dial tcp ${address}: ${why[code ?? ''] ?? textOf(error)}`;
}

export function runTcp(action: TCPSocketAction, target: HandlerTarget, timeoutMs: number): Promise<HandlerResult> {
  const host = action.host || target.podIp;
  const port = resolvePort(action.port, target.container);
  const address = joinHostPort(host, port);
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (result: HandlerResult): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeoutMs, () => done({ ok: false, output: `dial tcp ${address}: i/o timeout` }));
    socket.once('connect', () => done({ ok: true, output: '' }));
    socket.once('error', (error) => done({ ok: false, output: dialError(address, error) }));
  });
}

interface HttpTarget {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

function fetchOnce({
  url,
  headers,
  timeoutMs,
}: HttpTarget): Promise<{ readonly status: number; readonly body: string; readonly location: string | undefined }> {
  return new Promise((resolve, reject) => {
    const options = { method: 'GET', headers, agent: false as const, rejectUnauthorized: false, signal: AbortSignal.timeout(timeoutMs) };
    const onResponse = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      let size = 0;
      const end = (): void => {
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).subarray(0, maxOutput).toString('utf8'),
          location: response.headers.location,
        });
      };
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size >= maxOutput) {
          end();
          response.destroy();
        }
      });
      response.once('end', end);
      response.once('error', reject);
    };
    const request = url.protocol === 'https:' ? httpsRequest(url, options, onResponse) : httpRequest(url, options, onResponse);
    request.once('error', reject);
    request.end();
  });
}

export async function runHttp(action: HTTPGetAction, target: HandlerTarget, timeoutMs: number, userAgent: string): Promise<HandlerResult> {
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const host = action.host || target.podIp;
  const port = resolvePort(action.port, target.container);
  const path = action.path || '/';
  let url = new URL(`${scheme}://${joinHostPort(host, port)}${path.startsWith('/') ? path : `/${path}`}`);
  const headers: Record<string, string> = { 'User-Agent': userAgent, Accept: '*/*', Connection: 'close' };
  for (const h of action.httpHeaders ?? []) headers[h.name] = h.value;
  const deadline = Date.now() + timeoutMs;
  for (let redirects = 0; redirects <= 10; redirects++) {
    try {
      const { status, body, location } = await fetchOnce({ url, headers, timeoutMs: Math.max(1, deadline - Date.now()) });
      if (status >= 300 && status < 400 && location !== undefined) {
        const next = new URL(location, url);
        // A redirect elsewhere says that the server is alive; following it would probe somebody else.
        if (next.hostname !== url.hostname) return { ok: true, output: `Probe terminated redirects, Response body: ${body}` };
        url = next;
        continue;
      }
      if (status >= 200 && status < 400) return { ok: true, output: body };
      return { ok: false, output: `HTTP probe failed with statuscode: ${status}` };
    } catch (error) {
      const name = (error as Error).name;
      const why =
        name === 'TimeoutError' || name === 'AbortError'
          ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
          : dialError(joinHostPort(host, port), error);
      return { ok: false, output: `Get "${url.href}": ${why}` };
    }
  }
  return { ok: false, output: `Get "${url.href}": stopped after 10 redirects` };
}

export function runGrpc(action: GRPCAction, target: HandlerTarget, timeoutMs: number, userAgent: string): Promise<HandlerResult> {
  return grpcHealth(joinHostPort(target.podIp, action.port), action.service ?? '', timeoutMs, userAgent);
}

/** Documents that this server itself reads from one behind an APIService: bounded in size and in time. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { Clock } from '#platform/clock.ts';
import type { UserInfo } from '../contract.ts';
import { identityHeaders } from './headers.ts';

export interface DocumentRequest {
  readonly path: string;
  readonly accept: string;
  /** Of the document that is known already. */
  readonly etag?: string;
  readonly user: UserInfo;
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

export interface RemoteDocument {
  readonly status: number;
  readonly contentType: string;
  readonly etag: string;
  readonly body: Buffer;
}

export type FetchDocument = (request: DocumentRequest, signal: AbortSignal) => Promise<RemoteDocument>;

const maxDiscardedBytes = 256 * 1024;

/** With whose rights upstream reads discovery, so that it is never refused. */
export const aggregatorUser: UserInfo = { name: 'system:kube-aggregator', groups: ['system:masters'] };

function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', resolve);
    outgoing.on('upgrade', (_message, socket) => {
      socket.destroy();
      reject(new Error('the server switched protocols without being asked'));
    });
    outgoing.on('close', () => reject(new Error('EOF')));
    outgoing.end();
  });
}

async function bodyOf(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** `maxBytes` 0: only the status is of interest, whatever comes after it. */
export async function fetchDocument(
  send: (options: RequestOptions) => ClientRequest,
  host: string,
  request: DocumentRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<RemoteDocument> {
  const headers = {
    host,
    accept: request.accept,
    'user-agent': 'kube-apiserver',
    ...(request.etag === undefined ? {} : { 'if-none-match': request.etag }),
    ...identityHeaders(request.user),
  };
  const outgoing = send({ method: 'GET', path: request.path, headers });
  const late = new Error('context deadline exceeded (Client.Timeout exceeded while awaiting headers)');
  const timer = clock.after(request.timeoutMs, () => outgoing.destroy(late));
  const abort = (): void => {
    outgoing.destroy(new Error('context canceled'));
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (signal.aborted) abort();
    const message = await answerOf(outgoing);
    const found = { status: message.statusCode ?? 0, contentType: message.headers['content-type'] ?? '', etag: message.headers.etag ?? '' };
    if (request.maxBytes > 0) return { ...found, body: await bodyOf(message, request.maxBytes) };
    discard(message, outgoing, request, clock);
    return { ...found, body: Buffer.alloc(0) };
  } catch (error) {
    outgoing.destroy();
    throw error;
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', abort);
  }
}

/** A short answer is read to its end, so that the connection can be used again; one that is long or slow costs the connection. */
function discard(message: IncomingMessage, outgoing: ClientRequest, { timeoutMs }: DocumentRequest, clock: Clock): void {
  let size = 0;
  const timer = clock.after(timeoutMs, () => outgoing.destroy());
  message.on('close', timer.cancel);
  message.on('error', () => undefined);
  message.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxDiscardedBytes) outgoing.destroy();
  });
}

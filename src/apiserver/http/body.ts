/** Reads request bodies, with a limit. */
import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { StatusError } from '#kube/status-error.ts';

export type RawRequest = IncomingMessage | Http2ServerRequest;

const tooLarge = (limit: number): StatusError => new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);

const withoutBody = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a body may come with this method. */
export const hasBody = (raw: RawRequest): boolean => !withoutBody.has(raw.method ?? 'GET');

/**
 * The whole body, or undefined for an empty one. Throws StatusError RequestEntityTooLarge beyond `limit`; what still comes
 * is then thrown away as it arrives.
 */
export function readBody(raw: RawRequest, limit: number): Promise<Buffer | undefined> | undefined {
  if (!hasBody(raw)) return undefined;
  const announced = Number(raw.headers['content-length'] ?? 0);
  if (announced > limit) {
    raw.resume();
    return Promise.reject(tooLarge(limit));
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    raw.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      reject(tooLarge(limit));
    });
    raw.on('end', () => resolve(size === 0 ? undefined : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    const gone = (): void => reject(new StatusError('BadRequest', 'the client went away before the body was complete'));
    raw.on('aborted', gone);
    raw.on('error', gone);
    raw.on('close', gone);
  });
}

/** Small JSON requests to servers outside: identity providers and webhooks. */
import { request as httpsRequest } from 'node:https';

export interface HttpsRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM; absent: the machine's own trust. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly signal: AbortSignal;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

/** Any status is an answer; rejects when there is none, or it is too long. */
export type HttpsFetch = (request: HttpsRequest) => Promise<Response>;

const longestAnswer = 4 * 1024 * 1024;

export const httpsFetch: HttpsFetch = (r) =>
  new Promise((resolve, reject) => {
    if (!r.url.startsWith('https://')) {
      reject(new Error(`${r.url} is no https URL`));
      return;
    }
    const outgoing = httpsRequest(
      r.url,
      {
        method: r.method ?? 'GET',
        headers: { ...r.headers, ...(r.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(r.body)) }) },
        signal: AbortSignal.any([r.signal, AbortSignal.timeout(r.timeoutMs ?? 10_000)]),
        ...(r.ca === undefined ? {} : { ca: r.ca }),
        ...(r.cert === undefined ? {} : { cert: r.cert }),
        ...(r.key === undefined ? {} : { key: r.key }),
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        let size = 0;
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size > longestAnswer) outgoing.destroy(new Error('the answer is too long'));
        });
        incoming.on('error', reject);
        incoming.on('end', () => {
          const status = incoming.statusCode ?? 502;
          const body = status === 204 || status === 304 ? null : Buffer.concat(chunks);
          resolve(
            new Response(body, {
              status: status < 200 ? 502 : status,
              headers: { 'content-type': incoming.headers['content-type'] ?? '' },
            }),
          );
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(r.body);
  });

/** The JSON of a successful answer. Rejects with an Error for any other. */
export async function fetchJson(fetch: HttpsFetch, request: HttpsRequest): Promise<unknown> {
  const response = await fetch(request);
  const text = await response.text();
  if (!response.ok) throw new Error(`${request.url} answered ${response.status}: ${text.slice(0, 200)}`);
  return JSON.parse(text) as unknown;
}

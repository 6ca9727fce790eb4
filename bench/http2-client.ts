/** A plain HTTP/2 client with the credentials of a kubeconfig, for load programs: as little work a request as can be. */
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { parse } from 'yaml';

export interface Answer {
  readonly status: number;
  readonly bytes: number;
}

interface Kubeconfig {
  readonly users: readonly { readonly user: Readonly<Record<string, string>> }[];
  readonly clusters: readonly { readonly cluster: Readonly<Record<string, string>> }[];
}

const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');

/** A function that opens connections to the kubeconfig's server. */
export function sessions(kubeconfig: string): () => ClientHttp2Session {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig;
  const user = config.users[0]?.user ?? {};
  const cluster = config.clusters[0]?.cluster ?? {};
  return () => {
    const session = connect(cluster['server'] ?? '', {
      cert: decode(user['client-certificate-data']),
      key: decode(user['client-key-data']),
      ca: decode(cluster['certificate-authority-data']),
    });
    session.on('error', (error) => {
      throw error;
    });
    return session;
  };
}

export function call(
  on: ClientHttp2Session,
  method: string,
  path: string,
  body?: string,
  type = 'application/json',
  accept = 'application/json',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = on.request({
      ':method': method,
      ':path': path,
      accept,
      ...(body === undefined ? {} : { 'content-type': type }),
    });
    let status = 0;
    let bytes = 0;
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on('error', reject);
    stream.on('end', () => resolve({ status, bytes }));
    stream.end(body);
  });
}

export interface Figure {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

export function figureOf(timesMs: readonly number[], elapsedMs: number): Figure {
  const sorted = [...timesMs].sort((a, b) => a - b);
  return { perSecond: (timesMs.length / elapsedMs) * 1000, p50Ms: percentile(sorted, 0.5), p99Ms: percentile(sorted, 0.99) };
}

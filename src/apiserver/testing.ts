/** An API server over the memory store, for tests: everyone may do everything. */

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { KindDef } from '#kube/kind.ts';
import { issueCertificate } from '#lib/x509.ts';
import { type FakeClock, fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import type { WatchCache } from '#store/contract.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import { createWebhookCaller } from './admission/webhook-client.ts';
import type { ApiResponse } from './contract.ts';
import { EncodedCache } from './http/encoded.ts';
import type { Representation } from './http/negotiate.ts';
import { type RenderContext, render } from './http/render.ts';
import { createInProcessTransport, type InProcessTransport } from './in-process.ts';
import { type ApiServer, type ApiServerOptions, createApiServer } from './server.ts';
import { parseServed, presentStored } from './view.ts';

export const admin = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };

const testVersion = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.0+test',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

const plainJson: RenderContext = {
  representation: { media: 'application/json', as: undefined, asVersion: 'v1' },
  pretty: false,
  now: new Date(0),
  includeObject: '',
};

/** The body that a client gets: JSON, unless the context says otherwise. Throws for streams. */
export async function bodyOf(
  response: ApiResponse,
  context: Partial<Omit<RenderContext, 'representation'>> & { readonly representation?: Partial<Representation> } = {},
): Promise<Buffer> {
  if (response.type !== 'entry' && response.type !== 'list' && response.type !== 'object') throw new Error(response.type);
  const representation = { ...plainJson.representation, ...context.representation };
  const { body } = await render(response, { ...plainJson, ...context, representation }, new EncodedCache(), new AbortController().signal);
  return Buffer.concat([...body]);
}

export interface TestServer {
  readonly server: ApiServer;
  readonly cache: WatchCache;
  readonly clock: FakeClock;
  readonly log: ReturnType<typeof memoryLogger>;
  readonly transport: InProcessTransport;
  /** One call with a JSON body, answered by the core. */
  readonly call: (method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<ApiResponse>;
}

export async function startTestServer(kinds: readonly KindDef[], options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const clock = fakeClock();
  const log = memoryLogger();
  const store = createMemoryStore();
  const cache = await createWatchCache(store, { present: presentStored, parse: parseServed }, { clock, log });
  const server = createApiServer({
    cache,
    kinds,
    authorize: () => ({ decision: 'allow', reason: '' }),
    admission: () => [],
    callWebhook: () => createWebhookCaller(undefined, clock),
    startYamlThread: () => new Worker(new URL('../app/yaml-worker.ts', import.meta.url)),
    subresources: [],
    reviews: [],
    computed: [],
    extraRoutes: [],
    clock,
    random: seededRandom(1),
    log,
    config: { version: testVersion, serverAddress: () => '127.0.0.1:6443' },
    storeStats: store.stats,
    checks: () => [],
    ...options,
  });
  const call: TestServer['call'] = (method, path, body, headers = {}) => {
    const at = path.indexOf('?');
    return server.handle({
      method,
      path: at < 0 ? path : path.slice(0, at),
      query: new URLSearchParams(at < 0 ? '' : path.slice(at + 1)),
      headers: { 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
      user: admin,
      signal: new AbortController().signal,
    });
  };
  return { server, cache, clock, log, transport: createInProcessTransport(server, admin), call };
}

/** Certificates for a server on 127.0.0.1 and for one client, from one new authority. */
export function testTls(clientName = 'admin', organizations: readonly string[] = ['system:masters']) {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const valid = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const authority = pair();
  const ca = issueCertificate(
    {
      ...valid,
      subject: { commonName: 'test-ca', organizations: [] },
      publicKey: authority.publicKey,
      ca: true,
      keyUsages: ['digital signature', 'cert sign'],
    },
    { key: authority.privateKey },
  );
  const leaf = (commonName: string, groups: readonly string[], usage: 'server auth' | 'client auth') => {
    const key = pair();
    const cert = issueCertificate(
      {
        ...valid,
        subject: { commonName, organizations: groups },
        publicKey: key.publicKey,
        keyUsages: ['digital signature'],
        extendedUsages: [usage],
        altNames: { dns: ['localhost'], ip: ['127.0.0.1'], email: [], uri: [] },
      },
      { key: authority.privateKey, certPem: ca },
    );
    return { cert, key: pem(key.privateKey) };
  };
  const server = leaf('server', [], 'server auth');
  return { ca, server: { ...server, clientCa: ca }, client: leaf(clientName, organizations, 'client auth') };
}

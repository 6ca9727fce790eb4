/** An API server over the memory store, for tests: everyone may do everything. */
import type { KindDef } from '#kube/kind.ts';
import { type FakeClock, fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import type { WatchCache } from '#store/contract.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import type { ApiResponse } from './contract.ts';
import { createInProcessTransport, type InProcessTransport } from './in-process.ts';
import { type ApiServer, type ApiServerOptions, createApiServer } from './server.ts';
import { presentStored } from './view.ts';

export const admin = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };

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
  const cache = await createWatchCache(createMemoryStore(), { present: presentStored }, { clock, log });
  const server = createApiServer({
    cache,
    kinds,
    authorize: () => ({ decision: 'allow', reason: '' }),
    admission: () => [],
    subresources: [],
    reviews: [],
    extraRoutes: [],
    clock,
    random: seededRandom(1),
    log,
    config: {},
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

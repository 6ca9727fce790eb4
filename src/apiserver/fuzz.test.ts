import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { Agent, type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { realClock } from '#platform/clock.ts';
import { type Logger, memoryLogger } from '#platform/log.ts';
import { builtinKinds } from '#resources/index.ts';
import { makeRequest, type Sent, seed } from './fuzz-requests.ts';
import type { HttpServer } from './http/server.ts';
import { serviceAccountToken } from './subresources/serviceaccount-token.ts';
import { nodeSubresources } from './subresources/streams.ts';
import { admin, startTestServer, type TestServer, testTls } from './testing.ts';
import { createTunnel } from './tunnel.ts';

/** As many as asked for: FUZZ_REQUESTS=200000 vitest run src/apiserver/fuzz.test.ts */
const requests = Number(process.env['FUZZ_REQUESTS'] ?? 20_000);
/** What the heap may grow by between the first quarter and the end, beyond what the store keeps. */
const maxGrowthBytes = 64 * 1024 * 1024;
const parallel = 64;

const tls = testTls();
const bugs: string[] = [];
const resources = builtinKinds.map((k) => k.ref);
let t: TestServer;
let http: HttpServer;
let agent: HttpsAgent;
let port = 0;

beforeAll(async () => {
  const log = memoryLogger();
  const error = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const { error: cause, ...rest } = fields;
    bugs.push(`${message} ${JSON.stringify(rest)} ${cause instanceof Error ? cause.stack : String(cause)}`);
  };
  const logger: Logger = { ...log, error, child: () => logger };
  // No node is connected: who waits for one is told so soon.
  const hurried = { ...realClock, after: (ms: number, run: () => void) => realClock.after(Math.min(ms, 5), run) };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = { signing: privateKey, verifying: [{ kid: 'k', key: createPublicKey(privateKey) }] };
  const tokens = serviceAccountToken({ issuers: ['https://issuer.test'], audiences: ['https://issuer.test'], keys: () => keys }, realClock);
  const subresources = [...nodeSubresources(createTunnel({ clock: hurried, log: logger })), tokens];
  t = await startTestServer(builtinKinds, { clock: realClock, log: logger, subresources });
  await t.server.bootstrap({ advertiseAddress: '192.0.2.1', port: 6443 });
  http = t.server.createHttp({ tls: tls.server, authenticate: async () => admin });
  port = await http.listen('127.0.0.1', 0);
  agent = new Agent({ keepAlive: true, maxSockets: parallel, ca: tls.ca });
});
afterAll(async () => {
  agent.destroy();
  await http.close();
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapAfterCollection(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

interface Got {
  readonly status: number;
  readonly text: string;
}

const send = (sent: Sent): Promise<Got> =>
  new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, agent, method: sent.method, path: sent.path, headers: sent.headers },
      (response) => {
        let text = '';
        response.on('data', (c: Buffer) => {
          if (text.length < 2000) text += c.toString('utf8');
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    request.on('error', (error: Error & { code?: string }) => {
      // The server may close an idle connection at the moment when it is used again: Node's documentation says to try anew.
      if (request.reusedSocket && error.code === 'ECONNRESET') resolve(send(sent));
      else reject(error);
    });
    request.end(sent.body);
  });

test(`${requests} requests of all sorts get no 500 and end nothing (seed ${seed})`, {
  timeout: Math.max(300_000, requests * 30),
}, async () => {
  const failures: string[] = [];
  const statuses = new Map<number, number>();
  let next = 0;
  const warm = Math.floor(requests / 4);
  let heapAtFirst = 0;
  const work = async (): Promise<void> => {
    while (next < requests) {
      if (next++ === warm) heapAtFirst = heapAfterCollection();
      const sent = makeRequest(resources);
      const got = await send(sent).catch((error: unknown) => ({ status: -1, text: String(error) }));
      statuses.set(got.status, (statuses.get(got.status) ?? 0) + 1);
      const body = sent.body?.toString('utf8').slice(0, 300) ?? '';
      if (got.status === 500 || got.status < 200)
        failures.push(`${sent.method} ${sent.path} ${body} -> ${got.status} ${got.text.slice(0, 300)}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  expect(bugs.slice(0, 5)).toEqual([]);
  expect(failures.slice(0, 5)).toEqual([]);
  expect(heapAfterCollection() - heapAtFirst).toBeLessThan(maxGrowthBytes);
  // Enough of them must have got past decoding for the run to mean something.
  expect((statuses.get(201) ?? 0) + (statuses.get(200) ?? 0)).toBeGreaterThan(requests / 20);
  expect(await send({ method: 'GET', path: '/livez', headers: {}, body: undefined })).toMatchObject({ status: 200, text: 'ok' });
});

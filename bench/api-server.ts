/** The server side of bench/api.ts, in a process of its own so that its CPU time can be told: an API server over the memory store, or bare Fastify. */
import { startTestServer, testTls } from '#apiserver/testing.ts';
import { realClock } from '#platform/clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { builtinKinds } from '#resources/index.ts';

const [mode, objectsText = '1000'] = process.argv.slice(2);
const tls = testTls();
const admin = { name: 'admin', groups: ['system:masters'] };
const pad = 'x'.repeat(3500);

async function apiServer(): Promise<number> {
  const t = await startTestServer(builtinKinds, { clock: realClock, log: memoryLogger() });
  const make = (i: number) => t.call('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: `m${i}` }, data: { pad } });
  for (let i = 0; i < Number(objectsText); i += 200) await Promise.all(Array.from({ length: 200 }, (_, j) => make(i + j)));
  const http = t.server.createHttp({ tls: tls.server, authenticate: async () => admin });
  return await http.listen('127.0.0.1', 0);
}

async function bareFastify(): Promise<number> {
  const { fastify } = await import('fastify');
  const app = fastify({ http2: true, https: { allowHTTP1: true, cert: tls.server.cert, key: tls.server.key } });
  const body = Buffer.from(JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'm', uid: 'u' }, data: { pad } }));
  app.get('/*', (_request, reply) => reply.header('content-type', 'application/json').send(body));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const port = await (mode === 'bare' ? bareFastify() : apiServer());
process.send?.({ port, ca: tls.ca });
process.on('message', (ask) => {
  if (ask === 'cpu') process.send?.({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss });
});
process.on('disconnect', () => process.exit(0));

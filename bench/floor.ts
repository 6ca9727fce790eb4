/** Bare Fastify answering every GET with 4 kB, in a process of its own: the ceiling that bench/api.ts compares with. Prints its port; ends with its standard input. */

import { fastify } from 'fastify';
import { testTls } from '#apiserver/testing.ts';

const tls = testTls();
const app = fastify({ http2: true, https: { allowHTTP1: true, cert: tls.server.cert, key: tls.server.key } });
const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'm', uid: 'u' }, data: { text: 'x'.repeat(3500) } };
const body = Buffer.from(JSON.stringify(object));
app.get('/*', (_request, reply) => reply.header('content-type', 'application/json').send(body));
await app.listen({ host: '127.0.0.1', port: 0 });
const address = app.server.address();
process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
process.stdin.on('end', () => process.exit(0)).resume();

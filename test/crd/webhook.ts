/** A conversion webhook: v1 has spec.hostPort, v2 has spec.host and spec.port. Prints its port and authority as JSON; ends with its standard input. */
import { createServer } from 'node:https';
import { testTls } from '#apiserver/testing.ts';

interface Route {
  readonly apiVersion: string;
  readonly spec?: { readonly hostPort?: string; readonly host?: string; readonly port?: string; readonly replicas?: number };
}
interface Review {
  readonly request: { readonly uid: string; readonly desiredAPIVersion: string; readonly objects: readonly Route[] };
}

function convert(route: Route, apiVersion: string): unknown {
  const { hostPort = '', host = '', port = '', ...rest } = route.spec ?? {};
  if (apiVersion.endsWith('/v1')) return { ...route, apiVersion, spec: { ...rest, hostPort: `${host}:${port}` } };
  const [h, p] = hostPort.split(':');
  return { ...route, apiVersion, spec: { ...rest, host: h, port: p } };
}

const tls = testTls();
const server = createServer({ cert: tls.server.cert, key: tls.server.key }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { request: asked } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Review;
    const convertedObjects = asked.objects.map((route) => convert(route, asked.desiredAPIVersion));
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        kind: 'ConversionReview',
        apiVersion: 'apiextensions.k8s.io/v1',
        response: { uid: asked.uid, result: { status: 'Success' }, convertedObjects },
      }),
    );
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ port, ca: Buffer.from(tls.ca).toString('base64') })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();

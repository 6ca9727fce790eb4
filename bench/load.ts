/**
 * Run in the server's network: puts load on the API over HTTP/2 (as Go clients do) and prints one line of JSON with a
 * figure for each operation. Arguments: kubeconfig, seconds for each operation.
 */
import type { ClientHttp2Session } from 'node:http2';
import { type Answer, call, type Figure, figureOf, sessions } from './http2-client.ts';

const [kubeconfig = '', secondsText = '5'] = process.argv.slice(2);
const open = sessions(kubeconfig);

async function measure(clients: number, once: (on: ClientHttp2Session, client: number, i: number) => Promise<Answer>): Promise<Figure> {
  const connections = Array.from({ length: Math.min(clients, 4) }, open);
  const times: number[] = [];
  const began = performance.now();
  const end = began + Number(secondsText) * 1000;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let i = 0; performance.now() < end; i++) {
        const start = performance.now();
        const answer = await once(connections[client % connections.length] as ClientHttp2Session, client, i);
        if (answer.status >= 300) throw new Error(`answered ${answer.status}`);
        times.push(performance.now() - start);
      }
    }),
  );
  const elapsed = performance.now() - began;
  for (const c of connections) c.close();
  return figureOf(times, elapsed);
}

/** Time from sending a creation until the slowest of the watchers has its event. */
async function watchLatency(watchers: number, rounds: number): Promise<Figure> {
  const connections = Array.from({ length: 4 }, open);
  const writer = open();
  let seen = 0;
  let wake = (): void => undefined;
  const streams = Array.from({ length: watchers }, (_, i) => {
    const stream = (connections[i % 4] as ClientHttp2Session).request({ ':path': `${maps}?watch=true&labelSelector=watched%3Dyes` });
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      seen += text.split('\n').length - 1;
      wake();
    });
    return stream;
  });
  await Promise.all(streams.map((s) => new Promise<void>((resolve) => s.once('response', () => resolve()))));
  const times: number[] = [];
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    seen = 0;
    const start = performance.now();
    const all = new Promise<void>((resolve) => {
      wake = () => {
        if (seen >= watchers) resolve();
      };
    });
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { generateName: 'seen-', labels: { watched: 'yes' } },
      data: { text: 'x'.repeat(1000) },
    };
    await call(writer, 'POST', maps, JSON.stringify(object));
    await all;
    times.push(performance.now() - start);
  }
  const elapsed = performance.now() - began;
  for (const s of streams) s.close();
  for (const s of [...connections, writer]) s.destroy();
  return figureOf(times, elapsed);
}

const maps = '/api/v1/namespaces/bench/configmaps';
const map = (name: string): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { text: 'x'.repeat(3500) } });
const setup = open();
await call(setup, 'POST', '/api/v1/namespaces', JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bench' } }));
for (let i = 0; i < 500; i++) await call(setup, 'POST', maps, map(`list-${i}`));
setup.close();
const figures: Record<string, Figure> = {
  'GET 4 kB, 32 clients': await measure(32, (on, _c, i) => call(on, 'GET', `${maps}/list-${i % 500}`)),
  'LIST 500 × 4 kB, 4 clients': await measure(4, (on) => call(on, 'GET', maps)),
  'CREATE 4 kB, 32 clients': await measure(32, (on, c, i) => call(on, 'POST', maps, map(`made-${c}-${i}`))),
  'PATCH (merge), 32 clients': await measure(32, (on, c, i) =>
    call(on, 'PATCH', `${maps}/list-${c}`, JSON.stringify({ data: { n: String(i) } }), 'application/merge-patch+json'),
  ),
  'create to the last of 100 watchers': await watchLatency(100, 200),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);

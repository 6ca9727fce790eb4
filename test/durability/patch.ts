/**
 * Run in the server's network: patches one ConfigMap in rounds and says how large the database became. A round ends
 * when the server has forgotten all that was written before it. Prints one line of JSON: {"patches": how many, "sizes": of the
 * database after the patches of each round, "settled": of its file in the end, all in bytes, "old" and "recent": codes of lists at the first and the last revision, "oldWatch" and
 * "recentWatch": what watches from there are told, "n": what the object holds}.
 */
import { statSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';

const [kubeconfig = '', database = '', roundsText = '', patchesText = ''] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const options: RequestOptions = {};
await config.applyToHTTPSOptions(options);
const agent = new Agent({ keepAlive: true, maxSockets: 16, ca: options.ca, cert: options.cert, key: options.key } as Agent['options']);
const maps = '/api/v1/namespaces/default/configmaps';

function call(method: string, path: string, type = 'application/json', body = ''): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === '' ? {} : { 'content-type': type };
    const sent = request(`${config.getCurrentCluster()?.server ?? ''}${path}`, { agent, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve({ code: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const versionIn = (text: string): number =>
  Number((JSON.parse(text) as { metadata: { resourceVersion: string } }).metadata.resourceVersion);

const sizes: number[] = [];
let count = 0;
async function patch(filler: number): Promise<number> {
  count += 1;
  const body = JSON.stringify({ data: { n: String(count), filler: 'x'.repeat(filler) } });
  const { code, text } = await call('PATCH', `${maps}/patched`, 'application/merge-patch+json', body);
  if (code !== 200) throw new Error(`patch ${count}: ${code} ${text}`);
  return versionIn(text);
}

async function metric(name: string): Promise<number> {
  const { text } = await call('GET', '/metrics');
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}
const compacted = (): Promise<number> => metric('etcd_debugging_mvcc_compact_revision');
const databaseSize = (): Promise<number> => metric('apiserver_storage_size_bytes');

/** Sixteen clients at once; the last revision. */
async function patches(number: number, filler = 10_000): Promise<number> {
  let last = 0;
  const client = async (): Promise<void> => {
    for (let i = 0; i < number / 16; i++) last = Math.max(last, await patch(filler));
  };
  await Promise.all(Array.from({ length: 16 }, client));
  return last;
}

async function round(number: number): Promise<number> {
  const last = await patches(number);
  sizes.push(await databaseSize());
  // History is cut when enough can go: these few make it old enough and enough.
  let later = last;
  while ((await compacted()) < last) later = await patches(32);
  return later;
}

const made = await call(
  'POST',
  maps,
  'application/json',
  JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'patched' } }),
);
if (made.code !== 201) throw new Error(made.text);
const first = versionIn(made.text);
let last = first;
for (let i = 0; i < Number(roundsText); i++) last = await round(Number(patchesText));
const largest = Math.max(...sizes);
// Small ones, beside which the large ones grow old.
while (statSync(database).size > largest / 2) last = await patches(16, 1);
const at = async (revision: number): Promise<number> =>
  (await call('GET', `${maps}?resourceVersion=${revision}&resourceVersionMatch=Exact`)).code;
const watched = (revision: number) => call('GET', `${maps}?watch=1&timeoutSeconds=1&resourceVersion=${revision}`);
process.stdout.write(
  JSON.stringify({
    patches: count,
    sizes,
    settled: statSync(database).size,
    old: await at(first),
    oldWatch: (await watched(first)).text,
    recent: await at(last),
    recentWatch: (await watched(last - 1)).text,
    n: (JSON.parse((await call('GET', `${maps}/patched`)).text) as { data: { n: string } }).data.n,
  }),
);
process.exit(0);

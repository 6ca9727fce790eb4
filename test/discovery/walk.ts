/**
 * Run in the server's network: calls every verb of every resource and subresource that discovery shows, and prints one line of
 * JSON for each call: what was called, and the answer. Nothing is changed: writes are dry.
 */
import { Agent, type RequestOptions, request } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';

interface Answer {
  readonly code: number;
  readonly body: string;
}

interface Discovered {
  readonly name: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

const config = new KubeConfig();
config.loadFromFile(process.argv[2] ?? '');
const server = config.getCurrentCluster()?.server ?? '';
const options: RequestOptions = {};
await config.applyToHTTPSOptions(options);
const agent = new Agent({ keepAlive: true, maxSockets: 32, ca: options.ca, cert: options.cert, key: options.key } as Agent['options']);

function call(method: string, path: string, type = 'application/json', body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(`${server}${path}`, { agent, method, headers: body === '' ? {} : { 'content-type': type } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve({ code: response.statusCode ?? 0, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const json = async (path: string): Promise<unknown> => JSON.parse((await call('GET', path)).body) as unknown;

/** How a verb is asked for without doing anything. */
const requests: Readonly<Record<string, (collection: string, one: string) => Promise<Answer>>> = {
  get: (_, one) => call('GET', one),
  list: (collection) => call('GET', collection),
  watch: (collection) => call('GET', `${collection}?watch=1&timeoutSeconds=1`),
  create: (collection) => call('POST', `${collection}?dryRun=All`, 'application/json', '{}'),
  update: (_, one) => call('PUT', `${one}?dryRun=All`, 'application/json', '{}'),
  patch: (_, one) => call('PATCH', `${one}?dryRun=All`, 'application/merge-patch+json', '[]'),
  delete: (_, one) => call('DELETE', `${one}?dryRun=All`),
  deletecollection: (collection) => call('DELETE', `${collection}?dryRun=All`),
};

async function walk(root: string, resources: readonly Discovered[]): Promise<void> {
  await Promise.all(
    resources.map(async ({ name: path, namespaced, verbs }) => {
      const [plural = '', ...sub] = path.split('/');
      const list = (await json(`${root}/${plural}`)) as { items?: { metadata: { name: string; namespace?: string } }[] };
      const found = list.items?.[0]?.metadata;
      const collection = namespaced ? `${root}/namespaces/${found?.namespace ?? 'default'}/${plural}` : `${root}/${plural}`;
      for (const verb of verbs) {
        const name = verb === 'delete' ? 'none' : (found?.name ?? 'none');
        const one = [`${collection}/${name}`, ...sub].join('/');
        const send = requests[verb];
        if (send === undefined) throw new Error(`${path} has the unknown verb ${verb}`);
        const answer = await send(sub.length > 0 ? one : collection, one);
        const message = answer.code < 400 ? '' : ((JSON.parse(answer.body) as { message?: string }).message ?? '');
        process.stdout.write(
          `${JSON.stringify({ resource: `${root}/${path}`, verb, exists: found !== undefined, code: answer.code, message })}\n`,
        );
      }
    }),
  );
}

const { groups } = (await json('/apis')) as { groups: { versions: { groupVersion: string }[] }[] };
const roots = ['/api/v1', ...groups.flatMap((g) => g.versions.map((v) => `/apis/${v.groupVersion}`))];
for (const root of roots) await walk(root, ((await json(root)) as { resources: Discovered[] }).resources);
process.exit(0);

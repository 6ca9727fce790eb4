/**
 * Run in the server's network: 50 managers write to the same objects at once, over a few hundred requests each. Prints one line
 * of JSON: what each object holds in the end, and every answer that was not a success.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';

const managers = 50;
const [kubeconfig = ''] = process.argv.slice(2);
const config = parse(readFileSync(kubeconfig, 'utf8')) as {
  users: { user: Record<string, string> }[];
  clusters: { cluster: Record<string, string> }[];
};
const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');
const agent = new Agent({
  keepAlive: true,
  maxSockets: managers,
  cert: decode(config.users[0]?.user['client-certificate-data']),
  key: decode(config.users[0]?.user['client-key-data']),
  ca: decode(config.clusters[0]?.cluster['certificate-authority-data']),
});

interface Answer {
  readonly code: number;
  readonly body: Record<string, unknown>;
}

function call(method: string, path: string, body?: unknown, type = 'application/json'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(`https://127.0.0.1:6443${path}`, { method, agent, headers: { 'content-type': type } }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (c: Buffer) => chunks.push(c));
      res.on('error', reject);
      res.on('end', () =>
        resolve({ code: res.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Answer['body'] }),
      );
    });
    req.on('error', reject);
    req.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const failures: string[] = [];
async function must(answer: Promise<Answer>): Promise<Answer> {
  const got = await answer;
  if (got.code >= 300) failures.push(`${got.code} ${JSON.stringify(got.body)}`);
  return got;
}

interface Target {
  readonly path: string;
  readonly object: (i: number) => Record<string, unknown>;
}

const core = '/api/v1/namespaces/default/configmaps';
const name = (i: number): string => `m-${String(i).padStart(2, '0')}`;
const labelled = (i: number) => ({ labels: { [name(i)]: 'x' } });
const targets: Readonly<Record<string, Target>> = {
  map: {
    path: `${core}/shared`,
    object: (i) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shared', ...labelled(i) }, data: { [name(i)]: String(i) } }),
  },
  deployment: {
    path: '/apis/apps/v1/namespaces/default/deployments/shared',
    object: (i) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'shared', ...labelled(i) },
      spec: {
        replicas: 0,
        selector: { matchLabels: { a: 'b' } },
        template: {
          metadata: { labels: { a: 'b' } },
          spec: {
            containers: [
              { name: 'all', image: 'i', env: [{ name: name(i), value: String(i) }], ports: [{ containerPort: 1000 + i }] },
              { name: name(i), image: name(i) },
            ],
          },
        },
      },
    }),
  },
  custom: {
    path: '/apis/example.com/v1/namespaces/default/things/shared',
    object: (i) => ({
      apiVersion: 'example.com/v1',
      kind: 'Thing',
      metadata: { name: 'shared', ...labelled(i) },
      spec: { items: [{ id: i, text: name(i) }], set: [name(i)], free: { [name(i)]: { deep: [i] } } },
    }),
  },
};

const applyPatch = 'application/apply-patch+yaml';
const query = (i: number): string => `?fieldManager=${name(i)}`;
const everyone = <T>(work: (i: number) => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: managers }, (_, i) => work(i)));

async function contend(target: Target): Promise<unknown> {
  // The first round creates the object, whoever comes first; then each adds something of its own, twice, and lets go of it.
  await everyone((i) => must(call('PATCH', target.path + query(i), target.object(i), applyPatch)));
  await everyone(async (i) => {
    const more = { ...target.object(i), metadata: { name: 'shared', labels: { [name(i)]: 'y', [`extra-${i}`]: 'z' } } };
    await must(call('PATCH', target.path + query(i), more, applyPatch));
    await must(call('PATCH', target.path + query(i), target.object(i), applyPatch));
  });
  return (await must(call('GET', target.path))).body;
}

/** Half of the managers apply, half update or patch what they read, trying again on conflict as clients do. */
async function mix(): Promise<unknown> {
  const path = `${core}/mixed`;
  const map = (data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'mixed' }, data });
  await must(call('POST', core, map({ base: 'x' })));
  await everyone(async (i) => {
    if (i % 2 === 0) {
      await must(call('PATCH', path + query(i), map({ [name(i)]: 'first' }), applyPatch));
      await must(call('PATCH', path + query(i), map({ [name(i)]: 'applied' }), applyPatch));
      return;
    }
    if (i % 4 === 1) {
      await must(call('PATCH', path + query(i), { data: { [name(i)]: 'patched' } }, 'application/merge-patch+json'));
      return;
    }
    for (;;) {
      const { body } = await must(call('GET', path));
      const next = { ...body, data: { ...(body['data'] as object), [name(i)]: 'updated' } };
      const answer = await call('PUT', path + query(i), next);
      if (answer.code === 200) return;
      if (answer.code !== 409) failures.push(`${answer.code} ${JSON.stringify(answer.body)}`);
    }
  });
  return (await must(call('GET', path))).body;
}

const out: Record<string, unknown> = {};
for (const [key, target] of Object.entries(targets)) out[key] = await contend(target);
out['mixed'] = await mix();
process.stdout.write(`${JSON.stringify({ ...out, failures: [...new Set(failures)].slice(0, 20) })}\n`);
process.exit(0);

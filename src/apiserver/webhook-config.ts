/** The kubeconfig files that name webhooks for authentication and authorization. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

export interface WebhookServer {
  readonly url: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
}

type Fields = Readonly<Record<string, unknown>>;
const asFields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? { ...value } : {});

function entry(config: Fields, plural: string, singular: string, name: unknown): Fields {
  const list: unknown = config[plural];
  const found = (Array.isArray(list) ? list : []).map(asFields).find((e) => e['name'] === name);
  return asFields(found?.[singular]);
}

/** The server of a kubeconfig's current context. Files it names are read beside it. Rejects with an Error that says what is missing. */
export async function readWebhookConfig(path: string): Promise<WebhookServer> {
  const config = asFields(parse(await readFile(path, 'utf8')));
  const contexts: unknown = config['contexts'];
  const current = config['current-context'] ?? (Array.isArray(contexts) ? asFields(contexts[0])['name'] : undefined);
  const context = entry(config, 'contexts', 'context', current);
  const cluster = entry(config, 'clusters', 'cluster', context['cluster']);
  const user = entry(config, 'users', 'user', context['user']);
  const url = cluster['server'];
  if (typeof url !== 'string' || !url.startsWith('https://')) throw new Error(`${path}: the current context names no https server`);
  const data = async (from: Fields, name: string): Promise<string | undefined> => {
    const inline = from[`${name}-data`];
    if (typeof inline === 'string') return Buffer.from(inline, 'base64').toString('utf8');
    const file = from[name];
    return typeof file === 'string' ? await readFile(resolve(dirname(path), file), 'utf8') : undefined;
  };
  const [ca, cert, key] = await Promise.all([
    data(cluster, 'certificate-authority'),
    data(user, 'client-certificate'),
    data(user, 'client-key'),
  ]);
  const { token } = user;
  return {
    url,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(typeof token === 'string' ? { token } : {}),
  };
}

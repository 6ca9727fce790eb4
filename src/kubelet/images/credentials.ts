/** Registry credentials from imagePullSecrets: pkg/credentialprovider upstream. */
import type { Secret } from '#kube/generated/core-v1.ts';
import type { AuthConfig } from '../cri/generated/cri.ts';
import { parseImage } from './reference.ts';

export type Credential = Partial<AuthConfig>;

interface DockerEntry {
  readonly username?: unknown;
  readonly password?: unknown;
  readonly auth?: unknown;
  readonly identitytoken?: unknown;
  readonly registrytoken?: unknown;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function entriesOf(secret: Secret): Readonly<Record<string, unknown>> {
  const decode = (key: string): unknown => {
    const data = secret.data?.[key];
    if (data === undefined) return undefined;
    try {
      return JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
    } catch {
      return undefined;
    }
  };
  const config = decode('.dockerconfigjson');
  if (isRecord(config) && isRecord(config['auths'])) return config['auths'];
  const legacy = decode('.dockercfg');
  return isRecord(legacy) ? legacy : {};
}

function credentialOf(entry: DockerEntry): Credential {
  const pair = Buffer.from(text(entry.auth), 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return {
    username: text(entry.username) || (colon < 0 ? '' : pair.slice(0, colon)),
    password: text(entry.password) || (colon < 0 ? '' : pair.slice(colon + 1)),
    identityToken: text(entry.identitytoken),
    registryToken: text(entry.registrytoken),
  };
}

const dockerHub = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** Whether an entry's key (host, host:port, with a path, with * in host names) covers the image. */
function covers(key: string, registry: string, repository: string): boolean {
  const bare = key.replace(/^https?:\/\//, '').replace(/\/v[12]\/?$/, '');
  const slash = bare.indexOf('/');
  const host = slash < 0 ? bare : bare.slice(0, slash);
  const path = slash < 0 ? '' : bare.slice(slash + 1).replace(/\/$/, '');
  const hostMatches = dockerHub.has(host)
    ? dockerHub.has(registry)
    : new RegExp(
        `^${host
          .split('.')
          .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^.]*'))
          .join('\\.')}$`,
      ).test(registry);
  return hostMatches && (path === '' || repository === path || repository.startsWith(`${path}/`));
}

/** Credentials to try for an image, the most specific first. */
export function credentialsFor(image: string, secrets: readonly Secret[]): readonly Credential[] {
  const ref = parseImage(image);
  if (ref === undefined) return [];
  return secrets
    .flatMap((secret) => Object.entries(entriesOf(secret)))
    .filter(([key, entry]) => isRecord(entry) && covers(key, ref.registry, ref.repository))
    .sort(([a], [b]) => b.length - a.length)
    .map(([, entry]) => credentialOf(entry as DockerEntry));
}

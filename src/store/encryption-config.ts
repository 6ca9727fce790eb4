/** EncryptionConfiguration files (apiserver.config.k8s.io/v1), read and made. */
import { randomBytes } from 'node:crypto';
import { parse } from 'yaml';
import type { EncryptionKey, EncryptionPolicy } from './encryption.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown, path: string): readonly unknown[] => {
  if (!Array.isArray(value) || value.length === 0) throw new Error(`${path}: must be a list that is not empty`);
  return value;
};
function fields(value: unknown, path: string): Fields {
  if (!isFields(value)) throw new Error(`${path}: must be an object`);
  return value;
}

const keySizes: Readonly<Record<'aescbc' | 'aesgcm', readonly number[]>> = { aescbc: [16, 24, 32], aesgcm: [16, 24, 32] };

function keysOf(provider: 'aescbc' | 'aesgcm', value: unknown, path: string): readonly EncryptionKey[] {
  return listOf(fields(value, path)['keys'], `${path}.keys`).map((entry, i) => {
    const { name, secret } = fields(entry, `${path}.keys[${i}]`);
    if (typeof name !== 'string' || !/^[^:]+$/.test(name)) throw new Error(`${path}.keys[${i}].name: must be text without colons`);
    const bytes = Buffer.from(typeof secret === 'string' ? secret : '', 'base64');
    if (!keySizes[provider].includes(bytes.length))
      throw new Error(`${path}.keys[${i}].secret: must be 16, 24 or 32 bytes in base64, not ${bytes.length}`);
    return { provider, name, secret: bytes };
  });
}

/** Keys in the order of the file; undefined stands for identity. */
function providersOf(value: unknown, path: string): readonly (EncryptionKey | undefined)[] {
  return listOf(value, path).flatMap((entry, i): readonly (EncryptionKey | undefined)[] => {
    const at = `${path}[${i}]`;
    const [kind = '', ...others] = Object.keys(fields(entry, at));
    if (others.length > 0)
      throw new Error(`${at}: more than one provider specified in a single element, should split into different list elements`);
    if (kind === 'identity') return [undefined];
    if (kind === 'aescbc' || kind === 'aesgcm') return keysOf(kind, fields(entry, at)[kind], `${at}.${kind}`);
    throw new Error(`${at}: provider ${JSON.stringify(kind)} is not supported; there are aescbc, aesgcm and identity`);
  });
}

/** "secrets", "configmaps", "widgets.example.com", "*.apps", "*.", "*.*" as key prefixes. */
function prefixOf(resource: string, path: string): string {
  const dot = resource.indexOf('.');
  const plural = dot < 0 ? resource : resource.slice(0, dot);
  const group = dot < 0 ? 'core' : resource.slice(dot + 1);
  if (!/^(\*|[a-z0-9]+)$/.test(plural)) throw new Error(`${path}: ${JSON.stringify(resource)} is no resource`);
  if (plural !== '*') return `/registry/${group}/${plural}/`;
  if (group === '*') return '/registry/';
  return `/registry/${group === '' ? 'core' : group}/`;
}

/**
 * Reads a configuration. All its entries must have the same providers: which key is used does not depend on the
 * resource. Throws an Error that names the field that is wrong.
 */
export function parseEncryptionConfig(yaml: string): EncryptionPolicy {
  const config = fields(parse(yaml), 'EncryptionConfiguration');
  if (config['kind'] !== 'EncryptionConfiguration' || config['apiVersion'] !== 'apiserver.config.k8s.io/v1')
    throw new Error('expected apiVersion apiserver.config.k8s.io/v1 and kind EncryptionConfiguration');
  const entries = listOf(config['resources'], 'resources').map((entry, i) => {
    const at = `resources[${i}]`;
    const { resources, providers } = fields(entry, at);
    return {
      prefixes: listOf(resources, `${at}.resources`).map((r) => prefixOf(String(r as string), `${at}.resources`)),
      providers: providersOf(providers, `${at}.providers`),
    };
  });
  const first = entries[0]?.providers ?? [];
  const id = (list: readonly (EncryptionKey | undefined)[]): string =>
    JSON.stringify(list.map((k) => (k === undefined ? '' : [k.provider, k.name, Buffer.from(k.secret).toString('base64')])));
  if (entries.some((e) => id(e.providers) !== id(first))) throw new Error('resources: all entries must have the same providers');
  return { prefixes: entries.flatMap((e) => e.prefixes), write: first[0], read: first.filter((k) => k !== undefined) };
}

/** A new key, named after the time. */
export const newEncryptionKey = (now: Date): EncryptionKey => ({
  provider: 'aescbc',
  name: `aescbckey-${now.toISOString().slice(0, 19)}Z`.replaceAll(':', '-'),
  secret: randomBytes(32),
});

/** The file for keys of which the first encrypts; `enabled` false: nothing is encrypted any more, the keys only read. */
export function encryptionConfigText(keys: readonly EncryptionKey[], enabled: boolean): string {
  const own = keys.map((k) => ({ [k.provider]: { keys: [{ name: k.name, secret: Buffer.from(k.secret).toString('base64') }] } }));
  const providers = enabled ? [...own, { identity: {} }] : [{ identity: {} }, ...own];
  return `${JSON.stringify({ kind: 'EncryptionConfiguration', apiVersion: 'apiserver.config.k8s.io/v1', resources: [{ resources: ['secrets'], providers }] }, null, 2)}\n`;
}

/** Which keys a configuration holds after the next step of a rotation: a new one in front, the last one that encrypted behind it. */
export const rotatedKeys = (policy: EncryptionPolicy, now: Date): readonly EncryptionKey[] => [newEncryptionKey(now), ...policy.read];

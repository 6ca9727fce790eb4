/** Reads configuration files of apiserver.config.k8s.io: strictly, as upstream, with what is wrong as field errors. */
import { parse } from 'yaml';
import type { FieldError } from '#kube/status-error.ts';
import { parseGoDuration } from '#lib/go-duration.ts';

export type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const below = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

/** Absent counts as empty. Throws an Error for what is no object or has fields beyond `known`. */
export function readFields(value: unknown, path: string, known: readonly string[]): Fields {
  if (value === undefined || value === null) return {};
  if (!isFields(value)) throw new Error(`${path}: must be an object`);
  const unknown = Object.keys(value).find((k) => !known.includes(k));
  if (unknown !== undefined) throw new Error(`strict decoding error: unknown field ${JSON.stringify(below(path, unknown))}`);
  return value;
}

/** A file's contents as an object of that kind, in any version that is served. */
export function readConfig(yaml: string, kind: string, versions: readonly string[], known: readonly string[]): Fields {
  const config = readFields(parse(yaml, { maxAliasCount: 100 }), '', ['apiVersion', 'kind', ...known]);
  const accepted = versions.map((v) => `apiserver.config.k8s.io/${v}`);
  if (config['kind'] !== kind || !accepted.includes(String(config['apiVersion'])))
    throw new Error(
      `no kind ${JSON.stringify(config['kind'] ?? '')} is registered for version ${JSON.stringify(config['apiVersion'] ?? '')}: expected ${kind} of ${accepted.join(' or ')}`,
    );
  return config;
}

/** Absent counts as ''. */
export function readText(fields: Fields, name: string, path: string): string {
  const value = fields[name];
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw new Error(`${below(path, name)}: must be text`);
  return value;
}

/** Absent counts as empty. */
export function readList(fields: Fields, name: string, path: string): readonly unknown[] {
  const value = fields[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`${below(path, name)}: must be a list`);
  return value;
}

/** A whole number. */
export function readNumber(fields: Fields, name: string, path: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new Error(`${below(path, name)}: must be a whole number`);
  return value;
}

/** Absent counts as false. */
export function readBoolean(fields: Fields, name: string, path: string): boolean {
  const value = fields[name];
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw new Error(`${below(path, name)}: must be true or false`);
  return value;
}

/** In milliseconds; absent counts as 0. */
export function readDuration(fields: Fields, name: string, path: string): number {
  const text = readText(fields, name, path);
  const ms = text === '' ? 0 : parseGoDuration(text);
  if (ms === undefined) throw new Error(`${below(path, name)}: ${JSON.stringify(text)} is not a duration such as 1m30s`);
  return ms;
}

/** Throws an Error with upstream's text for a list of field errors that is not empty. */
export function refuse(errors: readonly FieldError[]): void {
  const texts = [...new Set(errors.map((e) => `${e.field}: ${e.message}`))];
  if (texts.length > 0) throw new Error(texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`);
}

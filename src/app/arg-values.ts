/** Values of --kube-apiserver-arg settings. All throw, or reject with, an OptionError that names the setting. */
import { readFile } from 'node:fs/promises';
import { parseGoDuration } from '#lib/go-duration.ts';
import { OptionError } from './options.ts';

export type Args = ReadonlyMap<string, string>;

/** What went wrong, with the name of the setting. */
export const failed = (name: string, error: unknown): OptionError =>
  new OptionError(`kube-apiserver-arg: ${name}: ${error instanceof Error ? error.message : String(error)}`);

/** What `read` makes of the file that a setting names; undefined where it names none. */
export async function fromFile<T>(args: Args, name: string, read: (path: string) => Promise<T>): Promise<T | undefined> {
  const path = args.get(name);
  if (path === undefined || path === '') return undefined;
  try {
    return await read(path);
  } catch (error) {
    throw failed(name, error);
  }
}

/** For `fromFile`: a file's text, parsed. */
export const parsed =
  <T>(parse: (text: string) => T) =>
  async (path: string): Promise<T> =>
    parse(await readFile(path, 'utf8'));

/** A whole number that is not negative. */
export function number(args: Args, name: string): number | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw failed(name, `"${text}" is not a number`);
  return Number(text);
}

/** A number that may have a fraction. */
export function decimal(args: Args, name: string): number | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw failed(name, `"${text}" is not a number`);
  return Number(text);
}

export function boolean(args: Args, name: string): boolean | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  if (text !== 'true' && text !== 'false') throw failed(name, `"${text}" is neither true nor false`);
  return text === 'true';
}

/** A Go duration such as 1m30s, in milliseconds. */
export function duration(args: Args, name: string): number | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  const ms = parseGoDuration(text);
  if (ms === undefined || ms < 0) throw failed(name, `"${text}" is not a duration such as 1m30s`);
  return ms;
}

/** Parts between commas. */
export const list = (text: string | undefined): readonly string[] | undefined => text?.split(',').filter((t) => t !== '');

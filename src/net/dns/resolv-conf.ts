/** The host's resolvers. */
import { readFileSync, statSync } from 'node:fs';
import { parseIp } from '#lib/cidr.ts';
import type { Clock } from '#platform/clock.ts';
import type { Resolver } from './upstream.ts';

/** glibc reads at most three. */
const maxResolvers = 3;

/** The `nameserver` lines, without those in `except` (our own addresses: asking ourselves would go round in circles). */
export function parseResolvConf(text: string, except: ReadonlySet<string>): Resolver[] {
  const resolvers: Resolver[] = [];
  for (const line of text.split('\n')) {
    const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    if (address === undefined || except.has(address)) continue;
    const plain = address.split('%')[0] ?? '';
    if (parseIp(plain) === undefined) continue;
    resolvers.push({ address, port: 53 });
  }
  return resolvers.slice(0, maxResolvers);
}

const checkEveryMs = 5000;

/** Reads the file again when it has changed, looking at most every few seconds. A file that is gone leaves what was known. */
export function hostResolvers(file: string, except: ReadonlySet<string>, clock: Clock): () => readonly Resolver[] {
  let known: readonly Resolver[] = [];
  let checkedAt: number | undefined;
  let stamp = '';
  return () => {
    const now = clock.monotonic();
    if (checkedAt !== undefined && now - checkedAt < checkEveryMs) return known;
    checkedAt = now;
    try {
      const { mtimeMs, ino, size } = statSync(file);
      const seen = `${mtimeMs}/${ino}/${size}`;
      if (seen !== stamp) {
        known = parseResolvConf(readFileSync(file, 'utf8'), except);
        stamp = seen;
      }
    } catch {
      return known;
    }
    return known;
  };
}

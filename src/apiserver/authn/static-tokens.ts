/** The file of --token-auth-file: token,user,uid,"group1,group2". k8s.io/apiserver authentication/token/tokenfile. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { UserInfo } from '../contract.ts';
import type { TokenAuthenticator } from './types.ts';

function cells(line: string): readonly string[] {
  const list: string[] = [];
  for (const m of line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g)) list.push((m[1]?.replaceAll('""', '"') ?? m[2] ?? '').trim());
  return list;
}

const digest = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Throws an Error that names the line for a file that cannot be used. */
export function parseTokenFile(text: string): ReadonlyMap<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [token = '', name = '', uid = '', groups = ''] = cells(line);
    if (name === '') throw new Error(`token file must have at least 3 columns (token, user name, user uid): line ${i + 1}`);
    if (token === '') continue;
    users.set(token, { name, groups: groups === '' ? [] : groups.split(',').map((g) => g.trim()), ...(uid === '' ? {} : { uid }) });
  }
  return users;
}

/** Tokens are compared by their digests, in constant time. */
export function staticTokens(users: ReadonlyMap<string, UserInfo>): TokenAuthenticator {
  const entries = [...users].map(([token, user]) => ({ digest: digest(token), user }));
  return (token) => {
    const shown = digest(token);
    const found = entries.filter((e) => timingSafeEqual(e.digest, shown))[0];
    return found === undefined ? undefined : { user: found.user, audiences: [] };
  };
}

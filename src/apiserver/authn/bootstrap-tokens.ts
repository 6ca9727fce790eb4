/** Bootstrap tokens: Secrets of type bootstrap.kubernetes.io/token. plugin/pkg/auth/authenticator/token/bootstrap. */
import { timingSafeEqual } from 'node:crypto';
import { secrets } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';
import type { ObjectReader } from '../contract.ts';
import type { TokenAuthenticator } from './types.ts';

const form = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupForm = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

const equal = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

export function bootstrapTokens(reader: Pick<ObjectReader, 'get'>, clock: Clock): TokenAuthenticator {
  return (token) => {
    const [, id = '', secretPart = ''] = form.exec(token) ?? [];
    if (id === '') return undefined;
    const secret = reader.get(secrets, 'kube-system', `bootstrap-token-${id}`);
    if (secret === undefined || secret.metadata.deletionTimestamp !== undefined || secret.type !== 'bootstrap.kubernetes.io/token')
      return undefined;
    const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
    if (!equal(field('token-secret'), secretPart) || field('token-id') !== id) return undefined;
    const expiration = field('expiration');
    if (expiration !== '' && !(Date.parse(expiration) > clock.now())) return undefined;
    if (field('usage-bootstrap-authentication') !== 'true') return undefined;
    const extra = field('auth-extra-groups')
      .split(',')
      .map((g) => g.trim())
      .filter((g) => g !== '');
    if (extra.some((g) => !groupForm.test(g))) return undefined;
    return { user: { name: `system:bootstrap:${id}`, groups: [...new Set(['system:bootstrappers', ...extra])].sort() }, audiences: [] };
  };
}

/**
 * Each node proves with a password of its own that it is the one that joined under its name: the first one to come is
 * remembered, as a hash, in the Secret kube-system/<node>.node-password.k3ts.
 */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { secrets } from '#kube/refs.ts';
import { isStatus, StatusError } from '#kube/status-error.ts';
import type { ObjectStore } from '../contract.ts';

const namespace = 'kube-system';
const cost = 15;

export const nodePasswordSecret = (node: string): string => `${node}.node-password.k3ts`;

function derive(password: string, salt: Uint8Array, log2: number, options: { r: number; p: number }): Promise<Buffer> {
  const parameters: ScryptOptions = { N: 2 ** log2, r: options.r, p: options.p, maxmem: 128 * 2 ** log2 * options.r * 2 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 64, parameters, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

/** `$1:<salt>:<log2 N>:<r>:<p>:<key>`, the form that K3s writes. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(8);
  const key = await derive(password, salt, cost, { r: 8, p: 1 });
  return `$1:${salt.toString('hex')}:${cost}:8:1:${key.toString('base64').replace(/=+$/, '')}`;
}

/** False also for a hash that cannot be read or whose parameters would take too much memory. */
export async function matchesHash(password: string, hash: string): Promise<boolean> {
  const [version, salt = '', log2 = '', r = '', p = '', key = ''] = hash.split(':');
  const [n, blocks, lanes] = [Number(log2), Number(r), Number(p)];
  if (version !== '$1' || !(n >= 10 && n <= 17) || !(blocks >= 1 && blocks <= 8) || !(lanes >= 1 && lanes <= 4)) return false;
  const expected = Buffer.from(key, 'base64');
  if (expected.length !== 64) return false;
  return timingSafeEqual(await derive(password, Buffer.from(salt, 'hex'), n, { r: blocks, p: lanes }), expected);
}

/** Throws StatusError Forbidden when another password is on record for the node; records this one when none is. */
export async function checkNodePassword(store: ObjectStore, node: string, password: string): Promise<void> {
  const name = nodePasswordSecret(node);
  const known = store.get(secrets, namespace, name);
  if (known === undefined) {
    const hash = await hashPassword(password);
    try {
      await store.create(secrets, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace },
        type: 'Opaque',
        immutable: true,
        data: { hash: Buffer.from(hash).toString('base64') },
      });
      return;
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error;
      return await checkNodePassword(store, node, password);
    }
  }
  const hash = Buffer.from(known.data?.['hash'] ?? '', 'base64').toString('utf8');
  if (!(await matchesHash(password, hash)))
    throw new StatusError(
      'Forbidden',
      `node password rejected for "${node}": the password of the node that joined under this name first is another one; delete the Node object if this machine replaces that node, or choose another node name`,
    );
}

/** Forgets a node that was deleted, so that another machine may take its name. */
export async function forgetNodePassword(store: ObjectStore, node: string): Promise<void> {
  await store.remove(secrets, namespace, nodePasswordSecret(node));
}

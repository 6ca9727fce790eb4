/**
 * The keys that sign service-account tokens. `service.current.key` signs; `service.key` holds every key that still
 * verifies, so tokens signed before a rotation stay valid.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { pemBlocks } from '#lib/pem.ts';
import { newKey } from './certificates.ts';
import { readText, writeAtomically } from './files.ts';

export interface ServiceAccountKeys {
  readonly signing: KeyObject;
  /** All public keys that verify, the signing key's own first. */
  readonly verifying: readonly KeyObject[];
}

/** Upstream's key id: base64url of the SHA-256 of the DER public key (pkg/serviceaccount/jwt.go, keyIDFromPublicKey). */
export function keyIdOf(key: KeyObject): string {
  const publicKey = key.type === 'public' ? key : createPublicKey(key);
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

const publicKeys = (text: string): KeyObject[] => pemBlocks(text).map((b) => createPublicKey(b.text));

function distinct(keys: readonly KeyObject[]): readonly KeyObject[] {
  const seen = new Map(keys.map((k) => [keyIdOf(k), k]));
  return [...seen.values()];
}

/** Reads the keys in a directory; makes the first one when there is none. */
export async function ensureServiceAccountKeys(dir: string): Promise<ServiceAccountKeys> {
  const all = join(dir, 'service.key');
  const current = join(dir, 'service.current.key');
  const [allText, currentText] = await Promise.all([readText(all), readText(current)]);
  const signingText = currentText ?? allText;
  if (signingText !== undefined) {
    const signing = createPrivateKey(pemBlocks(signingText)[0]?.text ?? signingText);
    return { signing, verifying: distinct([createPublicKey(signing), ...publicKeys(allText ?? '')]) };
  }
  const signing = newKey();
  const pem = signing.export({ type: 'sec1', format: 'pem' }).toString();
  await writeAtomically(all, pem);
  await writeAtomically(current, pem);
  return { signing, verifying: [createPublicKey(signing)] };
}

/** Makes a new signing key. The old ones keep verifying: as many as `keep`, newest first. */
export async function rotateServiceAccountKey(dir: string, keep = 8): Promise<ServiceAccountKeys> {
  const old = await ensureServiceAccountKeys(dir);
  const signing = newKey();
  const verifying = [createPublicKey(signing), ...old.verifying].slice(0, keep + 1);
  // The verifying set first: a crash in between leaves the old key signing and nothing refused.
  await writeAtomically(join(dir, 'service.key'), verifying.map((k) => k.export({ type: 'spki', format: 'pem' }).toString()).join(''));
  await writeAtomically(join(dir, 'service.current.key'), signing.export({ type: 'sec1', format: 'pem' }).toString());
  return { signing, verifying };
}

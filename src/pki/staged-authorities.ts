/**
 * Replacing the authorities: new files are checked and laid beside those in use (`k3ts certificate rotate-ca`), and take their place
 * at the next start. What is checked follows K3s' validateBootstrap (pkg/server/handlers/cert.go).
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pemBlocks } from '#lib/pem.ts';
import { certificatesOf, isRoot, rootOf } from '#lib/x509-chain.ts';
import { belongTogether } from './certificates.ts';
import { readText, writeAtomically } from './files.ts';
import { ensureServiceAccountKeys, keyIdOf } from './service-account-keys.ts';

export const authorityNames = ['server-ca', 'client-ca', 'request-header-ca'] as const;
const serviceKey = 'service.key';
const currentServiceKey = 'service.current.key';

export interface NewAuthorities {
  /** Texts by the name of their file. */
  readonly files: ReadonlyMap<string, string>;
  /** What speaks against using them; whoever insists may. */
  readonly objections: readonly string[];
}

/** What speaks against replacing one authority by another: who trusts the old one has to trust the new one. K3s' validateCA. */
function objectionTo(oldPem: string, newPem: string): string | undefined {
  const old = certificatesOf(oldPem);
  const [cert, ...others] = certificatesOf(newPem);
  if (others.length === 0) return 'new CA certificate chain contains only a single certificate';
  const trusted = [...old, ...others.filter((c) => !isRoot(c))];
  if (cert === undefined || rootOf(cert, trusted) === undefined) return 'new CA cert cannot be verified using old CA chain';
  return undefined;
}

/** Why no server could start with a certificate and a key; undefined when one could. */
function problemOf(certText: string, keyText: string, now: number): string | undefined {
  try {
    const [cert] = certificatesOf(certText);
    if (cert === undefined) return 'there is no certificate in the file';
    if (!belongTogether(certText, createPrivateKey(keyText))) return 'the key is not that of the certificate';
    if (!cert.ca) return 'the certificate is not that of an authority';
    const valid = now >= Date.parse(cert.validFrom) && now <= Date.parse(cert.validTo);
    return valid ? undefined : 'the certificate has expired or is not yet valid';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function readPair(folder: string, name: string): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  const [cert, key] = await Promise.all([readText(join(folder, `${name}.crt`)), readText(join(folder, `${name}.key`))]);
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new Error(`${name}: there must be both ${name}.crt and ${name}.key`);
  return { cert, key };
}

async function readServiceKeys(tlsDir: string, text: string, objections: string[]): Promise<readonly (readonly [string, string])[]> {
  let signing: string | undefined;
  let ids: readonly string[] = [];
  try {
    const blocks = pemBlocks(text);
    ids = blocks.map((b) => keyIdOf(createPublicKey(b.text)));
    signing = blocks.find((b) => b.label.endsWith('PRIVATE KEY'))?.text;
  } catch (error) {
    throw new Error(`${serviceKey}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  if (signing === undefined) throw new Error(`${serviceKey}: there is no private key in the file`);
  const old = keyIdOf((await ensureServiceAccountKeys(tlsDir)).signing);
  if (!ids.includes(old)) objections.push(`${serviceKey}: old ServiceAccount signing key not in new ServiceAccount key list`);
  return [
    [serviceKey, text],
    [currentServiceKey, signing],
  ];
}

/**
 * Reads the authorities, and keys of service accounts, that are in a folder; what is missing stays as it is. Throws an Error for what
 * no server could start with, and where there is nothing.
 */
export async function readNewAuthorities(tlsDir: string, folder: string, now: number): Promise<NewAuthorities> {
  const files = new Map<string, string>();
  const objections: string[] = [];
  for (const name of authorityNames) {
    const pair = await readPair(folder, name);
    if (pair === undefined) continue;
    const problem = problemOf(pair.cert, pair.key, now);
    if (problem !== undefined) throw new Error(`${name}: ${problem}`);
    const old = await readText(join(tlsDir, `${name}.crt`));
    const objection = old === undefined ? undefined : objectionTo(old, pair.cert);
    if (objection !== undefined) objections.push(`${name}.crt: ${objection}`);
    files.set(`${name}.crt`, pair.cert).set(`${name}.key`, pair.key);
  }
  const keys = await readText(join(folder, serviceKey));
  for (const [name, text] of keys === undefined ? [] : await readServiceKeys(tlsDir, keys, objections)) files.set(name, text);
  if (files.size === 0)
    throw new Error(`there is none of ${authorityNames.map((n) => `${n}.crt`).join(', ')} and ${serviceKey} in ${folder}`);
  return { files, objections };
}

const stagedIn = (serverDir: string): string => join(serverDir, 'tls-staged');

/** Lays files ready for the next start, in place of any that were laid before. `serverDir` is <data dir>/server. */
export async function stageAuthorities(serverDir: string, files: ReadonlyMap<string, string>): Promise<void> {
  const staged = stagedIn(serverDir);
  const half = `${staged}.new`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { recursive: true, mode: 0o700 });
  for (const [name, text] of files) await writeAtomically(join(half, name), text);
  await rm(staged, { recursive: true, force: true });
  // Only a folder that is complete has this name.
  await rename(half, staged);
}

/** Puts what is staged in place; a start that was interrupted here goes on. Gives the names of the files, none where nothing is staged. */
export async function useStagedAuthorities(serverDir: string): Promise<readonly string[]> {
  const staged = stagedIn(serverDir);
  let names: readonly string[];
  try {
    names = await readdir(staged);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  for (const name of names) {
    await chmod(join(staged, name), name.endsWith('.crt') ? 0o644 : 0o600);
    await rename(join(staged, name), join(serverDir, 'tls', name));
  }
  await rm(staged, { recursive: true });
  return names;
}

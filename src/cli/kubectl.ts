import { kubectlInvocation } from '#app/kubectl.ts';

/** Becomes kubectl: same process id, exit code and terminal. Never returns. */
export function kubectl(args: readonly string[]): void {
  const { file, env } = kubectlInvocation(process.env);
  try {
    process.execve?.(file, ['kubectl', ...args], env);
  } catch (error) {
    process.stderr.write(`k3ts: cannot run ${file}: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  process.exit(1);
}

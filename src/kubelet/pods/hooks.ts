/** postStart and preStop: pkg/kubelet/lifecycle/handlers.go. */
import type { Container, LifecycleHandler } from '#kube/generated/core-v1.ts';
import { minorVersion } from '#kube/version.ts';
import type { Clock } from '#platform/clock.ts';
import type { Cri } from '../cri/client.ts';
import { runExec, runHttp } from '../probes/handlers.ts';

export interface HookTarget {
  readonly container: Container;
  readonly containerId: string;
  readonly podIp: string;
}

const hookTimeoutMs = 30 * 60_000;

/** Rejects with what went wrong. */
export async function runHook(
  hook: LifecycleHandler,
  target: HookTarget,
  deps: { readonly cri: Cri; readonly clock: Clock; readonly signal?: AbortSignal; readonly timeoutMs?: number },
): Promise<void> {
  const timeoutMs = deps.timeoutMs ?? hookTimeoutMs;
  if (hook.exec !== undefined) {
    const command = hook.exec.command ?? [];
    const result = await runExec(deps.cri, target.containerId, command, timeoutMs, deps.signal);
    if (!result.ok)
      throw new Error(
        `Exec lifecycle hook (${command.join(' ')}) for Container "${target.container.name}" failed - error: command failed, message: ${JSON.stringify(result.output)}`,
      );
  } else if (hook.httpGet !== undefined) {
    const result = await runHttp(hook.httpGet, target, Math.min(timeoutMs, 60_000), `kube-lifecycle/1.${minorVersion}`);
    if (!result.ok)
      throw new Error(
        `HTTP lifecycle hook (${hook.httpGet.path ?? '/'}) for Container "${target.container.name}" failed - error: ${result.output}`,
      );
  } else if (hook.sleep !== undefined) {
    await deps.clock.sleep(Math.min(hook.sleep.seconds * 1000, timeoutMs), deps.signal);
  }
}

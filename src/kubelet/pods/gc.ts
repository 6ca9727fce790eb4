/** Removes what pods leave in the runtime and on disk: pkg/kubelet/kuberuntime/kuberuntime_gc.go. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '#kube/generated/core-v1.ts';
import { isGrpc } from '#platform/grpc.ts';
import type { PodContext } from './context.ts';
import { podLogDir } from './names.ts';
import { podCgroup } from './resources.ts';
import type { ContainerRecord, PodRuntime } from './runtime.ts';

/** Ended runs of one container that are kept, for `logs --previous` and lastState. */
const keptRuns = 1;

const unlessGone = (error: unknown): void => {
  if (!isGrpc(error, 5)) throw error;
};

/** `foo/3.log` and what rotation made of it: foo/3.log.20260102-030405(.gz). */
async function removeLogs(logPath: string): Promise<void> {
  const slash = logPath.lastIndexOf('/');
  const dir = logPath.slice(0, slash);
  const base = logPath.slice(slash + 1);
  for (const name of await readdir(dir).catch(() => []))
    if (name === base || name.startsWith(`${base}.`)) await rm(join(dir, name), { force: true });
}

async function removeLink(context: PodContext, runtime: PodRuntime, record: ContainerRecord): Promise<void> {
  await rm(join(context.paths.containerLogs, `${runtime.name}_${runtime.namespace}_${record.name}-${record.id}.log`), { force: true });
}

/** Keeps, of each container, what runs and the last run that ended; and no ended sandbox but the newest. */
export async function removeDeadContainers(context: PodContext, runtime: PodRuntime): Promise<void> {
  const kept = new Map<string, number>();
  const removedIds = new Set<string>();
  for (const record of runtime.containers) {
    if (record.state === 'running' || record.state === 'unknown') continue;
    const count = kept.get(record.name) ?? 0;
    const isNewest = runtime.containers.find((c) => c.name === record.name)?.id === record.id;
    // What was made and never started has nothing to tell.
    if (isNewest || (count < keptRuns && record.state === 'exited')) {
      if (!isNewest) kept.set(record.name, count + 1);
      continue;
    }
    await context.cri().removeContainer({ containerId: record.id }).catch(unlessGone);
    removedIds.add(record.id);
    await removeLogs(record.logPath);
    await removeLink(context, runtime, record);
  }
  for (const sandbox of runtime.sandboxes.slice(1)) {
    // Its containers would go with it.
    if (sandbox.ready || runtime.containers.some((c) => c.sandboxId === sandbox.id && !removedIds.has(c.id))) continue;
    await context.cri().stopPodSandbox({ podSandboxId: sandbox.id }).catch(unlessGone);
    await context.cri().removePodSandbox({ podSandboxId: sandbox.id }).catch(unlessGone);
  }
}

/** Removes every record, log and cgroup of a pod that the API no longer has and of which nothing runs. */
export async function forgetPod(context: PodContext, pod: Pod | undefined, runtime: PodRuntime): Promise<void> {
  for (const record of runtime.containers) {
    await context.cri().removeContainer({ containerId: record.id }).catch(unlessGone);
    await removeLink(context, runtime, record);
  }
  for (const sandbox of runtime.sandboxes) await context.cri().removePodSandbox({ podSandboxId: sandbox.id }).catch(unlessGone);
  await rm(podLogDir(context.paths, runtime), { recursive: true, force: true });
  if (pod !== undefined) await context.cgroups.remove(podCgroup(pod, context.cgroups.host.systemd).path);
  context.images.forget(runtime.uid);
  context.statuses.forget(runtime.uid);
}

/** What is left on the node of pods that neither the API nor the runtime knows: after a crash, or a deletion while the node was off. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PodContext } from './context.ts';
import { podCgroupPath } from './resources.ts';

const tiers = ['Guaranteed', 'Burstable', 'BestEffort'] as const;

/** Takes down volumes, cgroups and logs of pods whose uid is not among `known`. Failures are logged: the next start tries again. */
export async function cleanOrphans(context: PodContext, known: ReadonlySet<string>): Promise<void> {
  const uids = await readdir(join(context.paths.root, 'pods')).catch(() => []);
  for (const uid of uids) {
    if (known.has(uid)) continue;
    context.log.info('removing what is left of a pod', { uid });
    try {
      await context.volumes.tearDown(uid);
      for (const tier of tiers) await context.cgroups.remove(podCgroupPath(tier, uid, context.cgroups.host.systemd));
    } catch (error) {
      context.log.warn('what is left of a pod cannot be removed', { uid, error });
    }
  }
  for (const name of await readdir(context.paths.podLogs).catch(() => [])) {
    // namespace_name_uid; names hold no underscore.
    const uid = name.split('_')[2];
    if (uid !== undefined && !known.has(uid)) await rm(join(context.paths.podLogs, name), { recursive: true, force: true });
  }
}

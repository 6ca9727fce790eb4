/** `k3ts server`. */
import { gitVersion } from '#kube/version.ts';
import { realClock } from '#platform/clock.ts';
import { createLogger } from '#platform/log.ts';
import { realRandom } from '#platform/random.ts';
import { apiserverSettings } from './apiserver-args.ts';
import { createSystem, type System } from './components.ts';
import { serverConfig } from './config.ts';
import { createControlPlane } from './control-plane.ts';
import { flagsOf } from './flags.ts';
import { checkKubeletArgs } from './kubelet-args.ts';
import { OptionError, type OptionSources, resolveOptions } from './options.ts';
import { runUntilSignal } from './process.ts';
import { securitySettings } from './security-args.ts';
import { serverComponents } from './server-components.ts';

/** Runs until a signal ends it. Rejects with OptionError for settings that cannot be used. */
export async function runServer(sources: OptionSources): Promise<void> {
  const config = serverConfig(resolveOptions(flagsOf('server'), sources));
  const settings = apiserverSettings(config.apiserverArgs);
  const security = await securitySettings(config.apiserverArgs, settings.issuers);
  checkKubeletArgs(config);
  if (!config.disableAgent && process.getuid?.() !== 0) throw new OptionError('a node needs root: run as root, or with --disable-agent');
  process.umask(0o077);
  const log = createLogger({ debug: config.debug });
  const platform = { clock: realClock, random: realRandom, log };
  log.info('starting k3ts server', { version: gitVersion, node: config.node.name, dataDir: config.dataDir });
  await runUntilSignal(log, async () => {
    let system: System | undefined;
    let stopping = false;
    const health = { logProblem: log.problem, readiness: () => system?.readiness() ?? new Map(), stopping: () => stopping };
    const plane = await createControlPlane(config, { ...settings, security }, health, platform);
    system = createSystem(serverComponents, config, { config, plane, platform });
    const running = system;
    return {
      start: running.start,
      stop: async () => {
        stopping = true;
        await running.stop();
        await plane.closeAudit();
        await plane.cache.close();
        await plane.store.close();
      },
    };
  });
}

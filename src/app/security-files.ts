/** Files about who may do what that take effect while the server runs, as upstream: no restart after an issuer is added. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Auth } from '#apiserver/auth.ts';
import type { Clock } from '#platform/clock.ts';
import { followFile } from '#platform/follow-file.ts';
import type { Logger } from '#platform/log.ts';
import type { FollowedFile, SecuritySettings } from './security-args.ts';

export interface FilesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
}

type Task = (signal: AbortSignal) => Promise<void>;

/** Upstream's figures: apiserver_<what>_config_controller_automatic_reload*. */
function reloadFigures(what: string, registry: Registry) {
  const labelNames = ['apiserver_id_hash', 'status'];
  const prefix = `apiserver_${what}_config_controller_automatic_reload`;
  const total = new Counter({
    name: `${prefix}s_total`,
    help: `Total number of automatic reloads of ${what} configuration split by status and apiserver identity.`,
    labelNames,
    registers: [registry],
  });
  const last = new Gauge({
    name: `${prefix}_last_timestamp_seconds`,
    help: `Timestamp of the last automatic reload of ${what} configuration split by status and apiserver identity.`,
    labelNames,
    registers: [registry],
  });
  return (status: 'success' | 'failure', now: number): void => {
    total.labels('', status).inc();
    last.labels('', status).set(now / 1000);
  };
}

/** Puts a file's contents into use whenever they change, and counts how that went. What cannot be used changes nothing. */
export function following<T>(what: string, file: FollowedFile<T>, use: (value: T) => void, deps: FilesDeps): Task {
  const count = reloadFigures(what, deps.metrics);
  return async (signal) => {
    for await (const text of followFile(file.path, file.text, deps.clock, signal)) {
      try {
        use(await file.parse(text));
        count('success', deps.clock.now());
        deps.log.info(`reloaded ${what} config`, { file: file.path });
      } catch (error) {
        count('failure', deps.clock.now());
        deps.log.error(`the changed ${what} config cannot be used: the one before stays`, { file: file.path, error });
      }
    }
  };
}

/** One task for each file. Whom to let in anonymously is settled at the start, as upstream. */
export function securityFileTasks(
  files: SecuritySettings['files'],
  auth: Pick<Auth, 'useIssuers' | 'useAuthorizers'>,
  deps: FilesDeps,
): readonly Task[] {
  const { authentication, authorization } = files;
  return [
    ...(authentication === undefined
      ? []
      : [following('authentication', authentication, (config) => auth.useIssuers(config.issuers), deps)]),
    ...(authorization === undefined ? [] : [following('authorization', authorization, auth.useAuthorizers, deps)]),
  ];
}

/** systemd's Type=notify: tells the service manager that the service has started. sd_notify(3). */
import type { Exec } from '#platform/exec.ts';
import type { Logger } from '#platform/log.ts';

export interface NotifyDeps {
  readonly exec: Exec;
  readonly log: Logger;
}

/**
 * Takes the socket's address out of the environment, so that no program started from here speaks for the service
 * (containerd and runc would), and gives the way to tell that it is ready. To be called before any thread or program
 * is started. The socket takes datagrams, which Node cannot send: systemd's own program does.
 */
export function takeNotifySocket(env: NodeJS.ProcessEnv, deps: NotifyDeps): () => Promise<void> {
  const socket = env['NOTIFY_SOCKET'] ?? '';
  delete env['NOTIFY_SOCKET'];
  if (socket === '') return async () => undefined;
  return async () => {
    await deps
      .exec('systemd-notify', ['--ready'], { env: { NOTIFY_SOCKET: socket }, timeoutMs: 30_000 })
      .catch((error: unknown) => deps.log.warn('systemd could not be told that the service has started', { error }));
  };
}

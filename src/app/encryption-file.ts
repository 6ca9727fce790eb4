/** --encryption-provider-config: the administrator's own rules for encryption at rest, with the key services that they name. */
import type { Registry } from 'prom-client';
import type { HealthCheck } from '#apiserver/health.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { EncryptionPolicy } from '#store/encryption.ts';
import { parseEncryptionConfig } from '#store/encryption-config.ts';
import { createKmsProvider, type KmsProvider } from '#store/kms.ts';
import { createKmsService } from '#store/kms-service.ts';
import { following } from './security-files.ts';

export interface EncryptionFile {
  readonly path: string;
  readonly text: string;
  /** --encryption-provider-config-automatic-reload. */
  readonly reload: boolean;
}

export interface FileEncryption {
  /** As the file was at the start. */
  readonly policy: EncryptionPolicy;
  readonly checks: () => readonly HealthCheck[];
  /** Keeps asking the key services how they are, and follows changes of the file: `use` gets what counts from then on. */
  readonly task: (use: (policy: EncryptionPolicy) => void, metrics: Registry) => (signal: AbortSignal) => Promise<void>;
}

interface Opened {
  readonly policy: EncryptionPolicy;
  readonly providers: readonly KmsProvider[];
}

/** What was replaced may still be in use for so long (KMSPluginCloseGracePeriod). */
const closeAfterMs = 10_000;

/** Resolves when all key services were asked once; those that cannot be relied on are told in the log. */
export async function openFileEncryption(
  file: EncryptionFile,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<FileEncryption> {
  const open = (text: string): Opened => {
    const providers: KmsProvider[] = [];
    const policy = parseEncryptionConfig(text, (spec) => {
      const provider = createKmsProvider(spec, createKmsService(spec.socketPath, spec.timeoutMs), deps);
      providers.push(provider);
      return provider;
    });
    return { policy, providers };
  };
  /** What replaces something that works has to work. */
  const openChecked = async (text: string): Promise<Opened> => {
    const opened = open(text);
    const problems = await Promise.all(opened.providers.map((p) => p.check()));
    const index = problems.findIndex((p) => p !== undefined);
    if (index >= 0) throw new Error(`kms provider ${opened.providers[index]?.name}: ${problems[index]}`);
    return opened;
  };
  const first = open(file.text);
  await Promise.all(first.providers.map((p) => p.check()));
  let { providers } = first;
  const problemOf = (which: readonly KmsProvider[]): string | undefined => which.map((p) => p.problem()).find((p) => p !== undefined);
  return {
    policy: first.policy,
    checks: () =>
      file.reload
        ? [{ name: 'kms-providers', problem: () => problemOf(providers), live: true }]
        : providers.map((p, i) => ({ name: `kms-provider-${i}`, problem: () => p.problem(), live: true })),
    task: (use, metrics) => async (signal) => {
      await using group = new TaskGroup(signal);
      const keep = (kept: readonly KmsProvider[]): AbortController => {
        const stop = new AbortController();
        for (const p of kept) group.spawn((ended) => p.run(AbortSignal.any([ended, stop.signal])));
        return stop;
      };
      let stop = keep(providers);
      const replace = (next: Opened): void => {
        const old = stop;
        use(next.policy);
        ({ providers } = next);
        stop = keep(providers);
        deps.clock.after(closeAfterMs, () => old.abort());
      };
      if (file.reload) await following('encryption', { ...file, parse: openChecked }, replace, { ...deps, metrics })(signal);
      await group.join();
    },
  };
}

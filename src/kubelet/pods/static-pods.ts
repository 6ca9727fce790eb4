/** Pods from files on the node: pkg/kubelet/config/file_linux.go and common.go upstream. */
import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Pod } from '#kube/generated/core-v1.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { podAnnotations } from './names.ts';

export interface StaticPodDeps {
  readonly dir: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly add: (pod: Pod) => void;
  readonly remove: (uid: string, pod: Pod) => void;
}

const maxFileBytes = 1024 * 1024;
/** A file may be written in several steps. */
const settleMs = 200;
/** Upstream's fileCheckFrequency: the safety net behind the watch. */
const checkMs = 20_000;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Turns one manifest into the pod that runs: named after the node, with an identity that follows from its content. Throws for what is no pod. */
export function staticPod(manifest: unknown, file: string, nodeName: string): Pod {
  if (!isRecord(manifest) || manifest['kind'] !== 'Pod' || manifest['apiVersion'] !== 'v1') throw new Error('not a Pod of apiVersion v1');
  const { metadata, spec } = manifest as unknown as Pod;
  if (!isRecord(manifest['metadata']) || typeof metadata.name !== 'string' || metadata.name === '')
    throw new Error('metadata.name is required');
  if (!isRecord(manifest['spec']) || spec === undefined || !Array.isArray(spec.containers) || spec.containers.length === 0)
    throw new Error('spec.containers is required');
  if (spec.serviceAccountName !== undefined) throw new Error('a static pod cannot use a service account');
  const hash = createHash('sha256')
    .update(JSON.stringify([nodeName, file, manifest]))
    .digest('hex')
    .slice(0, 32);
  const tolerations = [...(spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      name: `${metadata.name}-${nodeName.toLowerCase()}`,
      namespace: metadata.namespace || 'default',
      uid: hash,
      annotations: { ...metadata.annotations, [podAnnotations.hash]: hash, [podAnnotations.source]: 'file' },
    },
    spec: {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      ...spec,
      enableServiceLinks: true,
      automountServiceAccountToken: false,
      nodeName,
      tolerations,
    },
  };
}

/** The pods of all files; what cannot be read is told and left out. */
async function readAll(deps: StaticPodDeps): Promise<ReadonlyMap<string, Pod>> {
  const pods = new Map<string, Pod>();
  for (const name of (await readdir(deps.dir)).sort()) {
    if (name.startsWith('.') || !/\.(ya?ml|json)$/.test(name)) continue;
    try {
      const text = await readFile(join(deps.dir, name), 'utf8');
      if (Buffer.byteLength(text) > maxFileBytes) throw new Error(`larger than ${maxFileBytes} bytes`);
      for (const document of parseAllDocuments(text)) {
        if (document.errors[0] !== undefined) throw document.errors[0];
        const manifest: unknown = document.toJS({ maxAliasCount: 100 });
        if (manifest === null) continue;
        const pod = staticPod(manifest, name, deps.nodeName);
        pods.set(pod.metadata.uid ?? '', pod);
      }
    } catch (error) {
      deps.log.error('a static pod cannot be read', { file: name, error });
    }
  }
  return pods;
}

export interface StaticPods {
  /** Reads the folder and tells what is new and what is gone. */
  readonly scan: () => Promise<void>;
  /** Follows the folder until the signal aborts. */
  readonly follow: (signal: AbortSignal) => Promise<void>;
}

export function createStaticPods(deps: StaticPodDeps): StaticPods {
  let known: ReadonlyMap<string, Pod> = new Map();

  async function scan(): Promise<void> {
    await mkdir(deps.dir, { recursive: true, mode: 0o700 });
    const now = await readAll(deps);
    for (const [uid, pod] of known) if (!now.has(uid)) deps.remove(uid, pod);
    for (const [uid, pod] of now) if (!known.has(uid)) deps.add(pod);
    known = now;
  }

  return {
    scan,
    follow: async (signal) => {
      let wake: (() => void) | undefined;
      let changed = false;
      const watcher: FSWatcher = watch(deps.dir, { persistent: false }, () => {
        changed = true;
        wake?.();
      });
      watcher.on('error', (error) => deps.log.warn('the folder of static pods cannot be watched', { error }));
      try {
        while (!signal.aborted) {
          if (!changed) await nextChange((fn) => (wake = fn), deps.clock, signal);
          await deps.clock.sleep(settleMs, signal).catch(() => undefined);
          changed = false;
          await scan().catch((error: unknown) => deps.log.warn('the folder of static pods cannot be read', { error }));
        }
      } finally {
        watcher.close();
      }
    },
  };
}

/** Resolves when `register`'s function is called, after a while, or when the signal aborts. */
async function nextChange(register: (fn: () => void) => void, clock: Clock, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = clock.after(checkMs, resolve);
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    register(done);
    signal.addEventListener('abort', done, { once: true });
  });
}

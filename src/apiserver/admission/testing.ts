/** Admission requests for tests of plugins. */
import { Registry } from 'prom-client';
import type { Draft, KindDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { configMaps, type ResourceRef } from '#kube/refs.ts';
import { kindSchema } from '#kube/schema-registry.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import type { AdmissionPlugin, AdmissionRequest, UserInfo } from '../contract.ts';
import { type AdmissionMetrics, createAdmissionMetrics } from './admission-metrics.ts';
import { createAdmissionChain } from './chain.ts';

export interface AskOptions extends Partial<Omit<AdmissionRequest, 'def' | 'object' | 'oldObject' | 'user'>> {
  readonly object?: object;
  readonly oldObject?: object;
  readonly user?: UserInfo;
  readonly warnings?: string[];
  /** Audit annotations. */
  readonly annotations?: Map<string, string>;
  readonly metrics?: AdmissionMetrics;
  /** The kind, where more of it is needed than its names. */
  readonly def?: KindDef;
}

/** What happens to a request: the object as the plugins leave it. Rejects with what a plugin throws. */
export async function ask(plugins: readonly AdmissionPlugin[], ref: ResourceRef, options: AskOptions = {}): Promise<Draft> {
  const object = options.object === undefined ? undefined : (structuredClone(options.object) as Draft);
  const { warnings, annotations } = options;
  const request: AdmissionRequest = {
    operation: 'CREATE',
    subresource: '',
    namespace: ref.namespaced ? 'default' : '',
    name: object?.metadata.name ?? (options.oldObject as KubeObject | undefined)?.metadata.name ?? '',
    options: {},
    dryRun: false,
    signal: new AbortController().signal,
    warn: (message) => warnings?.push(message),
    audit: (key, value) => annotations?.set(key, value),
    ...options,
    user: options.user ?? { name: 'alice', groups: ['system:authenticated'] },
    def: options.def ?? ({ ref, schema: kindSchema(ref.group, ref.version, ref.kind) ?? {} } as KindDef),
    object,
    oldObject: options.oldObject as KubeObject | undefined,
  };
  const chain = createAdmissionChain(plugins, { metrics: options.metrics ?? createAdmissionMetrics(new Registry()), clock: fakeClock() });
  await chain.admit(request);
  await chain.validate(request);
  return object ?? ({ apiVersion: '', kind: '', metadata: {} } as Draft);
}

/** A kindOf that knows ConfigMap and nothing else: the kind of parameters in tests. */
export function onlyConfigMaps(_group: string, _version: string, kind: string): KindDef | undefined {
  return kind === 'ConfigMap' ? ({ ref: configMaps, schema: {} } as KindDef) : undefined;
}

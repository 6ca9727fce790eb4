/** Admission requests for tests of plugins. */
import type { Draft, KindDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { configMaps, type ResourceRef } from '#kube/refs.ts';
import type { AdmissionPlugin, AdmissionRequest, UserInfo } from '../contract.ts';

export interface AskOptions extends Partial<Omit<AdmissionRequest, 'def' | 'object' | 'oldObject' | 'user'>> {
  readonly object?: object;
  readonly oldObject?: object;
  readonly user?: UserInfo;
  readonly warnings?: string[];
}

/** What happens to a request: the object as the plugins leave it. Rejects with what a plugin throws. */
export async function ask(plugins: readonly AdmissionPlugin[], ref: ResourceRef, options: AskOptions = {}): Promise<Draft> {
  const object = options.object === undefined ? undefined : (structuredClone(options.object) as Draft);
  const { warnings } = options;
  const request: AdmissionRequest = {
    operation: 'CREATE',
    subresource: '',
    namespace: ref.namespaced ? 'default' : '',
    name: object?.metadata.name ?? (options.oldObject as KubeObject | undefined)?.metadata.name ?? '',
    options: {},
    dryRun: false,
    signal: new AbortController().signal,
    warn: (message) => warnings?.push(message),
    audit: () => undefined,
    ...options,
    user: options.user ?? { name: 'alice', groups: ['system:authenticated'] },
    def: { ref, schema: {} } as KindDef,
    object,
    oldObject: options.oldObject as KubeObject | undefined,
  };
  for (const plugin of plugins) if (plugin.admit !== undefined && plugin.handles(request)) await plugin.admit(request);
  for (const plugin of plugins) if (plugin.validate !== undefined && plugin.handles(request)) await plugin.validate(request);
  return object ?? ({ apiVersion: '', kind: '', metadata: {} } as Draft);
}

/** A kindOf that knows ConfigMap and nothing else: the kind of parameters in tests. */
export function onlyConfigMaps(_group: string, _version: string, kind: string): KindDef | undefined {
  return kind === 'ConfigMap' ? ({ ref: configMaps, schema: {} } as KindDef) : undefined;
}

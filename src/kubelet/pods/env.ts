/** The variables of a container: pkg/kubelet/kubelet_pods.go makeEnvironmentVariables. */
import type { ConfigMap, Container, EnvVar, Pod, Secret } from '#kube/generated/core-v1.ts';
import { expand } from './expand.ts';
import { fieldValue, type NodeFacts, resourceValue } from './field-ref.ts';

/** Looks up what the environment refers to; undefined where it does not exist. */
export interface EnvSources {
  readonly configMap: (namespace: string, name: string) => Promise<ConfigMap | undefined>;
  readonly secret: (namespace: string, name: string) => Promise<Secret | undefined>;
}

export interface EnvInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly node: NodeFacts;
  readonly podIps: readonly string[];
  /** From serviceEnv. */
  readonly services: ReadonlyMap<string, string>;
}

/** The container cannot be created as it is specified: shown as CreateContainerConfigError. */
export class ContainerConfigError extends Error {
  override readonly name = 'ContainerConfigError';
}

const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

async function addFrom(env: Map<string, string>, input: EnvInput, sources: EnvSources): Promise<void> {
  const namespace = input.pod.metadata.namespace ?? '';
  for (const from of input.container.envFrom ?? []) {
    const prefix = from.prefix ?? '';
    if (from.configMapRef !== undefined) {
      const name = from.configMapRef.name ?? '';
      const map = await sources.configMap(namespace, name);
      if (map === undefined && from.configMapRef.optional !== true) throw new ContainerConfigError(`configmap "${name}" not found`);
      for (const [key, value] of Object.entries(map?.data ?? {})) env.set(prefix + key, value);
    } else if (from.secretRef !== undefined) {
      const name = from.secretRef.name ?? '';
      const secret = await sources.secret(namespace, name);
      if (secret === undefined && from.secretRef.optional !== true) throw new ContainerConfigError(`secret "${name}" not found`);
      for (const [key, value] of Object.entries(secret?.data ?? {})) env.set(prefix + key, text(value));
    }
  }
}

/** Undefined: the variable is left out, because what it refers to is optional and missing. */
async function valueFrom(variable: EnvVar, input: EnvInput, sources: EnvSources): Promise<string | undefined> {
  const from = variable.valueFrom;
  const { pod, container, node } = input;
  const namespace = pod.metadata.namespace ?? '';
  if (from?.fieldRef !== undefined) return fieldValue(from.fieldRef, pod, node, input.podIps);
  if (from?.resourceFieldRef !== undefined) {
    const wanted = from.resourceFieldRef.containerName ?? '';
    const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    return resourceValue(from.resourceFieldRef, all.find((c) => c.name === wanted) ?? container, node);
  }
  if (from?.configMapKeyRef !== undefined) {
    const { name = '', key, optional = false } = from.configMapKeyRef;
    const map = await sources.configMap(namespace, name);
    const value = map?.data?.[key];
    if (value === undefined && !optional) {
      throw new ContainerConfigError(
        map === undefined ? `configmap "${name}" not found` : `couldn't find key ${key} in ConfigMap ${namespace}/${name}`,
      );
    }
    return value;
  }
  if (from?.secretKeyRef !== undefined) {
    const { name = '', key, optional = false } = from.secretKeyRef;
    const secret = await sources.secret(namespace, name);
    const value = secret?.data?.[key];
    if (value === undefined && !optional) {
      throw new ContainerConfigError(
        secret === undefined ? `secret "${name}" not found` : `couldn't find key ${key} in Secret ${namespace}/${name}`,
      );
    }
    return value === undefined ? undefined : text(value);
  }
  return '';
}

/** All variables; those of `env` win over those of `envFrom`, and both over those of Services. Throws ContainerConfigError. */
export async function containerEnv(input: EnvInput, sources: EnvSources): Promise<ReadonlyMap<string, string>> {
  const env = new Map<string, string>();
  await addFrom(env, input, sources);
  const lookup = (name: string): string | undefined => env.get(name) ?? input.services.get(name);
  for (const variable of input.container.env ?? []) {
    let value: string | undefined;
    if (variable.valueFrom === undefined) value = expand(variable.value ?? '', lookup);
    else {
      try {
        value = await valueFrom(variable, input, sources);
      } catch (error) {
        throw error instanceof ContainerConfigError
          ? error
          : new ContainerConfigError(error instanceof Error ? error.message : String(error));
      }
    }
    if (value !== undefined) env.set(variable.name, value);
  }
  for (const [name, value] of input.services) if (!env.has(name)) env.set(name, value);
  return env;
}

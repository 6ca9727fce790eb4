/** The files that configMap, secret, downwardAPI and projected volumes show: pkg/volume/{configmap,secret,downwardapi,projected}. */
import type {
  ConfigMap,
  Container,
  DownwardAPIVolumeFile,
  KeyToPath,
  Pod,
  ProjectedVolumeSource,
  Secret,
  ServiceAccountTokenProjection,
} from '#kube/generated/core-v1.ts';
import { fieldValue, type NodeFacts, resourceValue } from '../pods/field-ref.ts';
import type { ProjectedFile } from './atomic-writer.ts';

/** Looks up what volumes show. Objects that do not exist are undefined. */
export interface VolumeSources {
  readonly configMap: (namespace: string, name: string) => Promise<ConfigMap | undefined>;
  readonly secret: (namespace: string, name: string) => Promise<Secret | undefined>;
  /** A token for the pod's service account, bound to the pod. */
  readonly token: (pod: Pod, projection: ServiceAccountTokenProjection) => Promise<string>;
}

export interface PayloadContext {
  readonly pod: Pod;
  readonly node: NodeFacts;
  readonly podIps: readonly string[];
  readonly sources: VolumeSources;
}

type Files = Map<string, ProjectedFile>;
const defaultMode = 0o644;

function pick(
  data: ReadonlyMap<string, Buffer>,
  items: readonly KeyToPath[] | undefined,
  mode: number,
  optional: boolean,
  what: string,
): Files {
  const files: Files = new Map();
  if (items === undefined || items.length === 0) {
    for (const [key, content] of data) files.set(key, { content, mode });
    return files;
  }
  for (const item of items) {
    const content = data.get(item.key);
    if (content === undefined) {
      if (optional) continue;
      throw new Error(`${what} references non-existent ${what === 'configmap' ? 'config' : 'secret'} key: ${item.key}`);
    }
    files.set(item.path, { content, mode: item.mode ?? mode });
  }
  return files;
}

function configMapData(map: ConfigMap): ReadonlyMap<string, Buffer> {
  const data = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(map.data ?? {})) data.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(map.binaryData ?? {})) data.set(key, Buffer.from(value, 'base64'));
  return data;
}

const secretData = (secret: Secret): ReadonlyMap<string, Buffer> =>
  new Map(Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]));

interface MapSource {
  readonly name?: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
}

export async function configMapFiles(source: MapSource, mode: number, context: PayloadContext): Promise<Files> {
  const { name = '', optional = false } = source;
  const map = await context.sources.configMap(context.pod.metadata.namespace ?? '', name);
  if (map === undefined && !optional) throw new Error(`configmap "${name}" not found`);
  return pick(map === undefined ? new Map() : configMapData(map), source.items, mode, optional, 'configmap');
}

export async function secretFiles(source: MapSource, mode: number, context: PayloadContext): Promise<Files> {
  const { name = '', optional = false } = source;
  const secret = await context.sources.secret(context.pod.metadata.namespace ?? '', name);
  if (secret === undefined && !optional) throw new Error(`secret "${name}" not found`);
  return pick(secret === undefined ? new Map() : secretData(secret), source.items, mode, optional, 'secret');
}

export function downwardFiles(items: readonly DownwardAPIVolumeFile[], mode: number, context: PayloadContext): Files {
  const { pod, node, podIps } = context;
  const files: Files = new Map();
  for (const item of items) {
    let value = '';
    if (item.fieldRef !== undefined) value = fieldValue(item.fieldRef, pod, node, podIps);
    else if (item.resourceFieldRef !== undefined) {
      const wanted = item.resourceFieldRef.containerName ?? '';
      const all: readonly Container[] = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
      const container = all.find((c) => c.name === wanted);
      if (container === undefined) throw new Error(`container ${wanted} not found`);
      value = resourceValue(item.resourceFieldRef, container, node);
    }
    files.set(item.path, { content: Buffer.from(value), mode: item.mode ?? mode });
  }
  return files;
}

/** Who a token file belongs to: the user that all containers run as, where they agree. */
function tokenOwner(pod: Pod): number | undefined {
  const users = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].map(
    (c) => c.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser,
  );
  return users.every((u) => u === users[0]) ? users[0] : undefined;
}

export async function projectedFiles(source: ProjectedVolumeSource, context: PayloadContext): Promise<Files> {
  const mode = source.defaultMode ?? defaultMode;
  const files: Files = new Map();
  const add = (more: Files): void => {
    for (const [path, file] of more) files.set(path, file);
  };
  for (const part of source.sources ?? []) {
    if (part.configMap !== undefined) add(await configMapFiles(part.configMap, mode, context));
    else if (part.secret !== undefined) add(await secretFiles(part.secret, mode, context));
    else if (part.downwardAPI !== undefined) add(downwardFiles(part.downwardAPI.items ?? [], mode, context));
    else if (part.serviceAccountToken !== undefined) {
      const token = await context.sources.token(context.pod, part.serviceAccountToken);
      const owner = tokenOwner(context.pod);
      const own = owner !== undefined || context.pod.spec?.securityContext?.fsGroup !== undefined;
      files.set(part.serviceAccountToken.path, {
        content: Buffer.from(token),
        mode: own ? 0o600 : mode,
        ...(owner === undefined ? {} : { uid: owner }),
      });
    } else throw new Error('this kind of projection is not supported');
  }
  return files;
}

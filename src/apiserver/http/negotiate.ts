/** Which representation a client asks for: k8s.io/apiserver pkg/endpoints/handlers/negotiation. */
import { protobufMedia } from '#kube/protobuf.ts';
import { StatusError } from '#kube/status-error.ts';

export interface Representation {
  readonly media: 'application/json' | 'application/yaml' | 'application/vnd.kubernetes.protobuf';
  /** Transformation of the object: Table, PartialObjectMetadata or PartialObjectMetadataList; aggregated discovery. */
  readonly as: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList' | 'APIGroupDiscoveryList' | undefined;
  /** Version of the transformation's kind: v1 or v1beta1, v2 for discovery. */
  readonly asVersion: string;
}

const plain: Representation = { media: 'application/json', as: undefined, asVersion: '' };

interface Clause {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
  readonly order: number;
}

const maxClauses = 32;

function parseAccept(header: string): Clause[] {
  return header
    .split(',')
    .slice(0, maxClauses)
    .map((text, order) => {
      const [type = '', ...rest] = text.split(';').map((s) => s.trim());
      const pairs = rest.map((p): [string, string] => {
        const at = p.indexOf('=');
        return at < 0 ? [p.toLowerCase(), ''] : [p.slice(0, at).trim().toLowerCase(), p.slice(at + 1).trim()];
      });
      const parameters = Object.fromEntries(pairs.filter(([name]) => name !== '__proto__'));
      const quality = parameters['q'] === undefined ? 1 : Number(parameters['q']);
      return { type: type.toLowerCase(), parameters, quality: Number.isFinite(quality) ? quality : 0, order };
    })
    .filter((c) => c.type !== '' && c.quality > 0)
    .sort((a, b) => b.quality - a.quality || a.order - b.order);
}

const mediaOf = (type: string, protobuf: boolean): Representation['media'] | undefined => {
  if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'application/json';
  if (type === protobufMedia) return protobuf ? protobufMedia : undefined;
  return type === 'application/yaml' ? 'application/yaml' : undefined;
};

const transformations = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);

function representationOf(clause: Clause, protobuf: boolean, tables: boolean): Representation | undefined {
  const media = mediaOf(clause.type, protobuf);
  if (media === undefined) return undefined;
  const { as, g, v = '' } = clause.parameters;
  if (as === 'Table' && !tables) return undefined;
  if (as === undefined || as === '') return media === 'application/json' ? plain : { ...plain, media };
  // Tables are sent as JSON or YAML only (RequestScope.AllowsMediaTypeTransform).
  if (media === protobufMedia && !as.startsWith('PartialObjectMetadata')) return undefined;
  if (as === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && v === 'v2') return { media, as, asVersion: v };
  if (transformations.has(as) && g === 'meta.k8s.io' && (v === 'v1' || v === 'v1beta1'))
    return { media, as: as as NonNullable<Representation['as']>, asVersion: v };
  return undefined;
}

/**
 * The first acceptable representation. `protobuf`, `tables`: the answer can be sent so. Throws StatusError NotAcceptable where
 * none is.
 */
export function negotiate(accept: string | undefined, protobuf = false, tables = true): Representation {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json') return plain;
  for (const clause of parseAccept(accept)) {
    const found = representationOf(clause, protobuf, tables);
    if (found !== undefined) return found;
  }
  const offered = `application/json, application/yaml${protobuf ? `, ${protobufMedia}` : ''}`;
  throw new StatusError('NotAcceptable', `only the following media types are accepted: ${offered}`);
}

/** Names of images, as github.com/distribution/reference reads them. */

export interface ImageReference {
  /** Host (and port) of the registry. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const domainLike = /^(localhost|[^/]*[.:][^/]*)$/;
const valid =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?$/;

/** Undefined when the text is no name of an image (shown as InvalidImageName). */
export function parseImage(text: string): ImageReference | undefined {
  if (!valid.test(text)) return undefined;
  const [name = '', digest] = text.split('@');
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(0, slash));
  const hasDomain = slash >= 0 && (domainLike.test(first) || first !== first.toLowerCase());
  const registry = hasDomain ? first : 'docker.io';
  const rest = hasDomain ? name.slice(slash + 1) : name;
  const colon = rest.lastIndexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  return {
    registry,
    repository: registry === 'docker.io' && !path.includes('/') ? `library/${path}` : path,
    tag: tag ?? (digest === undefined ? 'latest' : undefined),
    digest,
  };
}

/** The full name that containerd stores an image under. */
export function normalizeImage(text: string): string {
  const ref = parseImage(text);
  if (ref === undefined) return text;
  const base = `${ref.registry}/${ref.repository}`;
  if (ref.digest !== undefined) return `${base}@${ref.digest}`;
  return `${base}:${ref.tag}`;
}
